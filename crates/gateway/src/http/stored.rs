//! A message that a stream must have: published with an inbox, tried again as its sender says, until a stream has
//! acknowledged it. It does *not* know which route asks.

use std::time::Duration;

use kernel::envelope::{RetryPolicy, name};
use kernel::{Code, Guarantee, Headers, Msg, Retry};
use tokio::time::{Instant, sleep};
use wire::jetstream::Fault;
use wire::jetstream::api::{PubAck, PubAnswer};
use wire::jetstream::pub_headers::must_be_kept;

use super::call::refused;
use super::caller::Caller;
use super::problem::Problem;
use super::publish::send;

/// How long an acknowledgement is waited for where nobody says how long.
pub(super) const TIMEOUT_MS: u64 = 30_000;
/// The most that a sender may say.
pub(super) const TIMEOUT_MS_MAX: u64 = 300_000;
/// A subject on which answers come.
const INBOX: &[u8] = b"_INBOX.x.1";
/// Most attempts that a sender may ask for.
const ATTEMPTS_MAX: u32 = 100;

/// How a sender wants it done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    retry: RetryPolicy,
    timeout: Duration,
}

impl Terms {
    /// The sender's own, within bounds, or the default.
    pub(super) fn of(retry: Option<RetryPolicy>, timeout_ms: Option<u64>) -> Result<Terms, Problem> {
        let retry = retry.unwrap_or_default();
        let timeout_ms = timeout_ms.unwrap_or(TIMEOUT_MS);
        let wrong = |detail: String| Err(Problem::new(Code::InvalidRequest, detail));
        if !(1..=ATTEMPTS_MAX).contains(&retry.attempts_max) {
            return wrong(format!("maxAttempts is 1 to {ATTEMPTS_MAX}"));
        }
        if retry.base_delay_ms > TIMEOUT_MS_MAX || retry.delay_ms_max > TIMEOUT_MS_MAX {
            return wrong(format!("baseDelayMs and maxDelayMs are 0 to {TIMEOUT_MS_MAX}"));
        }
        match (1..=TIMEOUT_MS_MAX).contains(&timeout_ms) {
            true => Ok(Terms { retry, timeout: Duration::from_millis(timeout_ms) }),
            false => wrong(format!("the timeout is 1 to {TIMEOUT_MS_MAX} ms")),
        }
    }

    /// How long to wait before the attempt of this number, the second being 1.
    fn delay(&self, number: u32) -> Duration {
        let doubled = self.retry.base_delay_ms.saturating_mul(1 << number.saturating_sub(1).min(32));
        Duration::from_millis(doubled.min(self.retry.delay_ms_max))
    }
}

/// Whether a stream must have a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// A stream, or it fails.
    Must,
    /// Its sender says nothing: at least once where a stream captures it, else at most once.
    Default,
    /// At most once is enough.
    Not,
}

impl Wish {
    /// What the headers of a message say.
    pub(super) fn of(block: &[u8]) -> Wish {
        let guarantee = Headers::new(block).first(name::GUARANTEE).and_then(|g| g.parse().ok());
        match (must_be_kept(block), guarantee) {
            (true, _) => Wish::Must,
            (false, Some(Guarantee::AtMostOnce)) => Wish::Not,
            (false, _) => Wish::Default,
        }
    }
}

/// Publishes as `wish` says. `None`: whoever listens has heard it, and nobody vouches for it.
pub(super) async fn deliver(
    caller: &Caller,
    m: &Msg<'_>,
    wish: Wish,
    terms: Terms,
) -> Result<Option<PubAck>, Problem> {
    let Caller { door, who, visit } = caller;
    let is_asked = match wish {
        Wish::Must => true,
        // Who may hear no answers cannot be told either that a stream has it.
        Wish::Default => {
            visit.capturing(&door.hub, who, m.subject).acknowledging > 0 && who.permissions.may_hear(INBOX)
        }
        Wish::Not => false,
    };
    if !is_asked {
        return send(caller, m).await.map(|_| None);
    }
    match store(caller, m, terms).await {
        // The stream went in this moment.
        Err(problem) if wish == Wish::Default && problem.code() == Code::StreamNotFound => {
            send(caller, m).await.map(|_| None)
        }
        done => done.map(Some),
    }
}

/// Publishes until a stream has it. Errors with 6002 where none captures it, and with what the stream says.
pub(super) async fn store(caller: &Caller, m: &Msg<'_>, terms: Terms) -> Result<PubAck, Problem> {
    let until = Instant::now() + terms.timeout;
    let mut failures = 0;
    loop {
        let problem = match attempt(caller, m, until).await {
            Ok(ack) => return Ok(ack),
            Err(problem) => problem,
        };
        failures += 1;
        let again = Instant::now() + terms.delay(failures);
        let is_last = failures >= terms.retry.attempts_max || again >= until;
        // Whether a message is stored that nobody acknowledged is known to its sender only by its identity.
        if is_last || problem.code().retry() == Retry::No || problem.code() == Code::Timeout {
            return Err(problem);
        }
        sleep(again.saturating_duration_since(Instant::now())).await;
    }
}

async fn attempt(caller: &Caller, m: &Msg<'_>, until: Instant) -> Result<PubAck, Problem> {
    let subject = String::from_utf8_lossy(m.subject);
    let nobody = || Problem::new(Code::StreamNotFound, format!("no stream captures `{subject}`"));
    let Caller { door, who, visit } = caller;
    let captured = visit.capturing(&door.hub, who, m.subject);
    if captured.acknowledging == 0 {
        return Err(match (who.permissions.may_publish(m.subject), captured.streams) {
            (false, _) => refused(Code::PermissionDenied, &subject),
            (true, 0) => nobody(),
            (true, _) => {
                let detail = format!("the stream that captures `{subject}` acknowledges nothing (`no_ack`)");
                Problem::new(Code::StreamNotFound, detail)
            }
        });
    }
    let mut call = caller.lend()?;
    let number = call.ask_kept(m).map_err(|code| match code {
        Code::NoResponders | Code::StreamNotFound => nobody(),
        code => refused(code, &subject),
    })?;
    call.pause_if_high().await;
    while let Some(answer) = call.hear(until).await {
        // Others who hear the subject may answer too; only a stream acknowledges.
        if call.number_of(&answer) == Some(number)
            && let Some(said) = PubAnswer::of_stream(&answer.headers, &answer.payload)
        {
            return said.map_err(|error| match error.fault() {
                Some(Fault::StreamNotFound) => nobody(),
                _ => error.into(),
            });
        }
    }
    call.spoil();
    let detail =
        format!("no stream acknowledged the message on `{subject}` in time; it may or may not be stored");
    Err(Problem::new(Code::Timeout, detail))
}

#[cfg(test)]
mod tests {
    use kernel::headers;

    use super::*;

    #[test]
    fn an_attempt_waits_twice_as_long_as_the_one_before_up_to_the_longest() {
        let retry = RetryPolicy { attempts_max: 9, base_delay_ms: 100, delay_ms_max: 350 };
        let terms = Terms::of(Some(retry), None).unwrap();
        let delays: Vec<_> = (1..5).map(|n| terms.delay(n).as_millis()).collect();
        assert_eq!(delays, [100, 200, 350, 350]);
        assert_eq!(terms.timeout, Duration::from_millis(TIMEOUT_MS));
        for (attempts_max, timeout_ms) in [(0, None), (101, None), (1, Some(0)), (1, Some(300_001))] {
            assert!(Terms::of(Some(RetryPolicy { attempts_max, ..retry }), timeout_ms).is_err());
        }
    }

    #[test]
    fn a_message_without_options_takes_a_stream_where_there_is_one() {
        let wish = |name: &str, value: &str| Wish::of(&headers::block([(name, value)]).unwrap());
        assert_eq!(Wish::of(b""), Wish::Default);
        for (name, value) in [
            ("Np-Guarantee", "at-least-once"),
            ("Np-Guarantee", "exactly-once"),
            ("Np-Ack", "mem"),
            ("Np-Persistent", "true"),
            ("Np-Delay", "5s"),
        ] {
            assert_eq!(wish(name, value), Wish::Must, "{name}: {value}");
        }
        assert_eq!(wish("Np-Guarantee", "at-most-once"), Wish::Not);
        assert_eq!(wish("Np-Persistent", "false"), Wish::Default);
    }
}
