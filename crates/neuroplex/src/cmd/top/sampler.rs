//! Reads a node again and again: at an interval, at once when something else is wanted, and with growing pauses while it
//! does not answer.

use std::time::{Duration, Instant};

use kernel::Code;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::metrics::Figures;
use super::sample::{self, CONNECTIONS_MAX, Page, Read, STREAMS_MAX, SUBSCRIPTIONS_MAX, Sample};
use super::screen::Lost;
use super::view::View;
use crate::door::Door;
use crate::failure::Failure;

/// The first pause when a node does not answer; it doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// So many times as long as a reading took is no other made: a node for which it is work has time for its clients.
const REST: u32 = 4;

/// What is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Where the pages of connections, streams and subscriptions begin.
    pub(super) offsets: [u64; 3],
    /// A list of streams or of subjects is work for the node: who does not show one does not ask for it.
    pub(super) has_streams: bool,
    pub(super) has_subjects: bool,
    pub(super) is_paused: bool,
}

impl Wanted {
    /// The first page of each list.
    pub(super) fn everything() -> Wanted {
        Wanted { has_streams: true, has_subjects: true, ..Wanted::default() }
    }
}

/// What came of one attempt.
pub(super) enum Reading {
    View(Box<View>),
    Lost(Lost),
}

/// A node that is read.
pub(super) struct Sampler {
    door: Door,
    interval: Duration,
    started: Instant,
    /// The last reading, and the last one before it that it did not come early after.
    last: Option<Sample>,
    older: Option<Sample>,
}

impl Sampler {
    pub(super) fn new(door: Door, interval: Duration) -> Sampler {
        Sampler { door, interval, started: Instant::now(), last: None, older: None }
    }

    pub(super) fn address(&self) -> String {
        self.door.address().to_string()
    }

    /// One reading, beside one before it that is not too near.
    pub(super) async fn view(&mut self, wanted: Wanted) -> Result<View, Failure> {
        let sample = self.sample(wanted).await?;
        // One that comes early (another page was wanted) would make rates of a moment.
        let is_early = self.last.as_ref().is_some_and(|last| {
            let passed_ms = sample.at_ms.saturating_sub(last.at_ms);
            let is_same = sample.node.start_unix_ms == last.node.start_unix_ms;
            is_same && u128::from(passed_ms) < self.interval.as_millis() / 2
        });
        if !is_early {
            self.older = self.last.take();
        }
        let view = View::of(self.older.as_ref(), &sample);
        self.last = Some(sample);
        Ok(view)
    }

    /// Two readings: rates need both.
    pub(super) async fn twice(mut self) -> Result<View, Failure> {
        self.view(Wanted::everything()).await?;
        sleep(self.interval).await;
        self.view(Wanted::everything()).await
    }

    /// Reads until nobody listens. The first reading of all is made already.
    pub(super) async fn run(mut self, mut wanted: watch::Receiver<Wanted>, readings: mpsc::Sender<Reading>) {
        let mut attempts = 0;
        let mut pause_next = self.interval / 2;
        loop {
            tokio::select! {
                () = sleep(pause_next) => {}
                changed = wanted.changed() => if changed.is_err() { return },
            }
            let want = *wanted.borrow_and_update();
            if want.is_paused {
                if wanted.changed().await.is_err() {
                    return;
                }
                pause_next = Duration::ZERO;
                continue;
            }
            let start = Instant::now();
            let (reading, pause) = match self.view(want).await {
                Ok(view) => {
                    attempts = 0;
                    (Reading::View(Box::new(view)), rest(self.interval, start.elapsed()))
                }
                Err(failure) => {
                    let pause = pause(attempts);
                    attempts += 1;
                    let why = failure.message().to_owned();
                    (Reading::Lost(Lost { why, attempts, next_in: pause }), pause)
                }
            };
            if readings.send(reading).await.is_err() {
                return;
            }
            pause_next = pause;
        }
    }

    async fn sample(&mut self, wanted: Wanted) -> Result<Sample, Failure> {
        let [connections, streams, subscriptions] = wanted.offsets;
        let node = self.read("/varz", sample::node).await?;
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let path = format!("/connz?offset={connections}&limit={CONNECTIONS_MAX}");
        let connections = self.read(&path, sample::connections).await?;
        let figures = self.read("/metrics", |body| Ok(Figures::read(&String::from_utf8_lossy(body)))).await?;
        let path = format!("/v1/streams?offset={streams}&limit={STREAMS_MAX}");
        let streams = match wanted.has_streams {
            true => admitted(self.read(&path, sample::streams).await)?,
            false => Read::Not,
        };
        let path = format!("/v1/subscriptions?offset={subscriptions}&limit={SUBSCRIPTIONS_MAX}");
        let subjects = match wanted.has_subjects {
            true => admitted(self.read(&path, sample::subjects).await)?,
            false => Read::Not,
        };
        Ok(Sample { at_ms, node, figures, connections, streams, subjects })
    }

    async fn read<T>(&mut self, path: &str, parse: fn(&[u8]) -> Result<T, String>) -> Result<T, Failure> {
        let body = self.door.get(path).await?;
        parse(&body).map_err(|why| {
            let path = path.split('?').next().unwrap_or_default();
            let what = format!(
                "{}{path} is not what a node of this version says ({why}). Check that neuroplex answers there.",
                self.door.address()
            );
            Failure::new(Code::InvalidRequest, what)
        })
    }
}

/// What a user may not see is told in its place, and does not end the rest. A node without streams has none to list.
fn admitted<T>(read: Result<Page<T>, Failure>) -> Result<Read<T>, Failure> {
    match read {
        Ok(page) => Ok(Read::Page(page)),
        Err(failure) => match failure.code() {
            Some(Code::ConnectionError | Code::Timeout | Code::InternalError) => Err(failure),
            _ => Ok(Read::Refused(failure.message().to_owned())),
        },
    }
}

/// How long after a reading that took so long the next one begins.
fn rest(interval: Duration, took: Duration) -> Duration {
    interval.saturating_sub(took).max(took.saturating_mul(REST))
}

/// How long after so many attempts without an answer.
fn pause(attempts: u32) -> Duration {
    PAUSE.saturating_mul(1 << attempts.min(8)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_an_end() {
        let all: Vec<_> = (0..7).map(|n| pause(n).as_millis()).collect();
        assert_eq!(all, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(pause(u32::MAX), PAUSE_MAX);
    }

    #[test]
    fn a_node_for_which_a_reading_is_work_is_asked_less_often() {
        let ms = Duration::from_millis;
        assert_eq!(rest(ms(2000), ms(100)), ms(1900));
        assert_eq!(rest(ms(2000), ms(1000)), ms(4000));
        assert_eq!(rest(ms(2000), ms(3000)), ms(12_000));
    }

    #[test]
    fn only_what_is_forbidden_is_told_in_its_place() {
        let of = |code| admitted::<()>(Err(Failure::new(code, "why")));
        assert!(matches!(of(Code::PermissionDenied), Ok(Read::Refused(why)) if why == "why"));
        assert!(of(Code::ConnectionError).is_err() && of(Code::Timeout).is_err());
    }
}
