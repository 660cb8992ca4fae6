//! The NATS door's rows in the gateway suite: a client of the protocol on a plain socket, and in frames of WebSocket.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric::Hub;
use gateway::NatsOptions;
use gateway::nats::Door;
use kernel::{Code, Message};
use testkit::gateway::{Agent, PAYLOAD_BYTES_MAX, Who, suite};
use tokio::runtime::Runtime;
use wire::nats::{Connect, Decoder, Op, Step, encode};

use crate::web::Socket as WebSocket;

struct Row {
    address: SocketAddr,
    /// In frames of WebSocket, by the HTTP door.
    is_framed: bool,
    _runtime: Runtime,
}

/// What a client of the protocol needs of its connection.
trait Socket: Read + Write {
    fn set_patience(&self, patience: Duration);
}

impl Socket for TcpStream {
    fn set_patience(&self, patience: Duration) {
        self.set_read_timeout(Some(patience)).unwrap();
    }
}

impl Socket for WebSocket {
    fn set_patience(&self, patience: Duration) {
        self.set_read_timeout(patience);
    }
}

fn open(hub: Arc<Hub>) -> Row {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let options = NatsOptions { payload_bytes_max: PAYLOAD_BYTES_MAX, ..NatsOptions::default() };
    let door = Door::new(hub, options, "id".into(), "name".into(), None, address);
    runtime.spawn(door.accept(listener));
    Row { address, is_framed: false, _runtime: runtime }
}

fn open_framed(hub: Arc<Hub>) -> Row {
    let (address, runtime) = crate::web::open(hub);
    Row { address, is_framed: true, _runtime: runtime }
}

struct Client {
    socket: Box<dyn Socket>,
    buffer: Vec<u8>,
    messages: VecDeque<Message>,
    refusals: VecDeque<Code>,
    pongs: usize,
    patterns: Vec<String>,
}

fn code_of(text: &[u8]) -> Code {
    let text = String::from_utf8_lossy(text).to_lowercase();
    match text.as_str() {
        t if t.starts_with("permissions violation") => Code::PermissionDenied,
        "authorization violation" => Code::AuthFailed,
        "maximum payload violation" => Code::PayloadTooLarge,
        "maximum connections exceeded" => Code::LimitExceeded,
        "slow consumer" => Code::SlowConsumer,
        other => panic!("no client knows {other:?}"),
    }
}

impl Client {
    /// Reads once; `Ok(false)`: nothing came within `patience`.
    fn read(&mut self, patience: Duration) -> Result<bool, Code> {
        self.socket.set_patience(patience.max(Duration::from_millis(1)));
        let mut bytes = [0; 65536];
        match self.socket.read(&mut bytes) {
            Ok(0) => return Err(self.refusals.pop_front().unwrap_or(Code::ConnectionError)),
            Ok(n) => self.buffer.extend_from_slice(&bytes[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
            Err(_) => return Err(self.refusals.pop_front().unwrap_or(Code::ConnectionError)),
        }
        let mut used = 0;
        while let Ok(Step::Op(op, taken)) = Decoder::default().step(&self.buffer[used..]) {
            match op {
                Op::Deliver { msg, .. } => self.messages.push_back(Message::from(&msg)),
                Op::Err(text) => self.refusals.push_back(code_of(text)),
                Op::Pong => self.pongs += 1,
                Op::Ping | Op::Info(_) | Op::Ok => {}
                other => panic!("a server does not say {other:?}"),
            }
            used += taken;
        }
        self.buffer.drain(..used);
        Ok(true)
    }

    /// Sends, then waits until the door has read it.
    fn confirmed(&mut self, mut bytes: Vec<u8>) -> Result<(), Code> {
        bytes.extend_from_slice(encode::PING);
        let before = self.pongs;
        // A door that refuses may close before it has read everything.
        let _ = self.socket.write_all(&bytes);
        while self.pongs == before {
            if !self.read(Duration::from_secs(20))? {
                panic!("no answer to PING");
            }
        }
        self.refusals.pop_front().map_or(Ok(()), Err)
    }
}

impl testkit::gateway::Door for Row {
    fn connect(&self, who: Who) -> Result<Box<dyn Agent>, Code> {
        let socket: Box<dyn Socket> = match self.is_framed {
            false => Box::new(TcpStream::connect(self.address).unwrap()),
            true => Box::new(WebSocket::open(self.address, "/nats", "").unwrap()),
        };
        let (buffer, messages, refusals) = (Vec::new(), VecDeque::new(), VecDeque::new());
        let mut client = Client { socket, buffer, messages, refusals, pongs: 0, patterns: Vec::new() };
        let (user, pass) = who.credentials();
        let connect = Connect {
            verbose: false,
            pedantic: false,
            headers: true,
            no_responders: true,
            user: user.into(),
            pass: pass.into(),
            ..Connect::default()
        };
        let mut hello = Vec::new();
        encode::connect(&mut hello, &connect);
        client.confirmed(hello)?;
        Ok(Box::new(client))
    }
}

impl Agent for Client {
    fn publish(&mut self, message: &Message) -> Result<(), Code> {
        let mut bytes = Vec::new();
        encode::publish(&mut bytes, &message.as_msg());
        self.confirmed(bytes)
    }

    fn subscribe(&mut self, pattern: &str, queue: Option<&str>) -> Result<(), Code> {
        self.patterns.push(pattern.to_owned());
        let mut bytes = Vec::new();
        encode::subscribe(
            &mut bytes,
            pattern.as_bytes(),
            queue.map(str::as_bytes),
            self.patterns.len() as u64,
        );
        self.confirmed(bytes)
    }

    fn unsubscribe(&mut self, pattern: &str) {
        let mut bytes = Vec::new();
        for (at, _) in self.patterns.iter().enumerate().filter(|p| p.1 == pattern) {
            encode::unsubscribe(&mut bytes, at as u64 + 1, None);
        }
        self.confirmed(bytes).unwrap();
    }

    fn next(&mut self, patience: Duration) -> Result<Option<Message>, Code> {
        let start = Instant::now();
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Ok(Some(message));
            }
            match patience.checked_sub(start.elapsed()) {
                Some(left) => _ = self.read(left)?,
                None => return Ok(None),
            }
        }
    }

    fn flood(&mut self, message: &Message, count: usize) {
        let mut bytes = Vec::new();
        encode::publish(&mut bytes, &message.as_msg());
        for _ in 0..count {
            self.socket.write_all(&bytes).unwrap();
        }
    }
}

#[test]
fn the_nats_door_keeps_every_promise_of_a_door() {
    suite(open);
}

#[test]
fn the_nats_door_over_websocket_keeps_every_promise_of_a_door() {
    suite(open_framed);
}
