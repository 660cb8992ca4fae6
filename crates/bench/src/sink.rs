//! A server that does nothing: it counts what is published and writes prebuilt deliveries.
//!
//! Against it a run shows the load's own maximum: what a real server reaches less, the server was the limit. It is *not*
//! a server: it knows the run beforehand and parses nothing in the stream.

use crate::block::Block;
use crate::counter::Counter;
use crate::link::unless_blocked;
use crate::poller::Poller;
use crate::tap::slices;
use crate::{BenchError, Options};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use wire::nats::{Info, encode};

const READ_BYTES: usize = 256 << 10;
const WRITE_BYTES: usize = 512 << 10;
const NAP: Duration = Duration::from_millis(50);
const LISTENER: usize = usize::MAX >> 1;

/// The sink of one run: one publisher, the subscribers of its mode.
#[derive(Debug)]
pub struct Sink {
    listener: TcpListener,
    publish: Arc<Block>,
    deliver: Arc<Block>,
}

struct Peer {
    stream: TcpStream,
    /// Its publishes, or only lines.
    counter: Counter,
    /// Bytes of deliveries written.
    written: u64,
    open: bool,
}

impl Sink {
    /// Listens on a free port of this machine for the run that `options` describes.
    ///
    /// # Errors
    /// When the system gives no port.
    pub fn bind(options: &Options) -> Result<Self, BenchError> {
        options.check()?;
        let (publish, deliver) = Block::pair(options);
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, publish: Arc::new(publish), deliver: Arc::new(deliver) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not know.
    pub fn address(&self) -> Result<SocketAddr, BenchError> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves until all connections of the run have ended.
    ///
    /// # Errors
    /// When a socket fails.
    pub fn serve(self) -> Result<(), BenchError> {
        let mut poller = Poller::new()?;
        poller.add_reader(&self.listener, LISTENER)?;
        let mut peers: Vec<Peer> = Vec::new();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let mut accept = false;
            for ready in poller.wait(NAP)? {
                match peers.get_mut(ready.token) {
                    Some(peer) => peer.read(&mut buffer)?,
                    None => accept = true,
                }
            }
            if accept {
                let (stream, _) = self.listener.accept()?;
                poller.add_edges(&stream, peers.len())?;
                peers.push(Peer::greet(stream, self.publish.clone())?);
            }
            let published: u64 = peers.iter().map(|peer| peer.counter.received()).sum();
            let bytes = published * self.deliver.message_len() as u64;
            for peer in &mut peers {
                peer.write(&self.deliver, bytes)?;
            }
            if !peers.is_empty() && peers.iter().all(|peer| !peer.open) {
                return Ok(());
            }
        }
    }
}

impl Peer {
    fn greet(stream: TcpStream, publish: Arc<Block>) -> Result<Self, BenchError> {
        stream.set_nodelay(true)?;
        let mut info = Vec::new();
        let sink = Info { server_name: "sink".into(), headers: true, ..Info::default() };
        encode::info(&mut info, &sink);
        (&stream).write_all(&info)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, counter: Counter::new(publish, true), written: 0, open: true })
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), BenchError> {
        while self.open {
            match unless_blocked((&self.stream).read(buffer))? {
                Some(0) => self.open = false,
                Some(n) => self.counter.feed(buffer.get(..n).unwrap_or_default()),
                None => break,
            }
        }
        Ok(())
    }

    /// Writes deliveries up to `bytes` in all, then answers PINGs.
    fn write(&mut self, deliver: &Block, bytes: u64) -> Result<(), BenchError> {
        let bytes = if self.counter.lines.subscriptions > 0 { bytes } else { 0 };
        while self.open && self.written < bytes {
            let len = (bytes - self.written).min(WRITE_BYTES as u64) as usize;
            let slices = slices(deliver.bytes(), self.written, len);
            match unless_blocked((&self.stream).write_vectored(&slices))? {
                Some(0) => self.open = false,
                Some(n) => self.written += n as u64,
                None => return Ok(()),
            }
        }
        while self.open && self.counter.lines.pings_owed > 0 {
            (&self.stream).write_all(encode::PONG)?;
            self.counter.lines.pings_owed -= 1;
        }
        Ok(())
    }
}
