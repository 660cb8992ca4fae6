//! `ws-fanout` and `sse-fanout`: one publisher in JSON frames over WebSocket, many who hear it. What reaches each of them
//! is compared, byte by byte, with the frames or events that must come.

use super::chunks::Chunks;
use super::{NAP, PATIENCE, head, until};
use crate::cpu::Moment;
use crate::link::{Link, Server};
use crate::poller::Poller;
use crate::{BenchError, Faults, Mode, Options, Report};
use std::io::{self, IoSlice};
use std::time::{Duration, Instant};
use wire::nats::Info;
use wire::websocket::{Opcode, write, write_masked};

/// The most that one write offers.
const WRITE_BYTES: usize = 256 << 10;
const READ_BYTES: usize = 256 << 10;
/// Reads of one turn of one socket; the others come next.
const READS: usize = 4;
/// What all subscribers together may not have received yet.
const WINDOWS_BYTES: usize = 64 << 20;
const HANDSHAKE: &str = "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
/// The chunk that comes before any event; the case of its size is the server's.
const GREETING: &[u8] = b"d\r\nretry: 1000\n\n\r\n";

/// A subscriber: how many bytes of frames or events have come, and how many were not as they should be.
struct Tap {
    link: Link,
    /// What events are packed in.
    chunks: Option<Chunks>,
    bytes: u64,
    damaged: u64,
}

/// What a message of this size comes in: a frame, or an event.
fn delivered(options: &Options) -> Vec<u8> {
    let (subject, payload) = (&options.subject, "x".repeat(options.size));
    let mut frame = Vec::new();
    match options.mode {
        Mode::SseFanout => {
            let event =
                format!("event: message\ndata: {{\"subject\":\"{subject}\",\"payload\":\"{payload}\"}}\n\n");
            frame.extend_from_slice(event.as_bytes());
        }
        _ => {
            let text = format!(r#"{{"op":"msg","sid":1,"subject":"{subject}","payload":"{payload}"}}"#);
            write(&mut frame, Opcode::Text, text.as_bytes());
        }
    }
    frame
}

pub(super) fn run(options: &Options, server: &Server) -> Result<Report, BenchError> {
    let expected = delivered(options);
    let text =
        format!(r#"{{"op":"pub","subject":"{}","payload":"{}"}}"#, options.subject, "x".repeat(options.size));
    let mut one = Vec::new();
    write_masked(&mut one, Opcode::Text, true, [0x12, 0x34, 0x56, 0x78], text.as_bytes());
    let poller = Poller::new()?;
    let mut taps = Vec::with_capacity(options.clients);
    for token in 0..options.clients {
        let tap = match options.mode {
            Mode::SseFanout => Tap::of_events(server, &options.subject)?,
            _ => Tap::of_frames(server, &options.subject)?,
        };
        poller.add_reader(&tap.link, token)?;
        taps.push(tap);
    }
    let publisher = shake(server)?;
    let window = (options.window_bytes.min(WINDOWS_BYTES / options.clients.max(1)) / expected.len()).max(1);
    let mut load = Fanout {
        poller,
        taps,
        publisher,
        one,
        expected,
        window: window as u64,
        written: 0,
        buffer: vec![0; READ_BYTES],
    };
    let part = f64::from(options.warmup_percent) / 100.0;
    load.run(
        (options.msgs as f64 * part) as u64,
        options.duration.map(|d| Instant::now() + d.mul_f64(part)),
    )?;
    load.settle()?;
    let (sent, received) = (load.sent(), load.received());
    let before = Moment::now(options.server_pid)?;
    load.run(options.msgs, options.duration.map(|d| Instant::now() + d))?;
    let spent = before.until(&Moment::now(options.server_pid)?);
    let (sent, received) = (load.sent() - sent, load.received() - received);
    load.settle()?;
    let report = Report::new(options, &Info::default(), spent, sent, received);
    Ok(Report { faults: load.faults(), ..report })
}

/// A connection in frames of WebSocket.
fn shake(server: &Server) -> Result<Link, BenchError> {
    let link = Link::bare(server)?;
    link.write_line(HANDSHAKE.as_bytes())?;
    head(&link, b"HTTP/1.1 101")?;
    Ok(link)
}

impl Tap {
    /// Subscribes over WebSocket.
    fn of_frames(server: &Server, subject: &str) -> Result<Tap, BenchError> {
        let link = shake(server)?;
        let sub = format!(r#"{{"op":"sub","sid":1,"subject":"{subject}","ok":true}}"#);
        let (mut frame, mut ok) = (Vec::new(), Vec::new());
        write_masked(&mut frame, Opcode::Text, true, [0; 4], sub.as_bytes());
        link.write_line(&frame)?;
        write(&mut ok, Opcode::Text, br#"{"op":"ok","sid":1}"#);
        let said = until(&link, |b| b.len() >= ok.len())?;
        match said == ok {
            true => Ok(Tap { link, chunks: None, bytes: 0, damaged: 0 }),
            false => Err(BenchError::Refused(String::from_utf8_lossy(&said).into_owned())),
        }
    }

    /// Subscribes to events.
    fn of_events(server: &Server, subject: &str) -> Result<Tap, BenchError> {
        let link = Link::bare(server)?;
        let ask = format!(
            "GET /v1/subscribe?subject={subject} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
        );
        link.write_line(ask.as_bytes())?;
        head(&link, b"HTTP/1.1 200")?;
        let greeting = until(&link, |b| b.len() >= GREETING.len())?;
        match greeting.eq_ignore_ascii_case(GREETING) {
            true => Ok(Tap { link, chunks: Some(Chunks::default()), bytes: 0, damaged: 0 }),
            false => Err(BenchError::Refused(String::from_utf8_lossy(&greeting).into_owned())),
        }
    }
}

struct Fanout {
    poller: Poller,
    taps: Vec<Tap>,
    publisher: Link,
    one: Vec<u8>,
    expected: Vec<u8>,
    /// Messages that the publisher may be ahead of the slowest.
    window: u64,
    written: u64,
    buffer: Vec<u8>,
}

impl Fanout {
    fn sent(&self) -> u64 {
        self.written.div_ceil(self.one.len() as u64)
    }

    fn received(&self) -> u64 {
        self.taps.iter().map(|t| t.bytes / self.expected.len() as u64).sum()
    }

    fn slowest(&self) -> u64 {
        self.taps.iter().map(|t| t.bytes / self.expected.len() as u64).min().unwrap_or(u64::MAX)
    }

    fn run(&mut self, msgs: u64, deadline: Option<Instant>) -> Result<(), BenchError> {
        let end = self.sent().saturating_add(msgs);
        let mut moved_at = Instant::now();
        while self.slowest() < end {
            if deadline.is_some_and(|d| Instant::now() >= d) {
                break;
            }
            let wrote = self.write(end)?;
            if self.read(if wrote { Duration::ZERO } else { NAP })? || wrote {
                moved_at = Instant::now();
            } else if moved_at.elapsed() > PATIENCE {
                return Err(self.stalled());
            }
        }
        Ok(())
    }

    /// Ends the message that was begun, and waits until every subscriber has all.
    fn settle(&mut self) -> Result<(), BenchError> {
        let mut moved_at = Instant::now();
        while self.slowest() < self.sent() || !self.written.is_multiple_of(self.one.len() as u64) {
            let wrote = self.write(self.sent())?;
            if self.read(NAP)? || wrote {
                moved_at = Instant::now();
            } else if moved_at.elapsed() > PATIENCE {
                return Err(self.stalled());
            }
        }
        Ok(())
    }

    fn stalled(&self) -> BenchError {
        let (sent, delivered) = (self.sent(), self.received());
        let expected = sent * self.taps.len() as u64;
        BenchError::Stalled { seconds: PATIENCE.as_secs(), sent, delivered, expected }
    }

    /// Writes as far as the window and the socket allow, up to `end` messages in all.
    fn write(&mut self, end: u64) -> Result<bool, BenchError> {
        let len = self.one.len() as u64;
        let goal = self.slowest().saturating_add(self.window).min(end).max(self.sent()) * len;
        let left = goal.saturating_sub(self.written).min(WRITE_BYTES as u64) as usize;
        if left == 0 {
            return Ok(false);
        }
        let slices: Vec<IoSlice<'_>> = crate::tap::slices(&self.one, self.written, left);
        // More than a system takes at once.
        let slices = slices.get(..slices.len().min(1024)).unwrap_or_default();
        match self.publisher.write(slices)? {
            Some(0) => Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            Some(n) => {
                self.written += n as u64;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn read(&mut self, nap: Duration) -> Result<bool, BenchError> {
        let delivered = self.received();
        let Fanout { poller, taps, expected, buffer, .. } = self;
        let mut moved = false;
        for ready in poller.wait(nap)? {
            let Some(tap) = taps.get_mut(ready.token) else { continue };
            for _ in 0..READS {
                match tap.link.read(buffer)? {
                    Some(0) => return Err(BenchError::Closed { delivered, reason: None }),
                    Some(n) => {
                        tap.feed(expected, buffer.get(..n).unwrap_or_default())?;
                        moved = true;
                    }
                    None => break,
                }
            }
        }
        Ok(moved)
    }

    fn faults(&self) -> Faults {
        let sent = self.sent();
        let mut faults = Faults::default();
        for tap in &self.taps {
            let received = tap.bytes / self.expected.len() as u64;
            faults.lost += sent.saturating_sub(received);
            faults.doubled += received.saturating_sub(sent);
            faults.damaged += tap.damaged;
        }
        faults
    }
}

impl Tap {
    /// Compares what was read with what must come.
    fn feed(&mut self, expected: &[u8], bytes: &[u8]) -> Result<(), BenchError> {
        let Tap { chunks, bytes: count, damaged, .. } = self;
        let Some(chunks) = chunks else {
            compare(count, damaged, expected, bytes);
            return Ok(());
        };
        let fed = chunks.feed(bytes, |content| compare(count, damaged, expected, content));
        fed.map_err(|_| BenchError::Refused("what is no chunk of events, or the end of them".into()))
    }
}

/// Compares the next bytes with the repetition of what must come.
fn compare(count: &mut u64, damaged: &mut u64, expected: &[u8], mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let at = (*count % expected.len() as u64) as usize;
        let wanted = expected.get(at..).unwrap_or_default();
        let len = wanted.len().min(bytes.len());
        let (part, rest) = bytes.split_at(len);
        *damaged += u64::from(wanted.get(..len) != Some(part));
        *count += len as u64;
        bytes = rest;
    }
}
