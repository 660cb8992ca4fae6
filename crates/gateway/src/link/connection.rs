//! Drives one connection: a future that is polled when its socket can be read, when somebody sends it on an errand,
//! or when a pause ends. An idle one owns no buffer: reading happens into a buffer that the thread shares.
//!
//! A turn is bounded (a few reads), so that a flood starves nobody. What a turn put into other outboxes is written
//! from here, after the bytes that were read are used up.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fabric::{Flush, Woken};
use kernel::limits::PUBLISHER_PAUSE_MS_MAX;
use kernel::{Drain, Spare};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use wire::websocket::close;

use super::peer::{Peer, errand, try_write};
use super::transport::{End, Stream, Transport};
use super::{Flow, Speech};

/// Reads of one turn; after them others may go first.
const READS_MAX: usize = 4;
/// Flushes of one turn that the owner makes for others; after them others may go first.
const WRITES_MAX: usize = 4;
/// The buffer that all connections of a thread read into, in bytes.
const READ_BYTES: usize = 256 * 1024;
/// From this size on an unfinished message gathers in a buffer of its own, in bytes.
const LARGE_BYTES: usize = 8 * 1024;
/// How long a closed connection waits for the client to read its last line, in milliseconds.
const LINGER_MS: u64 = 1000;

/// What the connections of one thread share.
struct Turn {
    buffer: Box<[u8]>,
    woken: Woken,
}

thread_local! {
    static TURN: RefCell<Turn> =
        RefCell::new(Turn { buffer: vec![0; READ_BYTES].into(), woken: Woken::default() });
}

enum State {
    Open,
    /// A listener is above its high-water mark: reading goes on when it has drained, or when the pause is over.
    Paused(Vec<Arc<dyn Drain>>, Pin<Box<Sleep>>),
    /// Writes what is left, then waits a little for the client to read it.
    Closing(Pin<Box<Sleep>>),
    /// Everything is written and the client was told; what it still sends is thrown away.
    Lingering(Pin<Box<Sleep>>),
}

/// See the module.
pub(crate) struct Connection<S: Speech> {
    peer: Arc<Peer>,
    transport: Transport,
    speech: S,
    /// The beginning of an operation whose rest has not come, and how many bytes it needs.
    partial: Vec<u8>,
    need: usize,
    /// `partial` holds whole operations that had to wait for the next turn.
    is_behind: bool,
    state: State,
    /// Held by a connection that was refused, until it is told.
    _farewell: Option<OwnedSemaphorePermit>,
}

impl<S: Speech> Connection<S> {
    /// Enters the client at the node and greets it. `None`: there is no room, and too many wait to be told.
    pub(crate) fn open(
        peer: Arc<Peer>,
        transport: Transport,
        greeting: &[u8],
        speech: S,
    ) -> Option<Connection<S>> {
        let refused = peer.shared.hub.clients.enter(peer.clone()).err();
        let farewell = match refused {
            Some(_) => Some(peer.shared.farewells.clone().try_acquire_owned().ok()?),
            None => None,
        };
        TURN.with_borrow_mut(|turn| {
            let spare = &mut turn.woken.spare;
            let mut owe = !greeting.is_empty() && peer.say(greeting, spare);
            if let Some(why) = refused {
                owe |= peer.say_last((peer.manner().last_words)(why), spare);
                peer.ask(errand::END);
            }
            if owe {
                peer.flush(spare);
            }
        });
        Some(Connection {
            peer,
            transport,
            speech,
            partial: Vec::new(),
            need: 0,
            is_behind: false,
            state: State::Open,
            _farewell: farewell,
        })
    }

    fn run_errands(&mut self, cx: &mut Context<'_>) {
        let errands = self.peer.errands(cx.waker());
        if errands == 0 {
            return;
        }
        TURN.with_borrow_mut(|turn| {
            let mut owe = false;
            if errands & errand::EXPIRED != 0 {
                owe |= self.speech.drop_expired(&mut turn.woken);
            }
            if errands & errand::PING != 0 {
                owe |= self.peer.say(self.peer.manner().ping, &mut turn.woken.spare);
            }
            if errands & errand::WARN != 0
                && let Some(warning) = self.speech.warning()
            {
                owe |= self.peer.say(&warning, &mut turn.woken.spare);
            }
            if owe {
                self.peer.flush(&mut turn.woken.spare);
            }
        });
        if errands & errand::END != 0 {
            self.close();
        }
    }

    /// Takes no more, and ends when what waits is written.
    fn close(&mut self) {
        let goodbye = self.speech.goodbye();
        if !goodbye.is_empty() && !self.peer.outbox.is_sealed() {
            TURN.with_borrow_mut(|turn| {
                if self.peer.say_last(&goodbye, &mut turn.woken.spare) {
                    self.peer.flush(&mut turn.woken.spare);
                }
            });
        }
        self.peer.outbox.seal();
        self.speech.drop_all();
        self.partial = Vec::new();
        self.count_partial();
        if !matches!(self.state, State::Closing(_) | State::Lingering(_)) {
            self.state = State::Closing(sleep(LINGER_MS));
        }
    }

    /// The number with which frames of WebSocket end.
    fn closing_code(&self) -> u16 {
        match self.peer.shared.lame.load(Relaxed) {
            true => close::GOING_AWAY,
            false => close::NORMAL,
        }
    }

    /// Writes what others left for the owner. Ready: nothing is left for it, or nothing can be written any more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let peer = &self.peer;
        TURN.with_borrow_mut(|turn| match &mut self.transport.end {
            End::Shared(_) => poll_write_shared(peer, &mut turn.woken.spare, cx),
            End::Own(stream) => poll_write_own(peer, &mut **stream, &mut turn.woken.spare, cx),
        })
    }

    /// Writes until nothing waits, whoever owes it. Ready: that is so.
    fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_write(cx));
        if !self.peer.outbox.is_idle() {
            // A publisher owes it, and may be slow to; if it is at it now, it sends us on an errand when it is done.
            TURN.with_borrow_mut(|turn| self.peer.flush(&mut turn.woken.spare));
        }
        match self.peer.outbox.is_idle() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Reads and carries out a few buffers of operations. Ready: the client is gone.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..READS_MAX {
            let flow = TURN.with_borrow_mut(|turn| self.poll_turn(cx, turn));
            match ready!(flow) {
                Ok(Flow::On) => {}
                Ok(Flow::Later) => break,
                Ok(Flow::Close) => {
                    self.close();
                    return Poll::Pending;
                }
                Err(_) => return Poll::Ready(()),
            }
            if !matches!(self.state, State::Open) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One read and what it brings, and the writes that this causes.
    fn poll_turn(&mut self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<io::Result<Flow>> {
        turn.woken.begin();
        let flow = if self.is_behind {
            Ok(self.catch_up(turn))
        } else if self.need > LARGE_BYTES {
            ready!(self.poll_large(cx, turn))
        } else {
            ready!(self.poll_small(cx, turn))
        };
        self.count_partial();
        let asked = self.speech.end_turn(&mut turn.woken);
        turn.woken.flush();
        self.peer.shared.warm.note(asked);
        let high = turn.woken.take_high();
        if !high.is_empty() && matches!(flow, Ok(Flow::On | Flow::Later)) {
            self.state = State::Paused(high, sleep(PUBLISHER_PAUSE_MS_MAX));
        }
        self.peer.shared.hub.keep_budget();
        Poll::Ready(flow)
    }

    /// Goes on with what an earlier turn has read.
    fn catch_up(&mut self, turn: &mut Turn) -> Flow {
        let mut bytes = std::mem::take(&mut self.partial);
        let (used, flow) = self.speech.carry_out(&mut bytes, &mut turn.woken);
        bytes.drain(..used);
        self.partial = bytes;
        self.remember(flow);
        flow
    }

    /// Reads into the thread's buffer, behind what is there of an unfinished operation.
    fn poll_small(&mut self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<io::Result<Flow>> {
        let kept = self.partial.len();
        turn.buffer[..kept].copy_from_slice(&self.partial);
        let mut buffer = ReadBuf::new(&mut turn.buffer);
        buffer.set_filled(kept);
        if let Err(e) = ready!(self.transport.poll_read(cx, &mut buffer, &self.peer)) {
            return Poll::Ready(Err(e));
        }
        let filled = buffer.filled().len();
        if filled == kept {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let (used, flow) = self.speech.carry_out(&mut turn.buffer[..filled], &mut turn.woken);
        self.partial.clear();
        self.partial.extend_from_slice(&turn.buffer[used..filled]);
        self.remember(flow);
        Poll::Ready(Ok(flow))
    }

    /// Reads the rest of a large message behind its beginning, which grows with what comes, not with what was
    /// announced.
    fn poll_large(&mut self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<io::Result<Flow>> {
        let missing = self.need - self.partial.len();
        let mut buffer = ReadBuf::new(&mut turn.buffer[..missing.min(READ_BYTES)]);
        if let Err(e) = ready!(self.transport.poll_read(cx, &mut buffer, &self.peer)) {
            return Poll::Ready(Err(e));
        }
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.partial.extend_from_slice(buffer.filled());
        if self.partial.len() < self.need {
            return Poll::Ready(Ok(Flow::On));
        }
        let whole = Bytes::from(std::mem::take(&mut self.partial));
        let (used, flow) = self.speech.carry_out_shared(&whole, &mut turn.woken);
        self.partial.extend_from_slice(&whole[used..]);
        self.remember(flow);
        Poll::Ready(Ok(flow))
    }

    /// Notes what `partial` is, after operations were carried out.
    fn remember(&mut self, flow: Flow) {
        self.is_behind = flow == Flow::Later && !self.partial.is_empty();
        self.need = self.speech.need();
        if self.partial.is_empty() {
            // An idle connection owns no buffer.
            self.partial = Vec::new();
            self.need = 0;
        }
    }

    /// Counts `partial` on the node's budget.
    fn count_partial(&self) {
        let (peer, held) = (&self.peer, self.partial.capacity() + self.speech.held_bytes());
        let before = peer.partial_bytes.swap(held, Relaxed);
        if before != held {
            peer.shared.hub.budget().add(held);
            peer.shared.hub.budget().sub(before);
        }
    }

    /// Throws away what a client still sends that was told to go. Ready: it is gone.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        TURN.with_borrow_mut(|turn| {
            for _ in 0..READS_MAX {
                let mut buffer = ReadBuf::new(&mut turn.buffer);
                match ready!(self.transport.poll_read(cx, &mut buffer, &self.peer)) {
                    Ok(()) if !buffer.filled().is_empty() => {}
                    _ => return Poll::Ready(()),
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// Whether all listeners that were too full have drained.
    fn poll_pause(high: &mut Vec<Arc<dyn Drain>>, cx: &mut Context<'_>) -> Poll<()> {
        high.retain(|l| l.on_drain(cx.waker()));
        match high.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl<S: Speech> Future for Connection<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.run_errands(cx);
        loop {
            match &mut this.state {
                State::Open => {
                    // What cannot be written now is no reason not to read.
                    let _ = this.poll_write(cx);
                    if this.poll_read(cx).is_ready() {
                        // The last frame to a client that said its own, as far as it goes.
                        let _ = this.poll_write(cx);
                        return Poll::Ready(());
                    }
                    if matches!(this.state, State::Open) {
                        return Poll::Pending;
                    }
                }
                State::Paused(high, timer) => {
                    let drained = Self::poll_pause(high, cx);
                    let is_over = timer.as_mut().poll(cx).is_ready();
                    let _ = this.poll_write(cx);
                    if drained.is_pending() && !is_over {
                        return Poll::Pending;
                    }
                    this.state = State::Open;
                }
                State::Closing(timer) => {
                    let is_over = timer.as_mut().poll(cx).is_ready();
                    if this.poll_write_all(cx).is_pending() && !is_over {
                        return Poll::Pending;
                    }
                    this.peer.end_frames(this.closing_code());
                    let told = this.poll_write(cx);
                    if is_over
                        || told.is_pending()
                        || this.transport.poll_shutdown(cx, &this.peer).is_pending()
                    {
                        return Poll::Ready(());
                    }
                    this.state = State::Lingering(sleep(LINGER_MS));
                }
                State::Lingering(timer) => {
                    if timer.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    return this.poll_drain(cx);
                }
            }
        }
    }
}

impl<S: Speech> Drop for Connection<S> {
    fn drop(&mut self) {
        self.speech.drop_all();
        self.partial = Vec::new();
        self.count_partial();
        self.peer.close();
        self.peer.shared.hub.clients.leave(self.peer.id);
    }
}

fn poll_write_shared(peer: &Peer, spare: &mut Spare, cx: &mut Context<'_>) -> Poll<()> {
    if !peer.outbox.is_blocked() && !peer.owes_control() {
        return Poll::Ready(());
    }
    let Some(writer) = peer.writer() else { return Poll::Ready(()) };
    let stream: &TcpStream = (*writer).as_ref();
    // A write that blocks clears the socket's readiness, so that asking for it again leaves a waker behind.
    for _ in 0..WRITES_MAX {
        if ready!(stream.poll_write_ready(cx)).is_err() {
            peer.outbox.close();
        }
        let flushed =
            peer.outbox.flush(spare, |pieces| peer.write(pieces, |slices| try_write(&writer, slices)));
        if matches!(flushed, Flush::Blocked) {
            continue;
        }
        match peer.write_control(|slices| try_write(&writer, slices)) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            _ => return Poll::Ready(()),
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

fn poll_write_own(peer: &Peer, stream: &mut dyn Stream, spare: &mut Spare, cx: &mut Context<'_>) -> Poll<()> {
    let mut is_full = false;
    let mut raw = |slices: &[IoSlice<'_>]| match Pin::new(&mut *stream).poll_write_vectored(cx, slices) {
        Poll::Ready(result) => result,
        Poll::Pending => {
            is_full = true;
            Err(io::ErrorKind::WouldBlock.into())
        }
    };
    let flushed = peer.outbox.flush(spare, |pieces| peer.write(pieces, &mut raw));
    // A failure shows at the next read.
    let _ = peer.write_control(&mut raw);
    if matches!(flushed, Flush::Blocked) && !is_full {
        // Others put faster than a round writes: they may go first.
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    if is_full {
        return Poll::Pending;
    }
    // What TLS still holds in its own buffer must go too.
    Pin::new(stream).poll_flush(cx).map(|_| ())
}

fn sleep(ms: u64) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
}
