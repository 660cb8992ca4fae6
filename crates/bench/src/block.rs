//! Prebuilt traffic: many messages back to back, as a publisher writes them and as a subscriber must receive them.
//!
//! All messages of a block have the same length, so that bytes count messages. Payloads carry their place in the block:
//! a lost or exchanged message shows at once, where equal payloads would hide it.

use crate::Options;
use crate::rng::Rng;
use kernel::Msg;
use wire::nats::encode;

/// A block that is sent over and over stays in a core's second-level cache together with a read buffer.
const BLOCK_BYTES: usize = 64 << 10;
/// With many subjects, so many draws for each: 98 % of the subjects occur, and no cache holds the block.
const DRAWS_PER_SUBJECT: usize = 4;
/// What a message with headers carries.
const HEADERS: &[u8] = b"NATS/1.0\r\nBench: 1\r\n\r\n";
/// Each subscriber's only subscription.
pub(crate) const SID: u64 = 1;

/// Messages of one length, back to back.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    message_len: usize,
    /// Leading bytes that all messages have in common.
    common: usize,
}

impl Block {
    /// What a publisher of this run writes, and what each subscriber of it receives.
    pub(crate) fn pair(options: &Options) -> (Self, Self) {
        let mut rng = Rng::new(options.seed);
        let (mut publish, mut deliver) = (Vec::new(), Vec::new());
        let sid = SID.to_string();
        let mut count = 0;
        while wants_more(options, count, publish.len()) {
            let subject = match options.subjects {
                1 => options.subject.clone(),
                n => format!("{}.{:06}", options.subject, rng.below(n as u64)),
            };
            let payload = payload(count, options.size);
            let headers = if options.headers { HEADERS } else { b"" };
            let m = Msg { subject: subject.as_bytes(), headers, payload: &payload, ..Msg::default() };
            encode::publish(&mut publish, &m);
            encode::deliver(&mut deliver, &m, sid.as_bytes());
            count += 1;
        }
        (Self::new(publish, count), Self::new(deliver, count))
    }

    /// What a subscriber receives whose publisher is unknown: only the line before the payload is certain.
    pub(crate) fn foreign(options: &Options) -> Self {
        let (_, deliver) = Self::pair(options);
        let line = deliver.message().iter().position(|b| *b == b'\n').map_or(0, |end| end + 1);
        Self { common: deliver.common.min(line), ..deliver }
    }

    fn new(bytes: Vec<u8>, count: usize) -> Self {
        let message_len = bytes.len() / count.max(1);
        let first = bytes.get(..message_len).unwrap_or_default();
        let common = |m: &[u8]| m.iter().zip(first).take_while(|(a, b)| a == b).count();
        let common = bytes.chunks(message_len.max(1)).map(common).min().unwrap_or(0);
        Self { bytes, message_len, common }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length of every message, at least 1.
    pub(crate) fn message_len(&self) -> usize {
        self.message_len.max(1)
    }

    /// The first message.
    pub(crate) fn message(&self) -> &[u8] {
        self.bytes.get(..self.message_len).unwrap_or_default()
    }

    /// How many leading bytes are the same in all messages.
    pub(crate) fn common(&self) -> usize {
        self.common
    }
}

fn wants_more(options: &Options, count: usize, bytes: usize) -> bool {
    match options.subjects {
        1 => count == 0 || bytes < BLOCK_BYTES,
        n => count < n.saturating_mul(DRAWS_PER_SUBJECT),
    }
}

/// The message's place in the block in hexadecimal, as far as it fits, then filling.
fn payload(place: usize, size: usize) -> Vec<u8> {
    let digits = format!("{place:08x}");
    let mut payload = digits.into_bytes();
    payload.reverse();
    payload.resize(size, b'.');
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;
    use std::collections::HashSet;
    use wire::nats::{Decoder, Op, Step};

    fn messages(block: &Block) -> Vec<(Vec<u8>, Vec<u8>, usize)> {
        block
            .bytes()
            .chunks(block.message_len())
            .map(|m| match Decoder::default().step(m) {
                Ok(Step::Op(Op::Publish(msg) | Op::Deliver { msg, .. }, used)) if used == m.len() => {
                    (msg.subject.to_vec(), msg.payload.to_vec(), msg.headers.len())
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn both_blocks_hold_the_same_messages_and_all_have_one_length() {
        for (size, headers) in [(0, false), (3, true), (16, false), (128, true), (100_000, false)] {
            let options = Options { size, headers, ..Options::new(Mode::PubSub, "a.b") };
            let (publish, deliver) = Block::pair(&options);
            let sent = messages(&publish);
            assert_eq!(sent, messages(&deliver));
            assert!(sent.iter().all(|(s, p, h)| s == b"a.b" && p.len() == size && (*h > 0) == headers));
        }
    }

    #[test]
    fn payloads_say_their_place() {
        let (publish, _) = Block::pair(&Options { size: 16, ..Options::new(Mode::PubSub, "a") });
        let places: HashSet<_> = messages(&publish).into_iter().map(|(_, p, _)| p).collect();
        assert_eq!(places.len(), publish.bytes().len() / publish.message_len());
    }

    #[test]
    fn many_subjects_are_nearly_all_drawn_and_a_seed_is_a_block() {
        let options = Options { subjects: 1000, ..Options::new(Mode::PubSub, "a") };
        let (publish, _) = Block::pair(&options);
        let subjects: HashSet<_> = messages(&publish).into_iter().map(|(s, _, _)| s).collect();
        assert!(subjects.len() > 950, "{}", subjects.len());
        assert_eq!(publish.bytes(), Block::pair(&options).0.bytes());
        assert_ne!(publish.bytes(), Block::pair(&Options { seed: 2, ..options }).0.bytes());
    }

    #[test]
    fn of_a_foreign_message_only_the_line_is_certain() {
        let block = Block::foreign(&Options { size: 4, ..Options::new(Mode::Sub, "a.b") });
        assert_eq!(block.message().get(..block.common()), Some(&b"MSG a.b 1 4\r\n"[..]));
    }
}
