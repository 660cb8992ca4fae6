//! What only a consumer that sends on its own has: whether somebody hears its deliver subject, the window of bytes that
//! may be under way before the receiver answers, and signs of life when it is quiet.

use bytes::Bytes;
use foldhash::fast::FixedState;
use std::hash::BuildHasher;

use super::waiting::NEVER;

/// Bytes under way at most, whatever the receiver answers.
const WINDOW_MAX: u64 = 32 * 1024 * 1024;
/// Bytes under way at first; doubles with every answer.
const WINDOW_START: u64 = WINDOW_MAX / 16;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Push {
    /// The deliver subject.
    pub(super) to: Bytes,
    /// Whether somebody heard the deliver subject when it was last asked.
    pub(super) is_heard: bool,
    /// When the next sign of life is due, if somebody hears it.
    pub(super) beat_at_ns: u64,
    beat_ns: u64,
    /// What stands before the id in the subjects that answers come to; `None`: no flow control.
    flow: Option<Window>,
}

/// Bytes under way.
#[derive(Clone, Debug)]
struct Window {
    answers: String,
    size: u64,
    under_way: u64,
    /// The answer that is awaited, and how much of what is under way it is about.
    asked: Option<(Bytes, u64)>,
    count: u64,
    hasher: FixedState,
}

impl Push {
    /// `flow`: the subject, without its last token, that answers come to, and a seed for these tokens.
    pub(super) fn new(to: &str, beat_ns: u64, flow: Option<(String, u64)>) -> Push {
        let flow = flow.map(|(answers, seed)| Window {
            answers,
            size: WINDOW_START,
            under_way: 0,
            asked: None,
            count: 0,
            hasher: FixedState::with_seed(seed),
        });
        let to = Bytes::copy_from_slice(to.as_bytes());
        Push { to, is_heard: false, beat_at_ns: NEVER, beat_ns, flow }
    }

    /// The next sign of life is due a whole interval from now.
    pub(super) fn restart_beat(&mut self, now_ns: u64) {
        if self.beat_ns > 0 {
            self.beat_at_ns = now_ns.saturating_add(self.beat_ns);
        }
    }

    /// Whether nothing may be sent until the receiver answers.
    pub(super) fn is_full(&self) -> bool {
        self.flow.as_ref().is_some_and(|w| w.under_way > w.size)
    }

    /// The answer that is awaited.
    pub(super) fn awaited(&self) -> Option<Bytes> {
        self.flow.as_ref()?.asked.as_ref().map(|(reply, _)| reply.clone())
    }

    /// So many bytes were sent. `Some`: the receiver is to be asked to answer there.
    pub(super) fn sent(&mut self, size: u64) -> Option<Bytes> {
        let window = self.flow.as_mut()?;
        window.under_way += size;
        match &mut window.asked {
            Some((_, about)) => {
                if window.under_way - *about >= window.size {
                    *about += size;
                }
                None
            }
            None if window.under_way > window.size / 2 => {
                window.count += 1;
                let id = window.hasher.hash_one(window.count);
                let reply = Bytes::from(format!("{}.{:08x}", window.answers, id as u32));
                window.asked = Some((reply.clone(), window.under_way));
                Some(reply)
            }
            None => None,
        }
    }

    /// The receiver answered on `subject`. False: not the answer that is awaited.
    pub(super) fn answered(&mut self, subject: &[u8]) -> bool {
        let Some(window) = &mut self.flow else { return false };
        match window.asked.take() {
            Some((reply, about)) if reply == subject => {
                window.size = (window.size * 2).min(WINDOW_MAX);
                window.under_way = window.under_way.saturating_sub(about);
                true
            }
            other => {
                window.asked = other;
                false
            }
        }
    }

    /// Another deliver subject.
    pub(super) fn redirect(&mut self, to: &str) {
        self.to = Bytes::copy_from_slice(to.as_bytes());
        self.is_heard = false;
        self.reset();
    }

    /// Nobody hears the subject any longer: what was under way will not be answered.
    pub(super) fn reset(&mut self) {
        if let Some(window) = &mut self.flow {
            (window.under_way, window.asked) = (0, None);
        }
    }
}
