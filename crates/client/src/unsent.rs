//! What is left of a buffer when the connection breaks in the middle of writing it.

use wire::nats::{Decoder, Op, Step};

/// The publishes of `buffer` that the server cannot have read whole, because fewer than `written` bytes had gone out
/// before their end. Subscriptions and questions are left out: coming back makes them again.
///
/// A publish that had gone out whole is not sent again: it may have arrived, and twice is worse than *at most once*.
pub(crate) fn unsent(buffer: &[u8], written: usize) -> Vec<u8> {
    let decoder = Decoder { control_line_bytes_max: usize::MAX - 2, payload_bytes_max: usize::MAX };
    let mut kept = Vec::new();
    let mut at = 0;
    // Our own encoder wrote it, so it always reads; anything else would be dropped.
    while let Ok(Step::Op(op, bytes)) = decoder.step(&buffer[at..]) {
        let end = at + bytes;
        if end > written && matches!(op, Op::Publish(_)) {
            kept.extend_from_slice(&buffer[at..end]);
        }
        at = end;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::nats::encode;

    proptest! {
        #[test]
        fn every_publish_is_either_written_or_kept_and_never_both(
            ops in prop::collection::vec((0u8..4, 0usize..50), 1..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut buffer = Vec::new();
            let mut ends = Vec::new();
            for (n, (kind, size)) in ops.iter().enumerate() {
                let start = buffer.len();
                match kind {
                    0 => encode::subscribe(&mut buffer, b"a.>", None, 1),
                    1 => buffer.extend_from_slice(encode::PING),
                    _ => {
                        let payload = vec![b'\n'; *size];
                        let subject = format!("s.{n}");
                        let m = kernel::Msg { subject: subject.as_bytes(), payload: &payload, ..Default::default() };
                        encode::publish(&mut buffer, &m);
                        ends.push((start, buffer.len()));
                    }
                }
            }
            let written = cut.index(buffer.len() + 1);
            let expected: Vec<u8> =
                ends.iter().filter(|(_, end)| *end > written).flat_map(|(s, e)| buffer[*s..*e].to_vec()).collect();
            prop_assert_eq!(unsent(&buffer, written), expected);
        }
    }
}
