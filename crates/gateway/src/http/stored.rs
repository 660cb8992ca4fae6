//! A message that a stream must have: published with an inbox, tried again as its sender says, until a stream has
//! acknowledged it. It does *not* know which route asks.

use std::time::Duration;

use kernel::envelope::{RetryPolicy, name};
use kernel::{Code, Guarantee, Headers, Message, Msg, Retry};
use tokio::time::{Instant, sleep_until};
use wire::jetstream::Fault;
use wire::jetstream::api::{PubAck, PubAnswer};
use wire::jetstream::pub_headers::must_be_kept;

use super::call::{passed_over, refused, silent};
use super::caller::Caller;
use super::problem::Problem;
use super::publish::send;
use super::visit::Lent;

/// How long an acknowledgement is waited for where nobody says how long.
pub(super) const TIMEOUT_MS: u64 = 30_000;
/// The most that a sender may say.
pub(super) const TIMEOUT_MS_MAX: u64 = 300_000;
/// A subject on which answers come.
const INBOX: &[u8] = b"_INBOX.x.1";
/// How long an acknowledgement is waited for when the node is about to stop.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// Most attempts that a sender may ask for.
const ATTEMPTS_MAX: u32 = 100;

/// How a sender wants it done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    retry: RetryPolicy,
    /// The sender says how often it is tried.
    are_own: bool,
    timeout: Duration,
}

impl Terms {
    /// The sender's own, within bounds, or the default.
    pub(super) fn of(retry: Option<RetryPolicy>, timeout_ms: Option<u64>) -> Result<Terms, Problem> {
        let (are_own, retry) = (retry.is_some(), retry.unwrap_or_default());
        let timeout_ms = timeout_ms.unwrap_or(TIMEOUT_MS);
        let wrong = |detail: String| Err(Problem::new(Code::InvalidRequest, detail));
        if !(1..=ATTEMPTS_MAX).contains(&retry.attempts_max) {
            return wrong(format!("maxAttempts is 1 to {ATTEMPTS_MAX}"));
        }
        if retry.base_delay_ms > TIMEOUT_MS_MAX || retry.delay_ms_max > TIMEOUT_MS_MAX {
            return wrong(format!("baseDelayMs and maxDelayMs are 0 to {TIMEOUT_MS_MAX}"));
        }
        match (1..=TIMEOUT_MS_MAX).contains(&timeout_ms) {
            true => Ok(Terms { retry, are_own, timeout: Duration::from_millis(timeout_ms) }),
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

/// What became of a message at one subject. `None`: whoever listens has heard it, and nobody vouches for it.
pub(super) type Fate = Result<Option<PubAck>, Problem>;

/// Publishes a message on one subject, as `wish` says.
pub(super) async fn deliver(caller: &Caller, m: &Msg<'_>, wish: Wish, terms: Terms) -> Fate {
    if !is_asked(caller, m, wish) {
        return send(caller, m).await.map(|_| None);
    }
    Round::new(caller, wish, terms, vec![*m]).run().await.pop().unwrap_or_else(|| Err(lost()))
}

fn lost() -> Problem {
    Problem::new(Code::InternalError, "nobody knows what became of the message; it may or may not be stored")
}

/// The same on several subjects, on all of them at once. The fates stand in the order of the subjects.
pub(super) async fn deliver_to(
    caller: &Caller,
    m: &Msg<'_>,
    subjects: &[String],
    wish: Wish,
    terms: Terms,
) -> Vec<Fate> {
    let posts = subjects.iter().map(|subject| Msg { subject: subject.as_bytes(), ..*m }).collect();
    Round::new(caller, wish, terms, posts).run().await
}

/// Whether a stream is waited for.
fn is_asked(caller: &Caller, m: &Msg<'_>, wish: Wish) -> bool {
    let Caller { door, who, visit } = caller;
    match wish {
        Wish::Must => true,
        // Who says where answers go hears the stream there; who may hear none cannot be told that a stream has it.
        Wish::Default => {
            m.reply.is_empty()
                && visit.capturing(&door.hub, who, m.subject).acknowledging > 0
                && who.permissions.may_hear(INBOX)
        }
        Wish::Not => false,
    }
}

/// Where a message stands at one of its subjects.
enum Step {
    /// It is to be published, not before then.
    Due(Instant),
    /// A stream's word is waited for, under this number.
    Waiting(u64),
    /// It is over.
    Over(Fate),
}

/// A message on one of its subjects.
struct Post<'a> {
    m: Msg<'a>,
    failures: u32,
    step: Step,
}

/// A message on its way to all of its subjects: one inbox hears what becomes of it at each.
struct Round<'a> {
    caller: &'a Caller,
    wish: Wish,
    terms: Terms,
    until: Instant,
    /// The node is about to stop: nothing is tried again.
    is_last: bool,
    call: Option<Lent>,
    posts: Vec<Post<'a>>,
}

impl<'a> Round<'a> {
    fn new(caller: &'a Caller, wish: Wish, terms: Terms, all: Vec<Msg<'a>>) -> Round<'a> {
        let now = Instant::now();
        let post = |m| Post { m, failures: 0, step: Step::Due(now) };
        let posts = all.into_iter().map(post).collect();
        Round { caller, wish, terms, until: now + terms.timeout, is_last: false, call: None, posts }
    }

    /// Until all is over.
    async fn run(mut self) -> Vec<Fate> {
        loop {
            for at in 0..self.posts.len() {
                self.publish_if_due(at).await;
            }
            let due = self.posts.iter().filter_map(|post| match post.step {
                Step::Due(again) => Some(again),
                _ => None,
            });
            let next = due.min().unwrap_or(self.until).min(self.until);
            if self.posts.iter().all(|post| matches!(post.step, Step::Over(_))) {
                break;
            }
            let (door, call) = (&self.caller.door, &mut self.call);
            let heard = tokio::select! {
                heard = hear(call, next) => Some(heard),
                () = door.stopping(), if !self.is_last => None,
            };
            match heard {
                None => self.stop(),
                Some(Some(answer)) if self.heard(&answer).await => {}
                Some(Some(_)) if passed_over(self.until).await => self.give_up(),
                Some(Some(_)) => {}
                Some(None) if Instant::now() >= self.until => self.give_up(),
                Some(None) => {}
            }
        }
        let fates = self.posts.into_iter().map(|post| match post.step {
            Step::Over(fate) => fate,
            // The loop ends when all is over.
            Step::Due(_) | Step::Waiting(_) => Err(lost()),
        });
        fates.collect()
    }

    async fn publish_if_due(&mut self, at: usize) {
        let Some(Post { m, step: Step::Due(again), failures }) = self.posts.get(at) else { return };
        let (m, is_first) = (*m, *failures == 0);
        if *again > Instant::now() {
            return;
        }
        let step = match is_first && !is_asked(self.caller, &m, self.wish) {
            true => Ok(Step::Over(send(self.caller, &m).await.map(|_| None))),
            false => self.ask(&m).await.map(Step::Waiting),
        };
        match step {
            Ok(step) => self.set(at, step),
            Err(problem) => self.failed(at, problem).await,
        }
    }

    /// Publishes to whoever hears it, a stream that acknowledges among them. The number of the question.
    async fn ask(&mut self, m: &Msg<'_>) -> Result<u64, Problem> {
        let Caller { door, who, visit } = self.caller;
        let subject = String::from_utf8_lossy(m.subject);
        let captured = visit.capturing(&door.hub, who, m.subject);
        if captured.acknowledging == 0 {
            return Err(match (who.permissions.may_publish(m.subject), captured.streams) {
                (false, _) => refused(Code::PermissionDenied, &subject),
                (true, 0) => refused(Code::StreamNotFound, &subject),
                (true, _) => Problem::new(Code::StreamNotFound, silent(&subject)),
            });
        }
        let call = match &mut self.call {
            Some(call) => call,
            none => none.insert(self.caller.lend()?),
        };
        let asked = call.ask_kept(m);
        call.pause_if_high().await;
        asked.map_err(|code| match code {
            Code::NoResponders => refused(Code::StreamNotFound, &subject),
            code => refused(code, &subject),
        })
    }

    /// Something has come to the inbox. False: it is no answer of a stream that is waited for.
    async fn heard(&mut self, answer: &Message) -> bool {
        let number = self.call.as_ref().and_then(|call| call.number_of(answer));
        let is_of = |post: &Post<'_>| matches!(post.step, Step::Waiting(own) if Some(own) == number);
        // Others who hear the subject may answer too; only a stream acknowledges.
        let said = PubAnswer::of_stream(&answer.headers, &answer.payload);
        let (Some(at), Some(said)) = (self.posts.iter().position(is_of), said) else { return false };
        match said {
            Ok(ack) => self.set(at, Step::Over(Ok(Some(ack)))),
            Err(error) if error.fault() == Some(Fault::StreamNotFound) => {
                let subject = self.posts.get(at).map(|post| String::from_utf8_lossy(post.m.subject));
                let problem = refused(Code::StreamNotFound, &subject.unwrap_or_default());
                self.failed(at, problem).await;
            }
            // Whoever listens has heard it: nobody asked that they hear it again.
            Err(error) if self.wish == Wish::Default && !self.terms.are_own => {
                self.set(at, Step::Over(Err(error.into())));
            }
            Err(error) => self.failed(at, error.into()).await,
        }
        true
    }

    /// It is tried again, goes its way without a stream, or has failed.
    async fn failed(&mut self, at: usize, problem: Problem) {
        let Some(post) = self.posts.get_mut(at) else { return };
        post.failures += 1;
        let again = Instant::now() + self.terms.delay(post.failures);
        let is_last = self.is_last || post.failures >= self.terms.retry.attempts_max || again >= self.until;
        let m = post.m;
        let step = match problem.code() {
            // The stream went in this moment.
            Code::StreamNotFound if self.wish == Wish::Default => {
                Step::Over(send(self.caller, &m).await.map(|_| None))
            }
            code if is_last || code.retry() == Retry::No => Step::Over(Err(problem)),
            _ => Step::Due(again),
        };
        self.set(at, step);
    }

    fn set(&mut self, at: usize, step: Step) {
        if let Some(post) = self.posts.get_mut(at) {
            post.step = step;
        }
    }

    /// The node is about to stop: what is on its way has a moment left.
    fn stop(&mut self) {
        self.is_last = true;
        self.until = self.until.min(Instant::now() + LAST_PATIENCE);
        for post in &mut self.posts {
            if matches!(post.step, Step::Due(_)) {
                let problem = Problem::new(Code::ServiceUnavailable, "the node is about to stop");
                post.step = Step::Over(Err(problem));
            }
        }
    }

    /// No time is left. Whether a message is stored that nobody acknowledged is known to its sender only by its identity.
    fn give_up(&mut self) {
        let (code, why) = match self.is_last {
            true => (Code::ServiceUnavailable, "the node is about to stop"),
            false => (Code::Timeout, "the time is over"),
        };
        for post in self.posts.iter_mut().filter(|post| !matches!(post.step, Step::Over(_))) {
            let subject = String::from_utf8_lossy(post.m.subject);
            let detail = format!(
                "{why}, and no stream has acknowledged the message on `{subject}`; it may or may not be stored"
            );
            post.step = Step::Over(Err(Problem::new(code, detail)));
        }
        if let Some(call) = self.call.take() {
            call.spoil();
        }
    }
}

/// What comes to an inbox until then.
async fn hear(call: &mut Option<Lent>, until: Instant) -> Option<Message> {
    match call {
        Some(call) => call.hear(until).await,
        None => {
            sleep_until(until).await;
            None
        }
    }
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
