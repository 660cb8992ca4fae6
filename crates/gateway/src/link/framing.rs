//! Puts frames of WebSocket around a stream of bytes as it is written: one frame for each piece that an outbox hands
//! over. A piece ends where a message ends, and a cut keeps the piece that has begun, so a frame that has begun ends too,
//! whatever happens to what waits behind it. Control frames go between two frames.

use std::io::{self, ErrorKind, IoSlice};

use wire::websocket::{self as ws, Control, Opcode};

/// Most pieces that are framed in one write.
const PIECES_MAX: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    /// What must go before anything else: the rest of a head, or of control frames.
    first: Vec<u8>,
    /// Bytes of the frame whose head has gone, or stands in `first`.
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

    /// Writes pieces, each in a frame of its own; says how many of *their* bytes went. Errors as `raw`.
    pub(crate) fn write(
        &mut self,
        pieces: &[IoSlice<'_>],
        mut raw: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.take_control();
        let mut pieces = pieces.iter().filter(|p| !p.is_empty());
        let Some(piece) = pieces.next() else { return Ok(0) };
        if self.left == 0 {
            // The head is promised from here on: what the socket does not take of it goes first the next time.
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
        let mut gone = raw(&slices[from..2 * count + 2])?;
        if gone == 0 {
            return Ok(0);
        }
        let firsts = gone.min(self.first.len());
        self.first.drain(..firsts);
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
        // Nothing but heads has gone: the caller counts its own bytes only, and there is room for no more.
        if sent == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(sent) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::websocket::{Reader, Step};

    use super::*;

    /// A socket that takes so many bytes each time; 0: none now.
    struct Socket {
        takes: Vec<usize>,
        at: usize,
        taken: Vec<u8>,
    }

    impl Socket {
        fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let all: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
            let room = self.takes.get(self.at).copied().unwrap_or(usize::MAX);
            self.at += 1;
            if room == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            let n = room.min(all.len());
            self.taken.extend_from_slice(&all[..n]);
            Ok(n)
        }
    }

    /// What comes out of the frames: the bytes, and the pongs.
    fn read(mut bytes: Vec<u8>) -> (Vec<u8>, Vec<Vec<u8>>) {
        let (mut out, mut pongs) = (Vec::new(), Vec::new());
        let (mut reader, mut rest) = (Reader::of_server(1 << 20), &mut bytes[..]);
        loop {
            let (used, step) = reader.step(rest).unwrap();
            match step {
                Step::More => return (out, pongs),
                Step::Piece { bytes, .. } => out.extend_from_slice(bytes),
                Step::Pong(control) => pongs.push(control.as_slice().to_vec()),
                other => panic!("{other:?}"),
            }
            rest = rest.get_mut(used..).unwrap();
        }
    }

    proptest! {
        #[test]
        fn whatever_the_socket_takes_the_same_bytes_come_out_of_whole_frames(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..8),
            takes in prop::collection::vec(prop_oneof![Just(0usize), 1usize..12, 100usize..400], 0..60),
            pings in prop::collection::vec(0usize..60, 0..4),
        ) {
            let expected = pieces.concat();
            let (mut framing, mut sent, mut turn) = (Framing::default(), 0, 0);
            let mut socket = Socket { takes, at: 0, taken: Vec::new() };
            while sent < expected.len() {
                if pings.contains(&turn) {
                    let mut reader = Reader::of_server(9);
                    let mut ping = Vec::new();
                    ws::write(&mut ping, Opcode::Ping, b"?");
                    let Ok((_, Step::Ping(control))) = reader.step(&mut ping) else { panic!() };
                    framing.answer(control);
                }
                turn += 1;
                // What an outbox hands over: the rest of the first piece, and the others.
                let (mut skip, mut slices) = (sent, Vec::new());
                for piece in &pieces {
                    let of_it = skip.min(piece.len());
                    skip -= of_it;
                    if of_it < piece.len() {
                        slices.push(IoSlice::new(&piece[of_it..]));
                    }
                }
                match framing.write(&slices, |s| socket.write(s)) {
                    Ok(n) => sent += n,
                    Err(e) => prop_assert_eq!(e.kind(), ErrorKind::WouldBlock),
                }
            }
            while framing.owes() {
                let _ = framing.write_control(|s| socket.write(s));
            }
            let (out, pongs) = read(socket.taken);
            prop_assert_eq!(out, expected);
            prop_assert!(pongs.iter().all(|p| p == b"?"));
            prop_assert!(pongs.len() <= pings.len());
        }
    }
}
