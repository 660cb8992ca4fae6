//! A client's side of one connection, with as little between a script and the bytes as can be.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) sid: u64,
    pub(crate) reply: Option<String>,
    /// The header block with its status line, empty if there is none.
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

/// Something that a server sent.
pub(crate) enum Heard {
    Message(Message),
    Pong,
    Error(String),
}

/// A connection.
pub(crate) struct Wire {
    socket: TcpStream,
    reader: BufReader<TcpStream>,
    /// What was read of a line that has not ended.
    line: Vec<u8>,
    sid: u64,
}

impl Wire {
    /// Connects as the clients of others do: no `+OK`, nothing pedantic, headers, no-responders.
    pub(crate) fn open(port: u16) -> Result<Self, String> {
        let socket = TcpStream::connect(("127.0.0.1", port)).map_err(|e| format!("port {port}: {e}"))?;
        socket.set_nodelay(true).map_err(|e| e.to_string())?;
        let reader = BufReader::new(socket.try_clone().map_err(|e| e.to_string())?);
        let mut wire = Self { socket, reader, line: Vec::new(), sid: 0 };
        wire.write(
            b"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"protocol\":1}\r\n",
        )?;
        Ok(wire)
    }

    /// Subscribes and says under which number.
    pub(crate) fn subscribe(&mut self, subject: &str, queue: &str) -> Result<u64, String> {
        self.sid += 1;
        self.write(format!("SUB {subject} {queue} {}\r\n", self.sid).as_bytes())?;
        Ok(self.sid)
    }

    /// Publishes, with headers if there are any.
    pub(crate) fn publish(
        &mut self,
        subject: &str,
        reply: &str,
        headers: &[String],
        body: &[u8],
    ) -> Result<(), String> {
        let mut out = Vec::new();
        if headers.is_empty() {
            out.extend_from_slice(format!("PUB {subject} {reply} {}\r\n", body.len()).as_bytes());
        } else {
            let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
            let block = format!("NATS/1.0\r\n{lines}\r\n");
            let (ahead, all) = (block.len(), block.len() + body.len());
            out.extend_from_slice(format!("HPUB {subject} {reply} {ahead} {all}\r\n{block}").as_bytes());
        }
        out.extend_from_slice(body);
        out.extend_from_slice(b"\r\n");
        self.write(&out)
    }

    /// Asks for a PONG.
    pub(crate) fn ping(&mut self) -> Result<(), String> {
        self.write(b"PING\r\n")
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.socket.write_all(bytes).map_err(|e| format!("the server closed: {e}"))
    }

    /// What comes next, or nothing by then.
    pub(crate) fn next(&mut self, until: Instant) -> Result<Option<Heard>, String> {
        loop {
            let Some(line) = self.line(until)? else { return Ok(None) };
            let mut words = line.split_whitespace();
            match words.next() {
                Some("PING") => self.write(b"PONG\r\n")?,
                Some("PONG") => return Ok(Some(Heard::Pong)),
                Some("-ERR") => return Ok(Some(Heard::Error(line.trim_end().into()))),
                Some(word @ ("MSG" | "HMSG")) => {
                    return self.message(word == "HMSG", words.collect()).map(|m| Some(Heard::Message(m)));
                }
                _ => {}
            }
        }
    }

    fn line(&mut self, until: Instant) -> Result<Option<String>, String> {
        while !self.line.ends_with(b"\n") {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left)).map_err(|e| e.to_string())?;
            match self.reader.read_until(b'\n', &mut self.line) {
                Ok(0) => return Err("the server closed".into()),
                Ok(_) => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(e) => return Err(e.to_string()),
            }
        }
        Ok(Some(String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned()))
    }

    fn message(&mut self, with_headers: bool, words: Vec<&str>) -> Result<Message, String> {
        let strange = || format!("strange words of a message: {words:?}");
        let counts = if with_headers { 2 } else { 1 };
        let reply = match words.len().checked_sub(counts) {
            Some(2) => None,
            Some(3) => words.get(2).map(|reply| (*reply).to_owned()),
            _ => return Err(strange()),
        };
        let number = |back: usize| words.iter().rev().nth(back).and_then(|word| word.parse::<usize>().ok());
        let total = number(0).ok_or_else(strange)?;
        let ahead = if with_headers { number(1).ok_or_else(strange)? } else { 0 };
        let subject = words.first().copied().unwrap_or_default().to_owned();
        let sid = words.get(1).and_then(|word| word.parse().ok()).ok_or_else(strange)?;
        let mut body = vec![0; total + 2];
        self.socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).map_err(|e| e.to_string())?;
        self.reader.read_exact(&mut body).map_err(|e| e.to_string())?;
        body.truncate(total);
        let payload = body.split_off(ahead.min(total));
        let headers = String::from_utf8_lossy(&body).into_owned();
        Ok(Message { subject, sid, reply, headers, body: payload })
    }
}
