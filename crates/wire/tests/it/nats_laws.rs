//! What holds for the NATS decoder on any bytes. The fuzz target `nats_decode` and the replay of its corpus share it.

use wire::nats::{Decoder, Error, Op, Step, encode};

/// Everything that can be read from `bytes`, how much that was, and why it ended.
fn read_all(decoder: Decoder, bytes: &[u8]) -> (Vec<String>, usize, Option<Error>) {
    let (mut ops, mut at) = (Vec::new(), 0);
    loop {
        match decoder.step(&bytes[at..]) {
            Ok(Step::Op(op, used)) => {
                assert!(used > 0 && at + used <= bytes.len(), "an operation lies within the bytes");
                rewrite(decoder, &op);
                ops.push(format!("{op:?}"));
                at += used;
            }
            Ok(Step::More(need)) => {
                assert!(need > bytes.len() - at, "more is asked for than there is");
                let bound = decoder.control_line_bytes_max.max(65_536) + decoder.payload_bytes_max + 8;
                assert!(need <= bound, "what is asked for is bounded");
                return (ops, at, None);
            }
            Err(error) => return (ops, at, Some(error)),
        }
    }
}

/// What was read as a message, written again, reads the same.
fn rewrite(decoder: Decoder, op: &Op<'_>) {
    let mut out = Vec::new();
    let written = match op {
        Op::Publish(m) => {
            encode::publish(&mut out, m);
            m
        }
        Op::Deliver { sid, msg } => {
            encode::deliver(&mut out, msg, sid);
            msg
        }
        _ => return,
    };
    // What ended in a bare line feed is written with one byte more.
    let roomy = Decoder { control_line_bytes_max: 2 * decoder.control_line_bytes_max, ..decoder };
    match roomy.step(&out) {
        Ok(Step::Op(Op::Publish(m) | Op::Deliver { msg: m, .. }, used)) => {
            assert_eq!(used, out.len());
            assert_eq!((m.subject, m.reply), (written.subject, written.reply));
            assert_eq!((m.headers, m.payload), (written.headers, written.payload));
        }
        other => panic!("{out:?} reads as {other:?}"),
    }
}

/// The first byte says where the rest is split; whole or split, it reads the same. Small limits make them matter.
pub(crate) fn check(data: &[u8]) {
    let decoder = Decoder { control_line_bytes_max: 64, payload_bytes_max: 128 };
    let Some((cut, bytes)) = data.split_first() else { return };
    let (whole, used_whole, error_whole) = read_all(decoder, bytes);
    let cut = usize::from(*cut).min(bytes.len());
    let (mut ops, mut used, mut error) = read_all(decoder, &bytes[..cut]);
    if error.is_none() {
        let (rest, more, end) = read_all(decoder, &bytes[used..]);
        ops.extend(rest);
        (used, error) = (used + more, end);
    }
    assert_eq!((ops, used), (whole, used_whole));
    assert_eq!(error.is_some(), error_whole.is_some());
}
