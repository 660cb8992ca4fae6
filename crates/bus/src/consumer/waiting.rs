//! Requests for messages that wait their turn. A request that gets a message goes to the end of the line. Whether it may
//! wait at all is decided where it comes in (`pull`).

use std::collections::VecDeque;

use bytes::Bytes;

use super::action::{Action, Left, Status};

/// Nothing will happen then.
pub(super) const NEVER: u64 = u64::MAX;
/// How often waiting requests are asked whether somebody still hears them.
const LISTEN_EVERY_NS: u64 = 1_000_000_000;

/// A request in the line.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) reply: Bytes,
    /// Messages still to be sent, at least 1.
    pub(super) left: u64,
    pub(super) given: u64,
    /// Bytes that may still be sent; 0: any number.
    pub(super) bytes_left: u64,
    /// When it ends, or [`NEVER`].
    pub(super) expires_ns: u64,
    /// Time between signs of life; 0: none are wanted.
    pub(super) beat_ns: u64,
    pub(super) beat_at_ns: u64,
    pub(super) no_wait: bool,
    /// The turn in which somebody was known to hear it.
    pub(super) heard: u64,
}

/// Who gets the message that was asked about.
pub(super) struct Taker {
    pub(super) to: Bytes,
    /// The request is full, but had bytes left: it is told so after the message.
    pub(super) completed: Option<Left>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    line: VecDeque<Request>,
    no_waits: usize,
    /// When to look again: an end or a heartbeat. May be too early, never too late.
    wake_ns: u64,
    swept_ns: u64,
}

/// Answers that waiting requests get on their own.
pub(super) struct Sweep<'a> {
    pub(super) now_ns: u64,
    /// Nothing more is there: those that do not wait are answered.
    pub(super) is_end: bool,
    pub(super) last_consumer: u64,
    pub(super) last_stream: u64,
    pub(super) hears: &'a mut dyn FnMut(&[u8]) -> bool,
    pub(super) out: &'a mut Vec<Action>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Messages that all requests together still ask for.
    pub(super) fn asked(&self) -> u64 {
        self.line.iter().map(|r| r.left).fold(0, u64::saturating_add)
    }

    pub(super) fn push(&mut self, request: Request) {
        let wake = request.expires_ns.min(request.beat_at_ns);
        self.wake_ns = if self.line.is_empty() { wake } else { self.wake_ns.min(wake) };
        self.no_waits += usize::from(request.no_wait);
        self.line.push_back(request);
    }

    /// Gives a message of `size` bytes to the request whose turn it is. Those that have ended, cannot hold it, or that
    /// nobody hears leave the line.
    pub(super) fn take(
        &mut self,
        now_ns: u64,
        turn: u64,
        size: u64,
        hears: &mut dyn FnMut(&[u8]) -> bool,
        out: &mut Vec<Action>,
    ) -> Option<Taker> {
        loop {
            let r = self.line.front_mut()?;
            if r.expires_ns <= now_ns {
                out.push(status(r, Status::RequestTimeout(left(r))));
                self.drop_front();
                continue;
            }
            if r.bytes_left > 0 && size > r.bytes_left {
                out.push(status(r, Status::SizeExceedsMaxBytes(left(r))));
                self.drop_front();
                continue;
            }
            if r.heard != turn && !hears(&r.reply) {
                self.drop_front();
                continue;
            }
            r.heard = turn;
            if r.bytes_left > 0 {
                r.bytes_left -= size;
                if r.bytes_left == 0 {
                    r.left = 1;
                }
            }
            r.left -= 1;
            r.given += 1;
            if r.beat_ns > 0 {
                r.beat_at_ns = now_ns.saturating_add(r.beat_ns);
            }
            let to = r.reply.clone();
            let completed = (r.left == 0 && r.bytes_left > 0).then(|| left(r));
            if r.left == 0 {
                self.drop_front();
            } else if self.line.len() > 1 {
                self.line.rotate_left(1);
            }
            return Some(Taker { to, completed });
        }
    }

    /// Answers requests that have ended, sends signs of life, and from time to time drops those that nobody hears.
    pub(super) fn sweep(&mut self, s: &mut Sweep<'_>, is_forced: bool) {
        let is_due = self.wake_ns <= s.now_ns;
        let listens = is_forced || is_due || s.now_ns.saturating_sub(self.swept_ns) >= LISTEN_EVERY_NS;
        let answers = s.is_end && self.no_waits > 0;
        if self.line.is_empty() || !(listens || answers) {
            return;
        }
        let (mut wake, mut no_waits) = (NEVER, 0);
        self.line.retain_mut(|r| {
            let stays = is_kept(r, s) && (!listens || (s.hears)(&r.reply));
            if stays {
                if r.beat_at_ns <= s.now_ns {
                    let (last_consumer, last_stream) = (s.last_consumer, s.last_stream);
                    s.out
                        .push(status(r, Status::IdleHeartbeat { last_consumer, last_stream, stalled: None }));
                    r.beat_at_ns = s.now_ns.saturating_add(r.beat_ns);
                }
                wake = wake.min(r.expires_ns).min(r.beat_at_ns);
                no_waits += usize::from(r.no_wait);
            }
            stays
        });
        if listens {
            self.swept_ns = s.now_ns;
        }
        (self.wake_ns, self.no_waits) = (wake, no_waits);
    }

    /// When [`Waiting::sweep`] has something to do.
    pub(super) fn wake(&self) -> Option<u64> {
        (!self.line.is_empty() && self.wake_ns != NEVER).then_some(self.wake_ns)
    }

    /// Whether the line was looked through less than a second ago.
    pub(super) fn was_swept(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.swept_ns) < LISTEN_EVERY_NS
    }

    /// Sends every request away.
    pub(super) fn dismiss(&mut self, why: &Status, out: &mut Vec<Action>) {
        out.extend(self.line.drain(..).map(|r| Action::Status { to: r.reply, status: why.clone() }));
        self.no_waits = 0;
    }

    /// Gives back room that is not used.
    pub(super) fn shrink(&mut self) {
        self.line.shrink_to_fit();
    }

    fn drop_front(&mut self) {
        if let Some(r) = self.line.pop_front() {
            self.no_waits -= usize::from(r.no_wait);
        }
    }
}

/// Whether a request goes on waiting; it is answered if not.
fn is_kept(r: &Request, s: &mut Sweep<'_>) -> bool {
    if r.expires_ns <= s.now_ns {
        s.out.push(status(r, Status::RequestTimeout(left(r))));
        return false;
    }
    // One that does not wait but names an end waits until then for a first message.
    let is_answered = s.is_end && r.no_wait && (r.expires_ns == NEVER || r.given > 0);
    if is_answered {
        s.out.push(status(r, Status::NoMessages));
    }
    !is_answered
}

fn status(r: &Request, status: Status) -> Action {
    Action::Status { to: r.reply.clone(), status }
}

fn left(r: &Request) -> Left {
    Left { messages: r.left, bytes: r.bytes_left }
}
