//! What a connection's bytes come from: a socket in the clear, a stream that only its owner may write to (TLS), and
//! either of them with frames of WebSocket around the bytes, which are taken off here. It does *not* know what they mean.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use wire::websocket::{Reader, Step, close};

use super::peer::Peer;
use super::{Manner, Shared};

/// A stream that only its owner may use.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(super) enum End {
    /// In the clear, writing is everybody's: [`Peer::writer`].
    Shared(OwnedReadHalf),
    Own(Box<dyn Stream>),
}

/// See the module.
pub(crate) struct Transport {
    pub(super) end: End,
    /// What was read before the connection was this one's.
    early: Bytes,
    frames: Option<Box<Reader>>,
}

impl Transport {
    /// A socket in the clear; its other half is the peer's.
    pub(crate) fn shared(half: OwnedReadHalf) -> Transport {
        Transport { end: End::Shared(half), early: Bytes::new(), frames: None }
    }

    /// A stream that only its owner may use.
    pub(crate) fn own(stream: impl Stream + 'static) -> Transport {
        Transport { end: End::Own(Box::new(stream)), early: Bytes::new(), frames: None }
    }

    /// The same, where these bytes have come already.
    pub(crate) fn after(self, early: Bytes) -> Transport {
        Transport { early, ..self }
    }

    /// The same, with the bytes in frames: only the content of messages is read.
    pub(crate) fn framed(self) -> Transport {
        // Messages are a stream here; how long one is means nothing.
        Transport { frames: Some(Box::new(Reader::of_client(usize::MAX))), ..self }
    }

    /// Reads something. Nothing: the other side has ended.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
        peer: &Peer,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        if self.frames.as_ref().is_some_and(|frames| frames.is_over()) {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_raw(cx, into))?;
        let Some(frames) = &mut self.frames else { return Poll::Ready(Ok(())) };
        let is_end = into.filled().len() == before || take_off(frames, into, before, peer)?;
        if is_end || into.filled().len() > before {
            return Poll::Ready(Ok(()));
        }
        // Heads and control frames alone are not the end. Who sends nothing else must not keep the thread: others go first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_raw(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let count = self.early.len().min(into.remaining());
            into.put_slice(&self.early[..count]);
            self.early.advance(count);
            return Poll::Ready(Ok(()));
        }
        match &mut self.end {
            End::Shared(half) => Pin::new(half).poll_read(cx, into),
            End::Own(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }

    /// Tells the other side that nothing comes any more.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>, peer: &Peer) -> Poll<()> {
        match &mut self.end {
            End::Shared(_) => {
                if let Some(writer) = peer.writer() {
                    // The client sees the end of the stream after the last line; that it is gone already is no harm.
                    let stream: &TcpStream = (*writer).as_ref();
                    let _ = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write);
                }
                Poll::Ready(())
            }
            End::Own(stream) => Pin::new(stream).poll_shutdown(cx).map(|_| ()),
        }
    }
}

/// Takes the frames off what was read behind `before`; the content of messages moves together. True: the client has ended.
fn take_off(frames: &mut Reader, into: &mut ReadBuf<'_>, before: usize, peer: &Peer) -> io::Result<bool> {
    let bytes = into.filled_mut();
    let (mut at, mut end) = (before, before);
    let mut has_ended = false;
    while !has_ended {
        let (used, step) = frames.step(&mut bytes[at..]).map_err(|error| {
            tracing::info!(client = peer.id.0, address = %peer.address, %error, "no frames");
            peer.end_frames(error.close_code());
            io::Error::new(io::ErrorKind::InvalidData, error)
        })?;
        let content = match step {
            Step::More => break,
            Step::Piece { bytes, .. } => bytes.len(),
            Step::Ping(ping) => {
                peer.answer(ping);
                0
            }
            Step::Pong(_) => 0,
            Step::Close(code) => {
                peer.end_frames(code.unwrap_or(close::NORMAL));
                has_ended = true;
                0
            }
        };
        at += used;
        bytes.copy_within(at - content..at, end);
        end += content;
    }
    into.set_filled(end);
    Ok(has_ended)
}

/// A connection that came in by another protocol and goes on with this one.
pub(crate) struct Upgraded {
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
    pub(crate) io: Io,
    /// What was read of it already.
    pub(crate) early: Bytes,
}

/// What it travels on.
pub(crate) enum Io {
    /// A socket in the clear, to which everybody may write.
    Socket(TcpStream),
    /// Anything else.
    Stream(Box<dyn Stream>),
}

impl Upgraded {
    /// What others see of it, and what its owner reads from.
    pub(crate) fn split(self, shared: &Arc<Shared>, manner: &'static Manner) -> (Peer, Transport) {
        let (writer, transport) = match self.io {
            Io::Socket(socket) => {
                let (reader, writer) = socket.into_split();
                (Some(writer), Transport::shared(reader))
            }
            Io::Stream(stream) => (None, Transport::own(stream)),
        };
        let mut peer = Peer::new(shared.clone(), manner, self.address, writer);
        peer.is_tls = self.is_tls;
        (peer, transport.after(self.early))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use wire::websocket::{Opcode, write_masked};

    use super::*;
    use crate::link::tests::peer;

    /// A client that sends these bytes whenever it is read from, so many times, and then ends.
    struct Flood(Vec<u8>, usize);

    impl AsyncRead for Flood {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(left) = self.1.checked_sub(1) {
                self.1 = left;
                into.put_slice(&self.0);
            }
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Flood {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_flood_of_frames_without_content_lets_others_go_first_after_each_read() {
        const READS: usize = 100;
        for opcode in [Opcode::Ping, Opcode::Binary] {
            let (mut frame, key) = (Vec::new(), [1, 2, 3, 4]);
            write_masked(&mut frame, opcode, true, key, b"");
            let mut transport = Transport::own(Flood(frame, READS)).framed();
            let (peer, mut bytes) = (peer().framed(), [0; 1000]);
            let mut read = || {
                let mut into = ReadBuf::new(&mut bytes);
                transport.poll_read(&mut Context::from_waker(Waker::noop()), &mut into, &peer)
            };
            for _ in 0..READS {
                assert!(read().is_pending(), "{opcode:?}");
            }
            assert!(read().is_ready(), "it has ended");
        }
    }
}
