//! A server of the protocol in a few lines: a thread for each connection, one lock, no outbox, and faults on demand.

use kernel::Msg;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use wire::nats::{Decoder, Info, Op, Step, encode};

/// What goes wrong with the n-th message published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Lose(u64),
    Double(u64),
    Damage(u64),
    /// Every connection is closed, with a reason.
    Close(u64),
}

struct Subscription {
    pattern: Vec<u8>,
    sid: Vec<u8>,
    stream: TcpStream,
}

struct Shared {
    fault: Fault,
    published: AtomicU64,
    subscriptions: Mutex<Vec<Subscription>>,
    subscribed: Condvar,
}

pub(crate) struct Server {
    port: u16,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) fn start(fault: Fault) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            fault,
            published: AtomicU64::new(0),
            subscriptions: Mutex::default(),
            subscribed: Condvar::new(),
        });
        let hub = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, hub) = (stream.unwrap(), hub.clone());
                std::thread::spawn(move || hub.serve(stream));
            }
        });
        Server { port, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn published(&self) -> u64 {
        self.shared.published.load(Ordering::SeqCst)
    }

    pub(crate) fn wait_for_subscription(&self) {
        let subscriptions = self.shared.subscriptions.lock().unwrap();
        drop(self.shared.subscribed.wait_while(subscriptions, |s| s.is_empty()).unwrap());
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let mut hello = Vec::new();
        encode::info(&mut hello, &Info { headers: true, ..Info::default() });
        stream.write_all(&hello).unwrap();
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        // A client that has gone is the end of its thread.
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..n]);
            let mut used = 0;
            while let Ok(Step::Op(op, len)) = Decoder::default().step(&bytes[used..]) {
                used += len;
                if self.handle(op, &mut stream).is_err() {
                    return;
                }
            }
            bytes.drain(..used);
        }
        let mine = stream.peer_addr();
        let others =
            |s: &Subscription| mine.is_err() || s.stream.peer_addr().ok() != mine.as_ref().ok().copied();
        self.subscriptions.lock().unwrap().retain(others);
    }

    fn handle(&self, op: Op<'_>, stream: &mut TcpStream) -> std::io::Result<()> {
        match op {
            Op::Ping => {
                // After what was delivered: the lock is that of deliveries.
                let _subscriptions = self.subscriptions.lock().unwrap();
                stream.write_all(encode::PONG)?;
            }
            Op::Subscribe { pattern, sid, .. } => {
                let (pattern, sid, stream) = (pattern.to_vec(), sid.to_vec(), stream.try_clone()?);
                self.subscriptions.lock().unwrap().push(Subscription { pattern, sid, stream });
                self.subscribed.notify_all();
            }
            Op::Publish(m) => self.publish(&m),
            _ => {}
        }
        Ok(())
    }

    fn publish(&self, m: &Msg<'_>) {
        let mut subscriptions = self.subscriptions.lock().unwrap();
        let nth = self.published.fetch_add(1, Ordering::SeqCst);
        let mut payload = m.payload.to_vec();
        let copies = match self.fault {
            Fault::Lose(n) if n == nth => 0,
            Fault::Double(n) if n == nth => 2,
            _ => 1,
        };
        if self.fault == Fault::Damage(nth) {
            // The last byte before the end of a message, and the end itself.
            payload.truncate(payload.len() - 2);
            payload.extend_from_slice(b"?\n");
        }
        if self.fault == Fault::Close(nth) {
            for s in subscriptions.drain(..) {
                (&s.stream).write_all(b"-ERR 'Slow Consumer'\r\n").ok();
                s.stream.shutdown(std::net::Shutdown::Both).ok();
            }
        }
        let matching = |s: &&mut Subscription| matches(&s.pattern, m.subject);
        for s in subscriptions.iter_mut().filter(matching) {
            let mut out = Vec::new();
            for _ in 0..copies {
                encode::deliver(&mut out, &Msg { payload: &payload, ..*m }, &s.sid);
            }
            s.stream.write_all(&out).ok();
        }
    }
}

/// Literal patterns, and `*` as the last token.
fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    match pattern.strip_suffix(b"*") {
        Some(head) => subject.strip_prefix(head).is_some_and(|rest| !rest.contains(&b'.')),
        None => pattern == subject,
    }
}
