//! What holds for frames, however they are split, masked and mixed.

use proptest::prelude::*;

use super::*;

/// What a reader says, with pieces put together.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Message(bool, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
    Error(Error),
}

/// Everything that is read when the bytes come in parts of these sizes.
fn read(reader: &mut Reader, bytes: &[u8], parts: &[usize]) -> Vec<Heard> {
    let (mut heard, mut message, mut at) = (Vec::new(), Vec::new(), 0);
    let mut sizes = parts.iter().copied().chain(std::iter::repeat(usize::MAX));
    while at < bytes.len() {
        let size = sizes.next().unwrap_or(usize::MAX).clamp(1, bytes.len() - at);
        let mut part = bytes[at..at + size].to_vec();
        at += size;
        let mut rest = &mut part[..];
        loop {
            let (used, step) = match reader.step(rest) {
                Ok(step) => step,
                Err(error) => {
                    heard.push(Heard::Error(error));
                    return heard;
                }
            };
            let is_more = step == Step::More;
            match step {
                Step::More => {}
                Step::Piece { is_text, bytes, ends } => {
                    message.extend_from_slice(bytes);
                    if ends {
                        heard.push(Heard::Message(is_text, std::mem::take(&mut message)));
                    }
                }
                Step::Ping(c) => heard.push(Heard::Ping(c.as_slice().to_vec())),
                Step::Pong(c) => heard.push(Heard::Pong(c.as_slice().to_vec())),
                Step::Close(code) => heard.push(Heard::Close(code)),
            }
            assert!(used <= rest.len());
            rest = rest.get_mut(used..).unwrap();
            if is_more {
                assert!(rest.is_empty(), "who wants more has used up what there is");
                break;
            }
        }
    }
    heard
}

fn masked(opcode: Opcode, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_masked(&mut out, opcode, true, [1, 2, 3, 4], content);
    out
}

fn read_one(bytes: &[u8]) -> Vec<Heard> {
    read(&mut Reader::of_client(1 << 20), bytes, &[])
}

#[test]
fn what_is_no_frame_is_refused_and_says_why() {
    let frame = masked(Opcode::Text, b"x");
    for bit in [0x10, 0x20, 0x40] {
        let mut bad = frame.clone();
        bad[0] |= bit;
        assert_eq!(read_one(&bad), [Heard::Error(Error::Reserved)]);
    }
    for opcode in [3, 7, 11, 15] {
        assert_eq!(read_one(&[0x80 | opcode, 0x80, 0, 0, 0, 0]), [Heard::Error(Error::Opcode)]);
    }
    let mut bare = Vec::new();
    write(&mut bare, Opcode::Text, b"x");
    assert_eq!(read_one(&bare), [Heard::Error(Error::Mask)]);
    assert_eq!(read(&mut Reader::of_server(9), &frame, &[]), [Heard::Error(Error::Mask)]);
    assert_eq!(read_one(&[0x81, 0xfe, 0, 125, 0, 0, 0, 0]), [Heard::Error(Error::Length)]);
    let long = [0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
    assert_eq!(read_one(&long), [Heard::Error(Error::Length)]);
    let endless = [0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(read_one(&endless), [Heard::Error(Error::Length)]);
    assert_eq!(read_one(&[0x09, 0x80, 0, 0, 0, 0]), [Heard::Error(Error::Control)]);
    assert_eq!(read_one(&[0x89, 0xfe, 0, 126, 0, 0, 0, 0]), [Heard::Error(Error::Control)]);
    assert_eq!(read_one(&masked(Opcode::Continuation, b"x")), [Heard::Error(Error::Order)]);
    let mut inside = Vec::new();
    write_masked(&mut inside, Opcode::Text, false, [0; 4], b"a");
    write_masked(&mut inside, Opcode::Binary, true, [0; 4], b"b");
    assert_eq!(read_one(&inside), [Heard::Error(Error::Order)]);
}

#[test]
fn a_message_beyond_the_limit_is_refused_before_it_has_come() {
    let announced = [0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let error = Error::TooLarge(1 << 20);
    assert_eq!(read_one(&announced), [Heard::Error(error)]);
    assert_eq!(error.close_code(), close::TOO_LARGE);
    let mut parts = Vec::new();
    for n in 0..4 {
        let opcode = if n == 0 { Opcode::Binary } else { Opcode::Continuation };
        write_masked(&mut parts, opcode, false, [9; 4], &[7; 30]);
    }
    assert_eq!(read(&mut Reader::of_client(100), &parts, &[]), [Heard::Error(Error::TooLarge(100))]);
}

#[test]
fn a_close_frame_has_no_content_or_a_code_that_may_be_sent() {
    let close = |content: &[u8]| read_one(&masked(Opcode::Close, content));
    assert_eq!(close(b""), [Heard::Close(None)]);
    assert_eq!(close(&[0x03, 0xe8, b'o', b'k']), [Heard::Close(Some(1000))]);
    assert_eq!(close(&[0x0f, 0xa0]), [Heard::Close(Some(4000))]);
    for bad in [&[3][..], &[0x03, 0xed], &[0x03, 0xee], &[0, 0], &[0x13, 0x88], &[0x03, 0xe8, 0xff]] {
        assert_eq!(close(bad), [Heard::Error(Error::Close)], "{bad:?}");
    }
    let mut after = masked(Opcode::Close, b"");
    after.extend(masked(Opcode::Text, b"x"));
    assert_eq!(read_one(&after), [Heard::Close(None)], "what comes behind it means nothing");
}

#[test]
fn a_reason_is_cut_between_two_letters() {
    let mut out = Vec::new();
    write_close(&mut out, close::POLICY, &"ü".repeat(100));
    assert_eq!(read(&mut Reader::of_server(9), &out, &[]), [Heard::Close(Some(1008))]);
    assert_eq!(out.len(), 2 + 2 + 122);
}

/// A message, and how its content is split into frames, with control frames in between.
#[derive(Clone, Debug)]
enum Sent {
    Message { is_text: bool, frames: Vec<Vec<u8>>, pings: Vec<Option<Vec<u8>>> },
    Pong(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        (100usize..300).prop_map(|n| vec![7; n]),
        Just(vec![8; 66_000]),
    ];
    let control = prop::collection::vec(any::<u8>(), 0..=CONTROL_BYTES_MAX);
    let message = (
        any::<bool>(),
        prop::collection::vec(content, 1..4),
        prop::collection::vec(prop::option::of(control.clone()), 4),
    )
        .prop_map(|(is_text, frames, pings)| Sent::Message { is_text, frames, pings });
    prop::collection::vec(prop_oneof![3 => message, 1 => control.prop_map(Sent::Pong)], 0..5)
}

fn lay_out(all: &[Sent], keys: &[[u8; 4]]) -> (Vec<u8>, Vec<Heard>) {
    let (mut bytes, mut heard) = (Vec::new(), Vec::new());
    let mut keys = keys.iter().copied().cycle();
    let mut key = || keys.next().unwrap_or_default();
    for one in all {
        match one {
            Sent::Pong(content) => {
                write_masked(&mut bytes, Opcode::Pong, true, key(), content);
                heard.push(Heard::Pong(content.clone()));
            }
            Sent::Message { is_text, frames, pings } => {
                for (at, frame) in frames.iter().enumerate() {
                    let opcode = match (at, is_text) {
                        (0, true) => Opcode::Text,
                        (0, false) => Opcode::Binary,
                        _ => Opcode::Continuation,
                    };
                    if let Some(Some(ping)) = pings.get(at) {
                        write_masked(&mut bytes, Opcode::Ping, true, key(), ping);
                        heard.push(Heard::Ping(ping.clone()));
                    }
                    write_masked(&mut bytes, opcode, at + 1 == frames.len(), key(), frame);
                }
                heard.push(Heard::Message(*is_text, frames.concat()));
            }
        }
    }
    (bytes, heard)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_sent_is_heard_however_it_is_split_and_masked(
        all in sent(),
        keys in prop::collection::vec(any::<[u8; 4]>(), 1..4),
        parts in prop::collection::vec(1usize..200, 0..40),
    ) {
        let (bytes, expected) = lay_out(&all, &keys);
        prop_assert_eq!(read(&mut Reader::of_client(1 << 20), &bytes, &parts), expected);
    }

    #[test]
    fn what_a_server_writes_a_client_reads(content in prop::collection::vec(any::<u8>(), 0..300), large in any::<bool>()) {
        let content = if large { content.repeat(300) } else { content };
        let mut out = Vec::new();
        write(&mut out, Opcode::Binary, &content);
        prop_assert_eq!(out.len(), content.len() + head_len(content.len()));
        prop_assert_eq!(read(&mut Reader::of_server(1 << 20), &out, &[]), [Heard::Message(false, content)]);
    }

    #[test]
    fn a_mask_undoes_itself_from_any_byte_on(mut bytes in prop::collection::vec(any::<u8>(), 0..40), key: [u8; 4]) {
        let before = bytes.clone();
        mask(&mut bytes, key);
        for (at, byte) in bytes.iter().enumerate() {
            prop_assert_eq!(*byte, before[at] ^ key[at % 4]);
        }
        mask(&mut bytes, key);
        prop_assert_eq!(bytes, before);
    }
}
