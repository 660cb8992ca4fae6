//! A transcript: what is sent to a server, byte by byte, on one or two connections, and what came back.
//!
//! The file's language, one step a line:
//!
//! | line | meaning |
//! |---|---|
//! | `# words` | a comment; the first says what is shown |
//! | `server NAME` | the setup of the server; `plain` unless said otherwise |
//! | `> text` | sends the text and CRLF |
//! | `>> text` | sends the text alone |
//! | `B> text`, `B>> text` | the same on a second connection |
//! | `sync`, `B sync` | sends PING and reads until the PONG |
//! | `reconnect` | reads the connection to its end and opens another |
//! | `hear pings` | keeps the server's own PINGs, which are left out otherwise |
//! | `errors once` | an error said several times in a row counts once: nats-server repeats some as chance has it |
//! | `until closed` | at the end no PING is sent: the server is expected to close |
//! | `only once` | plays it as it stands, not byte by byte too |
//! | `every split` | plays it once for each way to cut the bytes in two |
//!
//! In a text `\r \n \t \0 \\ \xHH` are single bytes and `{a*5000}` is a letter so many times.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long an answer may take. Only a server that says nothing makes us wait so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a server may take to close a connection that it is expected to close.
const CLOSING: Duration = Duration::from_secs(15);
/// A pause that lets the server read what was sent, so that a cut in the bytes is a cut in its reads.
const PAUSE: Duration = Duration::from_micros(700);

/// How the bytes of a transcript are cut when they are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// As much at once as the steps allow.
    Whole,
    /// One byte at a time.
    Bytes,
    /// In two, before the byte of that number.
    At(usize),
}

/// One step on connection 0 (A) or 1 (B).
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Send(usize, Vec<u8>),
    Sync(usize),
    Reconnect,
}

/// A parsed transcript.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) about: String,
    pub(crate) server: String,
    pub(crate) every_split: bool,
    pub(crate) only_once: bool,
    hear_pings: bool,
    errors_once: bool,
    until_closed: bool,
    steps: Vec<Step>,
}

impl Script {
    /// Reads a transcript's file.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self {
            about: String::new(),
            server: "plain".into(),
            every_split: false,
            only_once: false,
            hear_pings: false,
            errors_once: false,
            until_closed: false,
            steps: Vec::new(),
        };
        for (at, line) in text.lines().enumerate() {
            script.line(line).map_err(|why| format!("line {}: {why}", at + 1))?;
        }
        if script.about.is_empty() { Err("no comment says what is shown".into()) } else { Ok(script) }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let (to, rest) = line
            .strip_prefix("B")
            .filter(|rest| rest.starts_with(['>', ' ']))
            .map_or((0, line), |rest| (1, rest));
        if let Some(text) = rest.strip_prefix(">>") {
            self.steps.push(Step::Send(to, bytes(text.strip_prefix(' ').unwrap_or(text))?));
        } else if let Some(text) = rest.strip_prefix('>') {
            self.steps.push(Step::Send(
                to,
                [bytes(text.strip_prefix(' ').unwrap_or(text))?, b"\r\n".into()].concat(),
            ));
        } else if let Some(comment) = line.strip_prefix('#') {
            self.about =
                if self.about.is_empty() { comment.trim().into() } else { std::mem::take(&mut self.about) };
        } else if let Some(name) = line.strip_prefix("server ") {
            self.server = name.trim().into();
        } else {
            match rest.trim() {
                "sync" => self.steps.push(Step::Sync(to)),
                "reconnect" => self.steps.push(Step::Reconnect),
                "hear pings" => self.hear_pings = true,
                "errors once" => self.errors_once = true,
                "until closed" => self.until_closed = true,
                "only once" => self.only_once = true,
                "every split" => self.every_split = true,
                "" => {}
                _ => return Err(format!("`{line}` is no step")),
            }
        }
        Ok(())
    }

    /// How many bytes are sent on the first connection.
    pub(crate) fn bytes(&self) -> usize {
        self.steps.iter().map(|step| if let Step::Send(0, bytes) = step { bytes.len() } else { 0 }).sum()
    }

    /// Plays the transcript to a server and returns what it answered, line by line, connection by connection.
    pub(crate) fn play(&self, port: u16, cut: Cut) -> Result<Vec<String>, String> {
        // the second connection is opened when it is first used
        let mut wires = vec![Wire::open(port)?];
        let mut log = Vec::new();
        let mut sent = 0;
        for step in &self.steps {
            if wires.len() == 1 && matches!(step, Step::Send(1, _) | Step::Sync(1)) {
                wires.push(Wire::open(port)?);
            }
            match step {
                Step::Send(to, bytes) => {
                    wires[*to].send(bytes, cut, sent);
                    sent += if *to == 0 { bytes.len() } else { 0 };
                }
                Step::Sync(to) => wires[*to].sync(cut),
                Step::Reconnect => {
                    wires[0].read_until(CLOSING, |_| false);
                    log.extend(wires[0].lines(self.hear_pings));
                    wires[0] = Wire::open(port)?;
                }
            }
        }
        for wire in &mut wires {
            match self.until_closed {
                true => wire.read_until(CLOSING, |_| false),
                false => wire.sync(Cut::Whole),
            }
        }
        for (at, wire) in wires.iter().enumerate() {
            let letter = if at == 0 { "" } else { "B: " };
            log.extend(wire.lines(self.hear_pings).into_iter().map(|line| format!("{letter}{line}")));
        }
        if self.errors_once {
            log.dedup_by(|line, before| line == before && line.contains("-ERR"));
        }
        Ok(log)
    }
}

/// One connection and everything it has heard.
struct Wire {
    socket: TcpStream,
    /// What waits to be sent at once.
    outgoing: Vec<u8>,
    heard: Vec<u8>,
    closed: bool,
    pings: usize,
}

impl Wire {
    /// Connects and waits for the greeting.
    fn open(port: u16) -> Result<Self, String> {
        let socket = TcpStream::connect(("127.0.0.1", port)).map_err(|e| format!("port {port}: {e}"))?;
        socket.set_nodelay(true).map_err(|e| e.to_string())?;
        let mut wire = Self { socket, outgoing: Vec::new(), heard: Vec::new(), closed: false, pings: 0 };
        wire.read_until(PATIENCE, |heard| heard.ends_with(b"\r\n"));
        Ok(wire)
    }

    /// Sends bytes, or keeps them until an answer is waited for; `before` is how many were sent earlier. A server that
    /// has closed makes this do nothing.
    fn send(&mut self, bytes: &[u8], cut: Cut, before: usize) {
        self.pings += usize::from(is_ping(bytes));
        let pieces: Vec<&[u8]> = match cut {
            Cut::Whole => return self.outgoing.extend_from_slice(bytes),
            Cut::Bytes => bytes.chunks(1).collect(),
            Cut::At(at) => match at.checked_sub(before).and_then(|at| bytes.split_at_checked(at)) {
                Some((left, right)) if !left.is_empty() && !right.is_empty() => vec![left, right],
                _ => vec![bytes],
            },
        };
        for (at, piece) in pieces.iter().enumerate() {
            if at > 0 {
                std::thread::sleep(PAUSE);
            }
            if self.socket.write_all(piece).is_err() {
                return;
            }
        }
    }

    /// Sends PING and reads until as many PONGs came as PINGs were sent, or nothing more comes.
    fn sync(&mut self, cut: Cut) {
        self.send(b"PING\r\n", if matches!(cut, Cut::At(_)) { Cut::Whole } else { cut }, 0);
        let wanted = self.pings;
        self.read_until(PATIENCE, |heard| count_lines(heard, b"PONG\r\n") >= wanted);
    }

    fn read_until(&mut self, patience: Duration, enough: impl Fn(&[u8]) -> bool) {
        // a server that has closed does not take it, which its answer shows
        let _ = self.socket.write_all(&std::mem::take(&mut self.outgoing));
        let deadline = Instant::now() + patience;
        let mut buffer = [0; 16 * 1024];
        while !self.closed && !enough(&self.heard) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.socket.set_read_timeout(Some(left)).is_err() {
                return;
            }
            match self.socket.read(&mut buffer) {
                Ok(0) => self.closed = true,
                Ok(count) => self.heard.extend_from_slice(&buffer[..count]),
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(_) => self.closed = true,
            }
        }
    }

    /// What was heard, one entry a line, the greeting reduced to what clients read, and how it ended.
    fn lines(&self, hear_pings: bool) -> Vec<String> {
        let mut lines: Vec<String> = self
            .heard
            .split_inclusive(|b| *b == b'\n')
            .map(|line| normal(&printable(line)))
            .filter(|line| hear_pings || line != "PING")
            .collect();
        if self.closed {
            lines.push("(closed)".into());
        }
        lines
    }
}

/// Whether a server answers this with PONG.
fn is_ping(bytes: &[u8]) -> bool {
    bytes.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"PING"))
        && !bytes.get(4).is_some_and(u8::is_ascii_alphanumeric)
}

fn count_lines(heard: &[u8], wanted: &[u8]) -> usize {
    heard.split_inclusive(|b| *b == b'\n').filter(|line| *line == wanted).count()
}

/// Fields of INFO that clients read. The first are compared by value, the others by being there.
const INFO_VALUES: [&str; 6] =
    ["proto", "headers", "max_payload", "auth_required", "tls_required", "tls_verify"];
const INFO_KEYS: [&str; 9] =
    ["server_id", "server_name", "version", "host", "port", "client_id", "client_ip", "nonce", "ldm"];

/// A line as it is compared: without its CRLF, and INFO without what differs from server to server.
fn normal(line: &str) -> String {
    let line = line.strip_suffix("\\r\\n").unwrap_or(line);
    let Some(json) = line.strip_prefix("INFO ") else { return line.into() };
    let Ok(info) = serde_json::from_str::<serde_json::Value>(json) else { return line.into() };
    let values = INFO_VALUES.iter().filter_map(|key| Some(format!("{key}={}", info.get(key)?)));
    let keys = INFO_KEYS.iter().filter(|key| info.get(key).is_some()).map(|key| (*key).to_owned());
    format!("INFO {}", values.chain(keys).collect::<Vec<_>>().join(" "))
}

/// Bytes as text: what is printable as it is, the rest as escapes.
fn printable(bytes: &[u8]) -> String {
    let escape = |b: &u8| {
        if matches!(b, b'\'' | b'"') { char::from(*b).to_string() } else { b.escape_ascii().to_string() }
    };
    bytes.iter().map(escape).collect()
}

/// The bytes that a text of the file stands for.
fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((letter, count, length)) = repeated(rest) {
            out.resize(out.len() + count, letter);
            rest = &rest[length..];
        } else if first == '\\' {
            let (byte, length) = escaped(rest).ok_or(format!("`{rest}` starts with no escape"))?;
            out.push(byte);
            rest = &rest[length..];
        } else {
            out.extend_from_slice(&rest.as_bytes()[..first.len_utf8()]);
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(out)
}

/// `{a*5000}`: the letter, how many, and how long that text is.
fn repeated(text: &str) -> Option<(u8, usize, usize)> {
    let (inside, _) = text.strip_prefix('{')?.split_once('}')?;
    let (letter, count) = inside.split_once('*')?;
    match letter.as_bytes() {
        [letter] => Some((*letter, count.parse().ok()?, inside.len() + 2)),
        _ => None,
    }
}

fn escaped(text: &str) -> Option<(u8, usize)> {
    match text.as_bytes().get(1)? {
        b'r' => Some((b'\r', 2)),
        b'n' => Some((b'\n', 2)),
        b't' => Some((b'\t', 2)),
        b'0' => Some((0, 2)),
        b'\\' => Some((b'\\', 2)),
        b'x' => Some((u8::from_str_radix(text.get(2..4)?, 16).ok()?, 4)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_step_by_step() {
        let script = Script::parse(
            "# Shows x.\nserver small\nevery split\n> PUB a 1\n>> x\\r\\n\nB> PING\nB sync\nsync\n",
        )
        .unwrap();
        assert_eq!(
            (script.about.as_str(), script.server.as_str(), script.every_split),
            ("Shows x.", "small", true)
        );
        let sent = |to, bytes: &[u8]| Step::Send(to, bytes.into());
        assert_eq!(
            script.steps,
            [sent(0, b"PUB a 1\r\n"), sent(0, b"x\r\n"), sent(1, b"PING\r\n"), Step::Sync(1), Step::Sync(0)]
        );
        assert_eq!(script.bytes(), 12);
    }

    #[test]
    fn what_is_no_step_is_refused() {
        for text in ["> PING\n", "# x\nsend PING\n", "# x\n> \\q\n", "# x\n> \\x0\n"] {
            assert!(Script::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_stand_for_bytes() {
        assert_eq!(
            bytes("a{b*3}\\x00\\\\{\"k\":1}é").unwrap(),
            [b"abbb\0\\{\"k\":1}".as_slice(), "é".as_bytes()].concat()
        );
    }

    #[test]
    fn info_is_reduced_to_what_clients_read() {
        let line = printable(b"INFO {\"server_id\":\"N1\",\"proto\":1,\"go\":\"1.2\",\"headers\":true} \r\n");
        assert_eq!(normal(&line), "INFO proto=1 headers=true server_id");
        assert_eq!(normal("-ERR 'x'\\r\\n"), "-ERR 'x'");
    }
}
