//! Clients that a server has to bear: one that stops reading, ones that come and go or talk nonsense, and one that
//! subscribes without end. Raw sockets, because a client library would not do such things.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long one of them waits for an answer that must come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a stalled reader does not read.
const STALL: Duration = Duration::from_secs(3);
/// Subscriptions of one storm.
const STORM: u64 = 20_000;
const NAP: Duration = Duration::from_millis(20);
const HELLO: &[u8] = b"CONNECT {\"verbose\":false,\"name\":\"soak\"}\r\n";

/// A way to be a nuisance.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Subscribes to the fan-out's subject and reads nothing.
    StalledReader,
    /// Connects and leaves: at once, in the middle of the handshake, after it, or after a malformed line.
    Churn,
    /// Subscribes thousands of times, then takes it back or just leaves.
    Storm,
}

/// One thread for each.
pub(crate) const ALL: [Kind; 3] = [Kind::StalledReader, Kind::Churn, Kind::Storm];

/// How often each was one.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    stalls: u64,
    cut: u64,
    connections: u64,
    subscriptions: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Counts) {
        self.stalls += other.stalls;
        self.cut += other.cut;
        self.connections += other.connections;
        self.subscriptions += other.subscriptions;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { stalls, cut, connections, subscriptions } = self;
        write!(f, "{stalls} stalled readers ({cut} cut), {connections} connections churned, ")?;
        write!(f, "{subscriptions} subscriptions stormed")
    }
}

/// One of them, until the round is over.
pub(crate) struct Nuisance<'a> {
    port: u16,
    over: &'a AtomicBool,
    counts: Counts,
}

impl<'a> Nuisance<'a> {
    pub(crate) fn new(port: u16, over: &'a AtomicBool) -> Self {
        Self { port, over, counts: Counts::default() }
    }

    /// Goes on until the round is over. An error is a server that does not take or answer a connection.
    pub(crate) fn run(mut self, kind: Kind) -> Result<Counts, String> {
        let mut nth = 0;
        while !self.over.load(Ordering::Relaxed) {
            let done = match kind {
                Kind::StalledReader => self.stall(),
                Kind::Churn => self.churn(nth),
                Kind::Storm => self.storm(nth),
            };
            done.map_err(|e| format!("{kind:?}: {e}"))?;
            nth += 1;
        }
        Ok(self.counts)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    fn stall(&mut self) -> io::Result<()> {
        let mut stream = self.connect()?;
        stream.write_all(&[HELLO, b"SUB soak.fan 1\r\nPING\r\n"].concat())?;
        let end = Instant::now() + STALL;
        while Instant::now() < end && !self.over.load(Ordering::Relaxed) {
            thread::sleep(NAP);
        }
        // Now it reads what was kept for it: to the end, if it was cut.
        self.counts.stalls += 1;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut buffer = vec![0; 1 << 20];
        let end = Instant::now() + STALL;
        while Instant::now() < end {
            match stream.read(&mut buffer) {
                Ok(0) => {
                    self.counts.cut += 1;
                    break;
                }
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => {
                    self.counts.cut += 1;
                    break;
                }
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn churn(&mut self, nth: u64) -> io::Result<()> {
        self.counts.connections += 1;
        let mut stream = self.connect()?;
        match nth % 5 {
            0 => Ok(()),
            1 => stream.write_all(b"CONN"),
            2 => {
                stream.write_all(&[HELLO, b"SUB soak.one 1\r\nPING\r\n"].concat())?;
                until(&mut stream, b"PONG\r\n").map(drop)
            }
            3 => stream.write_all(&[HELLO, b"PUB soak.nobody 1000000\r\nhalf a message"].concat()),
            _ => {
                stream.write_all(&[HELLO, b"THIS IS NO VERB\r\n"].concat())?;
                until(&mut stream, b"-ERR").map(drop)
            }
        }
    }

    fn storm(&mut self, nth: u64) -> io::Result<()> {
        let mut stream = self.connect()?;
        let mut lines = HELLO.to_vec();
        for sid in 1..=STORM {
            lines.extend_from_slice(format!("SUB storm.{}.{sid}.> {sid}\r\n", sid % 97).as_bytes());
        }
        if nth.is_multiple_of(2) {
            for sid in 1..=STORM {
                lines.extend_from_slice(format!("UNSUB {sid}\r\n").as_bytes());
            }
        }
        lines.extend_from_slice(b"PING\r\n");
        stream.write_all(&lines)?;
        self.counts.subscriptions += STORM;
        until(&mut stream, b"PONG\r\n").map(drop)
    }
}

/// Reads until `end` has come.
fn until(stream: &mut TcpStream, end: &[u8]) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            let said = String::from_utf8_lossy(said.get(..200).unwrap_or(&said)).into_owned();
            return Err(io::Error::other(format!("the server closed the connection after {said:?}")));
        }
        said.extend_from_slice(buffer.get(..n).unwrap_or_default());
        if said.windows(end.len()).any(|w| w == end) {
            return Ok(said);
        }
        // Only the end may hold the beginning of what is awaited.
        said.drain(..said.len().saturating_sub(4096));
    }
}
