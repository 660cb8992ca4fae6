//! The producers as bytes, for the journal to keep. Version, stream sequence that is covered, then each producer in the
//! order heard; numbers are little-endian. It is *not* meant to be read by anything but this file.

use super::{NAME_BYTES_MAX, Producer, Producers, Sent};

const VERSION: u8 = 1;

/// The bytes are no snapshot, or one of another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the snapshot of a stream's producers cannot be read")
    }
}

impl std::error::Error for Damaged {}

impl Producers {
    /// Everything that is known, up to a message of the stream.
    pub(in crate::stream) fn snapshot(&mut self, last: u64) -> Vec<u8> {
        self.saved = last;
        let mut producers: Vec<_> = self.known.iter().collect();
        producers.sort_unstable_by_key(|(_, p)| p.heard);
        let mut out = vec![VERSION];
        out.extend(last.to_le_bytes());
        for (name, p) in producers {
            out.push(name.len() as u8);
            out.extend(&**name);
            out.extend(p.epoch.to_le_bytes());
            out.extend(p.whole_from.to_le_bytes());
            out.extend((p.sent.len() as u16).to_le_bytes());
            for sent in &p.sent {
                out.extend([sent.sequence, sent.content, sent.seq].map(u64::to_le_bytes).concat());
            }
        }
        out
    }

    /// What a snapshot says.
    pub(in crate::stream) fn restored(bytes: &[u8], hash_seed: u64) -> Result<Producers, Damaged> {
        let mut from = bytes.strip_prefix(&[VERSION]).ok_or(Damaged)?;
        let mut producers = Producers::new(hash_seed);
        producers.saved = number(&mut from)?;
        while !from.is_empty() {
            let len = usize::from(u8::from_le_bytes(array(&mut from)?)).min(NAME_BYTES_MAX);
            let name = from.split_off(..len).ok_or(Damaged)?;
            producers.messages += 1;
            let mut producer = Producer {
                epoch: number(&mut from)?,
                whole_from: number(&mut from)?,
                heard: producers.messages,
                ..Producer::default()
            };
            for _ in 0..u16::from_le_bytes(array(&mut from)?) {
                let sent = Sent {
                    sequence: number(&mut from)?,
                    content: number(&mut from)?,
                    seq: number(&mut from)?,
                };
                producer.sent.push_back(sent);
            }
            producers.known.insert(name.into(), producer);
        }
        Ok(producers)
    }
}

fn number(from: &mut &[u8]) -> Result<u64, Damaged> {
    array(from).map(u64::from_le_bytes)
}

fn array<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], Damaged> {
    let bytes = from.split_off(..N).ok_or(Damaged)?;
    bytes.try_into().map_err(|_| Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_snapshot_gives_back_what_was_known() {
        let mut p = Producers::new(1);
        for n in 0..1000u64 {
            p.note([b"a", b"b", b"c"][n as usize % 3], n / 600, n, n * 7, n + 1);
        }
        let bytes = p.snapshot(1000);
        let mut q = Producers::restored(&bytes, 99).unwrap();
        assert_eq!(q.saved, 1000);
        for name in [b"a", b"b", b"c", b"d"] {
            for n in 0..1001 {
                assert_eq!(p.judge(name, 1, n, n * 7), q.judge(name, 1, n, n * 7));
            }
        }
        assert_eq!(q.snapshot(1000), bytes);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Producers::restored(&bytes, 0);
            let _ = Producers::restored(&[&[VERSION], &bytes[..]].concat(), 0);
        }
    }
}
