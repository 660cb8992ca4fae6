//! The HTTP door for the suite, and a blocking client of WebSocket.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use fabric::Hub;
use gateway::http::{HttpDoor, Identity, Tracing};
use gateway::nats::Door;
use gateway::{HttpOptions, NatsOptions};
use testkit::gateway::PAYLOAD_BYTES_MAX;
use tokio::runtime::Runtime;
use wire::websocket::{Opcode, Reader, Step, write_masked};

/// A door on a free port.
pub(crate) fn open(hub: Arc<Hub>) -> (SocketAddr, Runtime) {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let options = NatsOptions { payload_bytes_max: PAYLOAD_BYTES_MAX, ..NatsOptions::default() };
    let nats = Door::new(hub.clone(), options, "id".into(), "name".into(), None, address);
    let identity = Identity {
        server_id: "id".into(),
        node_id: "name".into(),
        nats_address: None,
        payload_bytes_max: PAYLOAD_BYTES_MAX,
        started_wall_ms: 0,
    };
    let door = HttpDoor::new(hub, identity, &HttpOptions::default(), address, None, None, Tracing::default());
    door.serve_nats(nats);
    door.set_ready(true);
    runtime.spawn(door.serve(listener));
    (address, runtime)
}

/// A connection: what is written goes as one message, what is read is the content of messages.
pub(crate) struct Socket {
    tcp: TcpStream,
    reader: Reader,
    /// Messages that have come whole, and the beginning of one that has not.
    pub(crate) messages: VecDeque<Vec<u8>>,
    partial: Vec<u8>,
    /// The code with which the door has ended.
    pub(crate) closed: Option<u16>,
    opcode: Opcode,
}

impl Socket {
    /// Shakes hands; `more`: further headers. Errors with the status that came instead.
    pub(crate) fn open(address: SocketAddr, path: &str, more: &str) -> Result<Socket, u16> {
        let mut tcp = TcpStream::connect(address).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{more}\r\n"
        );
        tcp.write_all(head.as_bytes()).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"\r\n\r\n") {
            tcp.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        let answer = String::from_utf8(answer).unwrap();
        let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
        if status != 101 {
            return Err(status);
        }
        let opcode = if path == "/nats" { Opcode::Binary } else { Opcode::Text };
        let reader = Reader::of_server(usize::MAX);
        Ok(Socket { tcp, reader, messages: VecDeque::new(), partial: Vec::new(), closed: None, opcode })
    }

    pub(crate) fn set_read_timeout(&self, patience: Duration) {
        self.tcp.set_read_timeout(Some(patience)).unwrap();
    }

    /// Reads once. 0: the door has ended.
    pub(crate) fn read_messages(&mut self) -> io::Result<usize> {
        let mut bytes = vec![0; 65536];
        let n = self.tcp.read(&mut bytes)?;
        let mut rest = &mut bytes[..n];
        while !rest.is_empty() {
            let (used, step) = self.reader.step(rest).unwrap();
            match step {
                Step::Piece { bytes, ends, .. } => {
                    self.partial.extend_from_slice(bytes);
                    if ends {
                        self.messages.push_back(std::mem::take(&mut self.partial));
                    }
                }
                Step::Close(code) => self.closed = code,
                Step::More | Step::Ping(_) | Step::Pong(_) => {}
            }
            rest = rest.get_mut(used..).unwrap();
        }
        Ok(n)
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.messages.is_empty() {
            if self.read_messages()? == 0 {
                return Ok(0);
            }
        }
        let Some(message) = self.messages.front_mut() else { return Ok(0) };
        let count = message.len().min(into.len());
        into[..count].copy_from_slice(&message[..count]);
        message.drain(..count);
        if message.is_empty() {
            self.messages.pop_front();
        }
        Ok(count)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = Vec::new();
        write_masked(&mut out, self.opcode, true, [5, 6, 7, 8], bytes);
        self.tcp.write_all(&out)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
