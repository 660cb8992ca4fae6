//! A plain HTTP client: one request a connection, and a connection on which events come.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::lines::PATIENCE;
use crate::server::Server;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The problem that the answer must be, with this status and code.
    pub(crate) fn problem(&self, status: u16, code: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let document = self.json();
        assert_eq!((&document["status"], &document["code"]), (&status.into(), &code.into()), "{document}");
        assert_eq!(document["type"], format!("urn:neuroplex:error:{code}"));
        document
    }

    /// The JSON of an answer that must have this status.
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }
}

/// A connection with an answer's head read.
struct Open {
    reader: BufReader<TcpStream>,
    status: u16,
    headers: BTreeMap<String, String>,
}

impl Open {
    fn of(socket: TcpStream) -> Open {
        Open { reader: BufReader::new(socket), status: 0, headers: BTreeMap::new() }
    }

    fn read_head(&mut self) -> std::io::Result<()> {
        let first = self.line()?;
        self.status = first.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { return Ok(()) };
            self.headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn is_chunked(&self) -> bool {
        self.headers.get("transfer-encoding").is_some_and(|e| e == "chunked")
    }

    /// The next chunk; an empty one is the end.
    fn chunk(&mut self) -> std::io::Result<Vec<u8>> {
        let size = usize::from_str_radix(&self.line()?, 16).expect("a size");
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk)?;
        chunk.truncate(size);
        Ok(chunk)
    }

    /// The whole body.
    fn whole(&mut self) -> std::io::Result<Vec<u8>> {
        let mut all = Vec::new();
        match (self.is_chunked(), self.headers.get("content-length")) {
            (true, _) => loop {
                let chunk = self.chunk()?;
                if chunk.is_empty() {
                    break;
                }
                all.extend(chunk);
            },
            (false, Some(length)) => {
                all.resize(length.parse().expect("a length"), 0);
                self.reader.read_exact(&mut all)?;
            }
            (false, None) => _ = self.reader.read_to_end(&mut all)?,
        }
        Ok(all)
    }
}

/// The HTTP door of a node.
#[derive(Clone)]
pub(crate) struct Web(String);

/// A connection that stays for the next request.
pub(crate) struct Kept(Open);

impl Kept {
    /// Sends a request without a body, and reads its whole answer.
    pub(crate) fn ask(&mut self, method: &str, path: &str, authorization: &str) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\nContent-Length: 0\r\n\r\n"
        );
        self.0.reader.get_mut().write_all(head.as_bytes()).unwrap();
        self.0.read_head().unwrap();
        let body = String::from_utf8(self.0.whole().unwrap()).expect("text");
        Answer { status: self.0.status, headers: std::mem::take(&mut self.0.headers), body }
    }
}

impl Server {
    /// Its HTTP door.
    pub(crate) fn web(&self) -> Web {
        Web::at(self.http())
    }
}

impl Web {
    /// The door at this URL.
    pub(crate) fn at(url: &str) -> Web {
        Web(url.trim_start_matches("http://").to_owned())
    }

    /// Sends a request; its answer's head.
    fn open(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Open> {
        let mut socket = TcpStream::connect(&self.0)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        socket.write_all(&[head.as_bytes(), body].concat())?;
        let mut open = Open::of(socket);
        open.read_head()?;
        Ok(open)
    }

    /// A connection that stays.
    pub(crate) fn keep(&self) -> Kept {
        let socket = TcpStream::connect(&self.0).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Kept(Open::of(socket))
    }

    /// Sends a request, and reads its whole answer.
    pub(crate) fn try_ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Answer> {
        let mut open = self.open(method, path, headers, body)?;
        let body = String::from_utf8(open.whole()?).expect("text");
        Ok(Answer { status: open.status, headers: open.headers, body })
    }

    /// The headers and the bytes of what is at a path.
    pub(crate) fn bytes(&self, path: &str, headers: &[(&str, &str)]) -> (BTreeMap<String, String>, Vec<u8>) {
        let mut open = self.open("GET", path, headers, b"").unwrap();
        let body = open.whole().unwrap();
        (open.headers, body)
    }

    /// Sends a request with a body, and reads its whole answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let headers = [("Content-Type", "application/json")];
        self.try_ask(method, path, &headers[..usize::from(!body.is_empty())], body.as_bytes()).unwrap()
    }

    /// A request whose client goes before it is answered.
    pub(crate) fn ask_and_go(&self, method: &str, path: &str) -> TcpStream {
        let mut socket = TcpStream::connect(&self.0).unwrap();
        write!(socket, "{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        socket
    }

    /// Listens to events.
    pub(crate) fn events(&self, path: &str, headers: &[(&str, &str)]) -> Events {
        let open = self.open("GET", path, headers, b"").unwrap();
        assert_eq!((open.status, &*open.headers["content-type"]), (200, "text/event-stream"));
        Events { open, text: String::new() }
    }
}

/// Events as they come.
pub(crate) struct Events {
    open: Open,
    text: String,
}

/// One event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: Option<u64>,
    pub(crate) data: Value,
}

impl Events {
    /// The next event as it came.
    pub(crate) fn next_raw(&mut self) -> String {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if block.starts_with("event: ") {
                    return block;
                }
            }
            let chunk = self.open.chunk().expect("events");
            assert!(!chunk.is_empty(), "no further event");
            self.text += std::str::from_utf8(&chunk).expect("text");
        }
    }

    /// The next event; `None`: the answer has ended as it should.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = block.lines().filter_map(|line| line.split_once(": "));
                    lines.find(|(n, _)| *n == name).map(|(_, value)| value.to_owned())
                };
                let (kind, id, data) = (field("event"), field("id"), field("data"));
                self.text = rest.to_owned();
                if let (Some(kind), Some(data)) = (kind, data) {
                    let id = id.map(|id| id.parse().expect("a number"));
                    return Some(Event { kind, id, data: serde_json::from_str(&data).expect("JSON") });
                }
            }
            let chunk = self.open.chunk().expect("events");
            if chunk.is_empty() {
                return None;
            }
            self.text += std::str::from_utf8(&chunk).expect("text");
        }
    }
}
