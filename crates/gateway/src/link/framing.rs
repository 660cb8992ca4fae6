//! Puts frames of WebSocket around a stream of bytes as it is written: one frame for each piece that an outbox hands
//! over. The outbox is told when the head of a piece's frame has gone before the piece itself, because a cut keeps what has
//! begun: so a frame that has begun ends too, whatever happens to what waits behind it. Control frames go between two
//! frames.

use std::io::{self, ErrorKind, IoSlice};

use fabric::Took;
use wire::websocket::{self as ws, Control, Opcode};

/// Most pieces that are framed in one write.
const PIECES_MAX: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    /// What must go before anything else: the rest of a head, or of control frames.
    first: Vec<u8>,
    /// Bytes of the frame whose head has gone, at least in part.
    left: usize,
    /// The ping that waits for its answer; one that comes before the answer went replaces it, as the protocol allows.
    pong: Option<Control>,
    close: Option<u16>,
}

impl Framing {
    /// Answers a ping when the frame that is being written has ended.
    pub(crate) fn answer(&mut self, ping: Control) {
        self.pong = Some(ping);
    }

    /// Ends with this code when the frame that is being written has ended.
    pub(crate) fn end(&mut self, code: u16) {
        self.close.get_or_insert(code);
    }

    /// Whether something is to be written that no outbox knows of.
    pub(crate) fn owes(&self) -> bool {
        self.left == 0 && (!self.first.is_empty() || self.pong.is_some() || self.close.is_some())
    }

    /// Takes control frames into what goes first, if nothing is in the way.
    fn take_control(&mut self) {
        if self.left > 0 || !self.first.is_empty() {
            return;
        }
        if let Some(ping) = self.pong.take() {
            ws::write(&mut self.first, Opcode::Pong, ping.as_slice());
        }
        if let Some(code) = self.close.take() {
            ws::write_close(&mut self.first, code, "");
        }
    }

    /// Writes control frames. Errors as `raw`.
    pub(crate) fn write_control(
        &mut self,
        mut raw: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<()> {
        while self.owes() {
            self.take_control();
            match raw(&[IoSlice::new(&self.first)])? {
                0 => return Err(ErrorKind::WriteZero.into()),
                n => _ = self.first.drain(..n),
            }
        }
        Ok(())
    }

    /// Writes pieces, each in a frame of its own; says how many of *their* bytes went, and whether the head of the next one
    /// did. Errors as `raw`.
    pub(crate) fn write(
        &mut self,
        pieces: &[IoSlice<'_>],
        mut raw: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<Took> {
        self.take_control();
        let mut pieces = pieces.iter().filter(|p| !p.is_empty());
        let Some(piece) = pieces.next() else { return Ok(Took::default()) };
        let controls = self.first.len();
        let is_new = self.left == 0;
        if is_new {
            let (head, len) = ws::head(Opcode::Binary, piece.len());
            self.first.extend_from_slice(&head[..len]);
            self.left = piece.len();
        }
        let begun = &piece[..self.left.min(piece.len())];
        // Further pieces, each behind its head.
        let mut rest: [&[u8]; PIECES_MAX] = [&[]; PIECES_MAX];
        let mut count = 0;
        if begun.len() == self.left {
            for (slot, piece) in rest.iter_mut().zip(pieces) {
                *slot = piece;
                count += 1;
            }
        }
        let rest = &rest[..count];
        let mut heads = [([0; ws::PLAIN_HEAD_BYTES_MAX], 0); PIECES_MAX];
        let mut slices = [IoSlice::new(&[]); 2 * PIECES_MAX + 2];
        (slices[0], slices[1]) = (IoSlice::new(&self.first), IoSlice::new(begun));
        for (head, piece) in heads.iter_mut().zip(rest) {
            *head = ws::head(Opcode::Binary, piece.len());
        }
        for (at, ((head, len), piece)) in heads.iter().zip(rest).enumerate() {
            (slices[2 * at + 2], slices[2 * at + 3]) = (IoSlice::new(&head[..*len]), IoSlice::new(piece));
        }
        let from = usize::from(self.first.is_empty());
        let result = raw(&slices[from..2 * count + 2]);
        let mut gone = result.as_ref().map_or(0, |gone| *gone);
        if is_new && gone <= controls {
            // Nothing of the head has gone: the outbox may be cut, and its next piece be another one.
            self.first.truncate(controls);
            self.left = 0;
        }
        let firsts = gone.min(self.first.len());
        self.first.drain(..firsts);
        if result? == 0 {
            return Ok(Took::default());
        }
        gone -= firsts;
        let mut sent = gone.min(begun.len());
        self.left -= sent;
        gone -= sent;
        for ((head, len), piece) in heads.iter().zip(rest) {
            if gone == 0 {
                break;
            }
            let of_head = gone.min(*len);
            self.first.extend_from_slice(&head[of_head..*len]);
            gone -= of_head;
            let of_piece = gone.min(piece.len());
            self.left = piece.len() - of_piece;
            (sent, gone) = (sent + of_piece, gone - of_piece);
        }
        match (sent, self.left > 0) {
            // Control frames alone have gone: the caller counts its own bytes only, and there is room for no more.
            (0, false) => Err(ErrorKind::WouldBlock.into()),
            (bytes, begun) => Ok(Took { bytes, begun }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fabric::{Budget, Outbox};
    use kernel::Spare;
    use proptest::prelude::*;
    use wire::websocket::{Reader, Step};

    use super::*;

    /// A socket that takes as many bytes as it has room.
    struct Socket {
        room: usize,
        taken: Vec<u8>,
    }

    impl Socket {
        fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let all: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
            if self.room == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            let n = self.room.min(all.len());
            self.room -= n;
            self.taken.extend_from_slice(&all[..n]);
            Ok(n)
        }
    }

    /// What comes out of the frames: the bytes, and the pongs. The last frame is whole.
    fn read(mut bytes: Vec<u8>) -> (Vec<u8>, Vec<Vec<u8>>) {
        const END: &[u8] = b"the end";
        ws::write(&mut bytes, Opcode::Ping, END);
        let (mut out, mut pongs) = (Vec::new(), Vec::new());
        let (mut reader, mut rest) = (Reader::of_server(1 << 20), &mut bytes[..]);
        loop {
            let (used, step) = reader.step(rest).unwrap();
            match step {
                Step::Piece { bytes, .. } => out.extend_from_slice(bytes),
                Step::Pong(control) => pongs.push(control.as_slice().to_vec()),
                Step::Ping(control) if control.as_slice() == END => return (out, pongs),
                other => panic!("{other:?}"),
            }
            rest = rest.get_mut(used..).unwrap();
        }
    }

    fn ping() -> Control {
        let mut ping = Vec::new();
        ws::write(&mut ping, Opcode::Ping, b"?");
        let Ok((_, Step::Ping(control))) = Reader::of_server(9).step(&mut ping) else { panic!() };
        control
    }

    /// Messages of one piece, as small ones are, or of three, as those are whose payload is shared.
    fn put(outbox: &Outbox, message: &[u8]) {
        let Some(mut slot) = outbox.slot() else { return };
        let taken = match message.split_last_chunk::<3>() {
            Some((head, _)) if message.len().is_multiple_of(2) => {
                slot.append_shared(head.to_vec(), vec![b'-'; 1000].into(), b"\r\n")
            }
            _ => slot.append(message.len(), &mut Spare::default(), |out| out.extend_from_slice(message)),
        };
        assert!(taken);
        slot.done(message.len());
    }

    proptest! {
        #[test]
        fn whatever_the_socket_takes_and_whenever_it_is_cut_whole_messages_come_out_of_whole_frames(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..8),
            rooms in prop::collection::vec(prop_oneof![Just(0usize), 1usize..12, 100usize..400], 0..20),
            pings in prop::collection::vec(0usize..20, 0..4),
            cut in prop::option::of(0usize..10),
        ) {
            const LAST_WORDS: &[u8] = b"-ERR 'Slow Consumer'\r\n";
            let mut socket = Socket { room: usize::MAX, taken: Vec::new() };
            let outbox = || Outbox::new(1 << 20, Arc::new(Budget::new(1 << 30)));
            // What may come out, by how many messages: all bytes up to the end of each.
            let mut ends = vec![0];
            let whole = outbox();
            for message in &messages {
                put(&whole, message);
                ends.push(whole.waiting_bytes());
            }
            let _ = whole.flush(&mut Spare::default(), |s| socket.write(s).map(Into::into));
            let expected = std::mem::take(&mut socket.taken);

            let (mut framing, outbox) = (Framing::default(), outbox());
            let mut left = messages.iter();
            let mut turn = 0;
            loop {
                socket.room = rooms.get(turn).copied().unwrap_or(usize::MAX);
                if pings.contains(&turn) {
                    framing.answer(ping());
                }
                match left.next() {
                    Some(message) => put(&outbox, message),
                    None if outbox.is_idle() && (cut.is_none() || outbox.is_sealed()) => break,
                    None => {}
                }
                let _ = outbox.flush(&mut Spare::default(), |pieces| framing.write(pieces, |s| socket.write(s)));
                if cut == Some(turn) {
                    outbox.cut(LAST_WORDS);
                }
                turn += 1;
            }
            socket.room = usize::MAX;
            framing.write_control(|s| socket.write(s)).unwrap();
            let (out, pongs) = read(socket.taken);
            match cut {
                None => prop_assert_eq!(out, expected),
                Some(_) => {
                    let out = out.strip_suffix(LAST_WORDS).expect("last words");
                    prop_assert!(expected.starts_with(out));
                    prop_assert!(ends.contains(&out.len()), "{} of {:?}", out.len(), ends);
                }
            }
            prop_assert!(pongs.iter().all(|p| p == b"?"));
            prop_assert!(pongs.len() <= pings.len());
        }
    }
}
