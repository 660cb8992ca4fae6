//! A message that a stream must have: published with an inbox, tried again as its sender says, until a stream has
//! acknowledged it. It does *not* know which route asks.

use std::time::Duration;

use kernel::envelope::RetryPolicy;
use kernel::{Code, Msg, Retry};
use tokio::time::{Instant, sleep};
use wire::jetstream::Fault;
use wire::jetstream::api::{PubAck, PubAnswer};

use super::call::refused;
use super::caller::Caller;
use super::problem::Problem;

/// How long an acknowledgement is waited for where nobody says how long.
pub(super) const TIMEOUT_MS: u64 = 30_000;
/// The most that a sender may say.
pub(super) const TIMEOUT_MS_MAX: u64 = 300_000;
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
    if !caller.door.hub.captures(caller.who.tenant, m.subject)
        && caller.who.permissions.may_publish(m.subject)
    {
        return Err(nobody());
    }
    let mut call = caller.lend()?;
    let number = call.ask(m).map_err(|code| match code {
        Code::NoResponders => nobody(),
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
}
