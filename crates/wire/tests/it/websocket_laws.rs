//! What holds for frames of WebSocket on any bytes. The fuzz target `websocket` and the replay of its corpus share it.

use wire::websocket::{Error, Reader, Step};

const MESSAGE_BYTES_MAX: usize = 300;

/// What a reader said, and why it ended.
type Heard = (Vec<(Vec<u8>, bool)>, Vec<String>, Option<Error>);

fn read_all(reader: &mut Reader, bytes: &[u8], heard: &mut Heard) {
    let mut bytes = bytes.to_vec();
    let mut rest = &mut bytes[..];
    while heard.2.is_none() {
        let before = rest.len();
        match reader.step(rest) {
            Err(error) => heard.2 = Some(error),
            Ok((used, step)) => {
                assert!(used <= before, "what was read lies within the bytes");
                let is_more = step == Step::More;
                match step {
                    Step::More => assert_eq!(used, before, "who wants more has used up what there is"),
                    Step::Piece { bytes, ends, .. } => {
                        match heard.0.last_mut() {
                            Some((message, false)) => message.extend_from_slice(bytes),
                            _ => heard.0.push((bytes.to_vec(), false)),
                        }
                        if let Some(last) = heard.0.last_mut() {
                            last.1 = ends;
                            assert!(last.0.len() <= MESSAGE_BYTES_MAX, "a message is bounded");
                        }
                    }
                    other => heard.1.push(format!("{other:?}")),
                }
                if is_more {
                    return;
                }
                rest = &mut rest[used..];
            }
        }
    }
}

/// The first byte says where the rest is split; whole or split, it reads the same.
pub(crate) fn check(data: &[u8]) {
    let Some((cut, bytes)) = data.split_first() else { return };
    let mut whole = Heard::default();
    read_all(&mut Reader::of_client(MESSAGE_BYTES_MAX), bytes, &mut whole);
    let mut split = Heard::default();
    let mut reader = Reader::of_client(MESSAGE_BYTES_MAX);
    let cut = usize::from(*cut).min(bytes.len());
    read_all(&mut reader, &bytes[..cut], &mut split);
    read_all(&mut reader, &bytes[cut..], &mut split);
    assert_eq!(split, whole);
}
