//! A server with one durable stream in a few lines: one lock, everything in memory, just the requests that the load sends,
//! and faults on demand. Each fault strikes at one sequence.

use kernel::Msg;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use wire::nats::{Decoder, Info, Op, Step, encode};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Acknowledged and not stored.
    Forget(u64),
    /// Acknowledged under the sequence before.
    Repeat(u64),
    /// Answered with an error.
    Refuse(u64),
    /// Never delivered.
    Skip(u64),
    Twice(u64),
    Damage(u64),
}

/// Messages after which a pushing consumer waits for the answer to its flow control.
const FLOW: usize = 100;

#[derive(Default)]
struct State {
    messages: Vec<Vec<u8>>,
    acked: u64,
    /// Of the consumer: the next message, and where it pushes to.
    next: usize,
    deliver: String,
    subscriptions: Vec<(Vec<u8>, Vec<u8>, TcpStream)>,
    /// Publishes in all, faults included.
    sequence: u64,
    consumer_acks: u64,
}

/// Where it listens; it lives as long as the test.
pub(crate) fn start(fault: Fault) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let state = Arc::new(Mutex::new(State::default()));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, state) = (stream.unwrap(), state.clone());
            std::thread::spawn(move || serve(stream, &state, fault));
        }
    });
    format!("nats://127.0.0.1:{port}")
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, fault: Fault) {
    let mut hello = Vec::new();
    encode::info(&mut hello, &Info { headers: true, ..Info::default() });
    stream.write_all(&hello).unwrap();
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..n]);
        let mut used = 0;
        while let Ok(Step::Op(op, len)) = Decoder::default().step(&bytes[used..]) {
            used += len;
            let mut state = state.lock().unwrap();
            match op {
                Op::Ping => stream.write_all(encode::PONG).unwrap(),
                Op::Subscribe { pattern, sid, .. } => {
                    let stream = stream.try_clone().unwrap();
                    state.subscriptions.push((pattern.to_vec(), sid.to_vec(), stream));
                }
                Op::Publish(m) => state.publish(&m, fault),
                _ => {}
            }
        }
        bytes.drain(..used);
    }
}

impl State {
    fn publish(&mut self, m: &Msg<'_>, fault: Fault) {
        let subject = std::str::from_utf8(m.subject).unwrap();
        if let Some(verb) = subject.strip_prefix("$JS.API.") {
            self.api(verb, m, fault);
        } else if subject.starts_with("$JS.ACK.") {
            self.consumer_acks += 1;
        } else if subject == "$JS.FC.go" {
            self.push(fault);
        } else {
            self.store(m, fault);
        }
    }

    fn store(&mut self, m: &Msg<'_>, fault: Fault) {
        self.sequence += 1;
        let nth = self.sequence;
        if fault == Fault::Refuse(nth) {
            return self.answer(m.reply, &json!({"error": {"code": 503, "description": "no"}}));
        }
        if fault != Fault::Forget(nth) {
            self.messages.push(m.payload.to_vec());
        }
        self.acked += u64::from(fault != Fault::Repeat(nth));
        self.answer(m.reply, &json!({"stream": "S", "seq": self.acked}));
    }

    fn api(&mut self, verb: &str, m: &Msg<'_>, fault: Fault) {
        let request: Value = serde_json::from_slice(m.payload).unwrap_or_default();
        match verb.split('.').take(2).collect::<Vec<_>>().as_slice() {
            ["STREAM", "CREATE" | "INFO"] => {
                self.answer(m.reply, &json!({"state": {"messages": self.messages.len()}}));
            }
            ["CONSUMER", "CREATE" | "DURABLE"] => {
                (self.next, self.consumer_acks) = (0, 0);
                self.deliver = request["config"]["deliver_subject"].as_str().unwrap_or_default().to_owned();
                self.answer(m.reply, &json!({"name": "c"}));
                self.push(fault);
            }
            ["CONSUMER", "INFO"] => {
                let left = (self.messages.len() as u64).saturating_sub(self.consumer_acks);
                let floor = json!({"stream_seq": self.messages.len() as u64 - left});
                self.answer(m.reply, &json!({"ack_floor": floor, "num_ack_pending": left}));
            }
            ["CONSUMER", "MSG"] => {
                for _ in 0..request["batch"].as_u64().unwrap() {
                    self.deliver_next(m.reply, fault);
                }
            }
            _ => self.answer(m.reply, &json!({"success": true})),
        }
    }

    /// Some messages to a pushing consumer, then flow control, whose answer brings the next.
    fn push(&mut self, fault: Fault) {
        let to = self.deliver.clone();
        if to.is_empty() || self.next >= self.messages.len() {
            return;
        }
        for _ in 0..FLOW {
            self.deliver_next(to.as_bytes(), fault);
        }
        let headers = b"NATS/1.0 100 FlowControl Request\r\n\r\n";
        self.send(to.as_bytes(), &Msg { headers, reply: b"$JS.FC.go", ..Msg::default() });
    }

    fn deliver_next(&mut self, to: &[u8], fault: Fault) {
        let Some(mut payload) = self.messages.get(self.next).cloned() else { return };
        self.next += 1;
        let seq = self.next as u64;
        if fault == Fault::Damage(seq) {
            payload[0] ^= 1;
        }
        let copies = match fault {
            Fault::Skip(n) if n == seq => 0,
            Fault::Twice(n) if n == seq => 2,
            _ => 1,
        };
        let reply = format!("$JS.ACK.S.c.1.{seq}.{seq}.1700000000000000000.0");
        for _ in 0..copies {
            self.send(to, &Msg { reply: reply.as_bytes(), payload: &payload, ..Msg::default() });
        }
    }

    fn answer(&mut self, to: &[u8], value: &Value) {
        self.send(to, &Msg { payload: value.to_string().as_bytes(), ..Msg::default() });
    }

    fn send(&mut self, to: &[u8], m: &Msg<'_>) {
        let matching = |pattern: &[u8]| match pattern.strip_suffix(b"*") {
            Some(head) => to.starts_with(head),
            None => pattern == to,
        };
        for (_, sid, stream) in self.subscriptions.iter_mut().filter(|(pattern, ..)| matching(pattern)) {
            let mut out = Vec::new();
            encode::deliver(&mut out, &Msg { subject: to, ..*m }, sid);
            // A client that has left hears nothing.
            stream.write_all(&out).ok();
        }
    }
}
