//! The row of JSON frames over WebSocket in the gateway suite.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fabric::Hub;
use kernel::{Code, Headers, Message};
use serde_json::{Value, json};
use testkit::gateway::{Agent, Door, Who, suite};
use tokio::runtime::Runtime;

use crate::web::Socket;

struct Row {
    address: SocketAddr,
    _runtime: Runtime,
}

fn open(hub: Arc<Hub>) -> Row {
    let (address, runtime) = crate::web::open(hub);
    Row { address, _runtime: runtime }
}

struct Client {
    socket: Socket,
    messages: VecDeque<Message>,
    /// It has shown its credentials.
    is_in: bool,
    number: u64,
    patterns: Vec<(u64, String)>,
}

fn message(frame: &Value) -> Message {
    let text = frame["payload"].as_str().map(str::as_bytes).map(<[u8]>::to_vec);
    let payload = text.unwrap_or_else(|| BASE64.decode(frame["payloadBase64"].as_str().unwrap()).unwrap());
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in frame["headers"].as_object().into_iter().flatten() {
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        pairs.extend(values.iter().map(|v| (name.clone(), v.as_str().unwrap().to_owned())));
    }
    let block = kernel::headers::block(pairs.iter().map(|(n, v)| (&**n, &**v))).unwrap();
    let own = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
    Message {
        subject: own("subject").into(),
        reply: own("replyTo").into(),
        headers: block.into(),
        payload: payload.into(),
    }
}

fn publish(message: &Message) -> Value {
    let mut headers = BTreeMap::<&str, Vec<&str>>::new();
    for h in Headers::new(&message.headers).iter() {
        headers.entry(h.name).or_default().push(h.value);
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut frame = json!({
        "op": "pub", "subject": text(&message.subject), "headers": headers, "payloadBase64": BASE64.encode(&message.payload),
    });
    if !message.reply.is_empty() {
        frame["replyTo"] = text(&message.reply).into();
    }
    frame
}

impl Client {
    fn ended(&self) -> Code {
        match self.socket.closed {
            Some(1013) => Code::LimitExceeded,
            Some(1008) if self.is_in => Code::SlowConsumer,
            Some(1008) => Code::AuthFailed,
            _ => Code::ConnectionError,
        }
    }

    /// Reads once; the frames that are no messages. `None`: nothing came within `patience`.
    fn read(&mut self, patience: Duration) -> Result<Option<Vec<Value>>, Code> {
        self.socket.set_read_timeout(patience.max(Duration::from_millis(1)));
        match self.socket.read_messages() {
            Ok(0) => return Err(self.ended()),
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
            Err(_) => return Err(self.ended()),
        }
        let mut others = Vec::new();
        for bytes in std::mem::take(&mut self.socket.messages) {
            let frame: Value = serde_json::from_slice(&bytes).unwrap();
            match frame["op"].as_str().unwrap() {
                "msg" => self.messages.push_back(message(&frame)),
                _ => others.push(frame),
            }
        }
        Ok(Some(others))
    }

    /// Sends, then waits until the door has read it.
    fn confirmed(&mut self, mut frame: Value) -> Result<(), Code> {
        self.number += 1;
        let number = json!(self.number);
        if frame["sid"].is_null() {
            frame["sid"] = json!(format!("n{number}"));
        }
        let _ = self.socket.write_all(frame.to_string().as_bytes());
        let _ = self.socket.write_all(json!({"op": "ping", "sid": number}).to_string().as_bytes());
        let mut refused = Ok(());
        loop {
            let Some(others) = self.read(Duration::from_secs(20))? else { panic!("no answer to ping") };
            for other in others {
                if other["op"] == "pong" && other["sid"] == number {
                    return refused;
                }
                if let Some(code) = other["code"].as_u64() {
                    refused = Err(Code::from_number(code as u16).unwrap());
                }
            }
        }
    }
}

impl Door for Row {
    fn connect(&self, who: Who) -> Result<Box<dyn Agent>, Code> {
        let (user, password) = who.credentials();
        // Half of the clients say who they are in the handshake, half in the first frame.
        let in_handshake = who == Who::Limited || who == Who::Stranger;
        let header = match in_handshake {
            true => format!("Authorization: Basic {}\r\n", BASE64.encode(format!("{user}:{password}"))),
            false => String::new(),
        };
        let socket = Socket::open(self.address, "/v1/ws", &header).map_err(|status| match status {
            401 => Code::AuthFailed,
            other => panic!("{other}"),
        })?;
        let mut client =
            Client { socket, messages: VecDeque::new(), is_in: false, number: 0, patterns: Vec::new() };
        let frame = match in_handshake {
            true => json!({"op": "ping"}),
            false => json!({"op": "auth", "user": user, "password": password}),
        };
        client.confirmed(frame)?;
        client.is_in = true;
        Ok(Box::new(client))
    }
}

impl Agent for Client {
    fn publish(&mut self, message: &Message) -> Result<(), Code> {
        self.confirmed(publish(message))
    }

    fn subscribe(&mut self, pattern: &str, queue: Option<&str>) -> Result<(), Code> {
        let sid = self.patterns.len() as u64;
        self.patterns.push((sid, pattern.to_owned()));
        let mut frame = json!({"op": "sub", "sid": sid, "subject": pattern});
        if let Some(queue) = queue {
            frame["queue"] = queue.into();
        }
        self.confirmed(frame)
    }

    fn unsubscribe(&mut self, pattern: &str) {
        for (sid, own) in self.patterns.clone() {
            if own == pattern {
                self.confirmed(json!({"op": "unsub", "sid": sid})).unwrap();
            }
        }
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
        let frame = publish(message).to_string();
        for _ in 0..count {
            self.socket.write_all(frame.as_bytes()).unwrap();
        }
    }
}

#[test]
fn json_frames_over_websocket_keep_every_promise_of_a_door() {
    suite(open);
}
