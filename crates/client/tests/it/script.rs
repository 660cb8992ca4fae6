//! A server that says what the test says, and lets the test see what it was told.

use std::time::Duration;

use client::{Event, Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Much longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a good server says first.
pub(crate) const INFO: &str =
    "INFO {\"server_id\":\"x\",\"version\":\"2.11.0\",\"proto\":1,\"headers\":true,\"max_payload\":1000}\r\n";

pub(crate) struct Script(TcpListener);

impl Script {
    pub(crate) async fn listen() -> Script {
        Script(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// Options that lead here, quick to come back, and the events that the client tells.
    pub(crate) fn options(&self) -> (Options, UnboundedReceiver<Event>) {
        let (sender, events) = unbounded_channel();
        let options = Options::new(format!("nats://{}", self.address()))
            .reconnect_delay(Duration::from_millis(1), Duration::from_millis(10))
            .on_event(move |event| _ = sender.send(event));
        (options, events)
    }

    /// The next client, to whom nothing was said yet.
    pub(crate) async fn accept(&self) -> Peer {
        let (tcp, _) = soon(self.0.accept()).await.unwrap();
        Peer { tcp, seen: String::new() }
    }

    /// The next client, past the handshake.
    pub(crate) async fn welcome(&self) -> Peer {
        let mut peer = self.accept().await;
        peer.say(INFO).await;
        peer.until("PING\r\n").await;
        peer.say("PONG\r\n").await;
        peer
    }
}

/// The other side of a client's connection.
pub(crate) struct Peer {
    tcp: TcpStream,
    seen: String,
}

impl Peer {
    pub(crate) async fn say(&mut self, text: &str) {
        self.tcp.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until `what` was seen; gives everything up to it, and forgets that.
    pub(crate) async fn until(&mut self, what: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(what) {
                let rest = self.seen.split_off(at + what.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            assert!(self.read().await > 0, "the client went away before it said {what:?}");
        }
    }

    /// Reads until the client closes.
    pub(crate) async fn until_it_closes(mut self) -> String {
        while self.read().await > 0 {}
        self.seen
    }

    async fn read(&mut self) -> usize {
        let mut buffer = [0; 4096];
        // A connection that breaks has ended, too.
        let bytes = soon(self.tcp.read(&mut buffer)).await.unwrap_or_default();
        self.seen.push_str(std::str::from_utf8(&buffer[..bytes]).unwrap());
        bytes
    }
}

/// Waits for what should come, and fails instead of hanging.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it does not come")
}

/// Reads events until one fits.
pub(crate) async fn until(events: &mut UnboundedReceiver<Event>, fits: impl Fn(&Event) -> bool) -> Event {
    loop {
        match soon(events.recv()).await {
            Some(event) if fits(&event) => return event,
            Some(_) => {}
            None => panic!("the client has gone"),
        }
    }
}
