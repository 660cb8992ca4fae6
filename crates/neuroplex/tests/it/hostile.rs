//! Hostile bytes: each gets its protocol's error, everybody else notices nothing, memory stays bounded.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::lines::PATIENCE;
use crate::server::Server;

/// A raw connection that has read its `INFO`.
struct Raw(TcpStream);

impl Raw {
    fn open(server: &Server) -> Raw {
        let socket = TcpStream::connect(server.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut raw = Raw(socket);
        assert!(raw.line().starts_with("INFO {"));
        raw
    }

    /// A connection that said `CONNECT` and wants no confirmations.
    fn quiet(server: &Server) -> Raw {
        let mut raw = Raw::open(server);
        raw.send(
            "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n",
        );
        raw
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The door may have closed before it has read everything; what it said is still there.
        let _ = self.0.write_all(bytes.as_ref());
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while line.last() != Some(&b'\n') {
            match self.0.read(&mut byte) {
                Ok(1) => line.push(byte[0]),
                Ok(_) => break,
                Err(e) if e.kind() == ErrorKind::ConnectionReset => break,
                Err(e) => panic!("after {:?}: {e}", String::from_utf8_lossy(&line)),
            }
        }
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Everything until the door closes.
    fn rest(&mut self) -> String {
        let mut all = Vec::new();
        let mut bytes = [0; 65536];
        loop {
            match self.0.read(&mut bytes) {
                Ok(0) => break,
                Ok(n) => all.extend_from_slice(&bytes[..n]),
                Err(e) if e.kind() == ErrorKind::ConnectionReset => break,
                Err(e) => panic!("not closed: {e}"),
            }
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    fn ping(&mut self) {
        self.send("PING\r\n");
        assert_eq!(self.line(), "PONG");
    }
}

/// Two clients that talk to each other, and must not notice anything.
struct Bystanders(Raw, Raw, u32);

impl Bystanders {
    fn new(server: &Server) -> Bystanders {
        let (mut a, b) = (Raw::quiet(server), Raw::quiet(server));
        a.send("SUB bystander.talk 1\r\n");
        a.ping();
        Bystanders(a, b, 0)
    }

    fn talk(&mut self) {
        self.2 += 1;
        let n = self.2.to_string();
        self.1.send(format!("PUB bystander.talk {}\r\n{n}\r\n", n.len()));
        assert_eq!(self.0.line(), format!("MSG bystander.talk 1 {}", n.len()));
        assert_eq!(self.0.line(), n);
    }
}

#[test]
fn bytes_that_are_no_protocol_get_its_error_and_a_closed_connection() {
    let server = Server::start();
    let mut bystanders = Bystanders::new(&server);
    let long = format!("SUB {} 1\r\n", "a".repeat(10_000));
    for (bytes, error) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "-ERR 'Unknown Protocol Operation'\r\n"),
        ("\u{16}\u{3}\u{1}\u{2}\0", "-ERR 'Unknown Protocol Operation'\r\n"),
        ("PUB a 1\r\nhello\r\n", "-ERR 'Unknown Protocol Operation'\r\n"),
        ("PUB a 2000000\r\n", "-ERR 'Maximum Payload Violation'\r\n"),
        ("MSG a 1 0\r\n\r\n", "-ERR 'Unknown Protocol Operation'\r\n"),
        (&long, "-ERR 'maximum control line exceeded'\r\n"),
    ] {
        let mut raw = Raw::quiet(&server);
        raw.send(bytes);
        assert_eq!(raw.rest(), error, "{bytes:.40}");
        bystanders.talk();
    }
    for bytes in [
        "PUB a b c 1\r\n",
        "PUB a x\r\n",
        "PUB\r\n",
        "SUB a\r\n",
        "UNSUB\r\n",
        "HPUB a 9 5\r\n",
        "CONNECT {\r\n",
    ] {
        let mut raw = Raw::quiet(&server);
        raw.send(bytes);
        // It ends here; `rest` returns only when the connection is closed.
        raw.rest();
        bystanders.talk();
    }
}

#[test]
fn what_is_only_wrong_in_itself_leaves_the_connection_open() {
    let server = Server::start();
    let mut raw = Raw::quiet(&server);
    for pattern in ["a..b", ".a", "a.", ">.a"] {
        raw.send(format!("SUB {pattern} 1\r\n"));
        assert_eq!(raw.line(), "-ERR 'Invalid Subject'", "{pattern}");
    }
    raw.send("UNSUB 99\r\nUNSUB 99 5\r\n");
    raw.ping();
    let mut strict = Raw::open(&server);
    strict.send("CONNECT {\"verbose\":false,\"pedantic\":true}\r\nPUB a..b 0\r\n\r\nPUB a.* 0\r\n\r\n");
    assert_eq!(strict.line(), "-ERR 'Invalid Publish Subject'");
    assert_eq!(strict.line(), "-ERR 'Invalid Publish Subject'");
    strict.ping();
}

#[test]
fn every_operation_may_come_one_byte_at_a_time() {
    let server = Server::start();
    let mut raw = Raw::open(&server);
    let script = "CONNECT {\"verbose\":true,\"headers\":true}\r\nSUB a.> q 7\r\nPUB a.b r 5\r\nhello\r\n\
        HPUB a.c 12 14\r\nNATS/1.0\r\n\r\nhi\r\nUNSUB 7\r\nPING\r\n";
    raw.0.set_nodelay(true).unwrap();
    for byte in script.as_bytes() {
        raw.send([*byte]);
    }
    let expected = [
        "+OK",
        "+OK",
        "MSG a.b 7 r 5",
        "hello",
        "+OK",
        "HMSG a.c 7 12 14",
        "NATS/1.0",
        "",
        "hi",
        "+OK",
        "+OK",
        "PONG",
    ];
    // A confirmation and a message to oneself have no order between them.
    let mut lines: Vec<String> = expected.iter().map(|_| raw.line()).collect();
    assert_eq!(lines.pop().unwrap(), "PONG");
    let mut rest = expected[..expected.len() - 1].to_vec();
    lines.sort();
    rest.sort_unstable();
    assert_eq!(lines, rest);
}

#[test]
fn a_client_that_announces_much_and_sends_little_costs_little() {
    let server = Server::start();
    let before = server.varz("mem");
    let clients: Vec<Raw> = (0..500)
        .map(|_| {
            let mut raw = Raw::quiet(&server);
            raw.ping();
            raw.send("PUB a 1048576\r\n");
            raw.send([b'x'; 10_000]);
            raw
        })
        .collect();
    Bystanders::new(&server).talk();
    let grown = server.varz("mem").saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for {} announcements of a megabyte", clients.len());
}

#[test]
fn thousands_that_come_and_go_leave_nothing_behind() {
    let server = Server::start();
    let mut bystanders = Bystanders::new(&server);
    let subscriptions = server.varz("subscriptions");
    for round in 0..10 {
        let clients: Vec<Raw> = (0..200)
            .map(|n| {
                let mut raw = Raw::quiet(&server);
                raw.send(format!("SUB churn.{n}.* 1\r\nSUB _INBOX.{round}.{n}.> 2\r\n"));
                raw
            })
            .collect();
        for raw in &clients {
            // Half of them say nothing when they leave, half leave in the middle of a word.
            let _ = raw.0.shutdown(Shutdown::Write);
        }
        bystanders.talk();
    }
    server.until("all have left", |s| s.varz("connections") == 2);
    assert_eq!(server.varz("subscriptions"), subscriptions);
    assert_eq!(server.varz("total_connections"), 2002);
}

#[test]
fn who_left_is_let_go_although_a_publisher_remembers_it() {
    let server = Server::start();
    let files = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let mut publisher = Raw::quiet(&server);
    publisher.ping();
    let before = files();
    let mut listeners: Vec<Raw> = (0..200)
        .map(|_| {
            let mut raw = Raw::quiet(&server);
            raw.send("SUB heard 1\r\n");
            raw.ping();
            raw
        })
        .collect();
    // Twice and once more, so that the route is remembered and used.
    publisher.send("PUB heard 1\r\nx\r\n".repeat(3));
    publisher.ping();
    for raw in &mut listeners {
        assert_eq!(raw.line(), "MSG heard 1 1");
    }
    drop(listeners);
    server.until("their sockets are closed", |_| files() <= before + 2);
}

#[test]
fn one_who_hears_itself_a_hundred_thousand_times_delays_nobody() {
    let server = Server::start();
    let mut bystanders = Bystanders::new(&server);
    let mut greedy = Raw::quiet(&server);
    let subscriptions: String = (0..50_000).map(|n| format!("SUB h {n}\r\n")).collect();
    greedy.send(subscriptions);
    greedy.ping();
    greedy.send("PUB h 0\r\n\r\n".repeat(2000));
    // A hundred million messages to itself, which it does not read; the others' turns come in between.
    let start = std::time::Instant::now();
    for _ in 0..20 {
        bystanders.talk();
        Raw::quiet(&server).ping();
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?} for twenty round trips", start.elapsed());
}

#[test]
fn who_shows_no_credentials_cannot_make_the_node_remember_anything() {
    let server = Server::with("[[auth.users]]\ntoken = \"t\"\n", &[]);
    for start in ["PUB a 1000000\r\n", "PUB a", "S", "\r\n"] {
        let mut raw = Raw::open(&server);
        raw.send(start);
        assert_eq!(raw.rest(), "-ERR 'Authorization Violation'\r\n", "{start:?}");
    }
}

#[test]
fn the_reason_for_a_closed_connection_arrives_although_others_write_to_it() {
    let server = Server::start();
    for n in 0..100 {
        // A subject of its own: the last round's publisher may still be heard.
        let message = format!("PUB busy.{n} 100\r\n{}\r\n", "x".repeat(100));
        let mut raw = Raw::quiet(&server);
        raw.send(format!("SUB busy.{n} 1\r\n"));
        raw.ping();
        let mut publisher = Raw::quiet(&server);
        publisher.send(&message);
        raw.send("NONSENSE\r\n");
        publisher.send(message.repeat(500));
        let said = raw.rest();
        assert!(
            said.ends_with("-ERR 'Unknown Protocol Operation'\r\n"),
            "{:?}",
            &said[said.len().saturating_sub(60)..]
        );
    }
}

#[test]
fn a_reader_of_large_messages_that_stalls_is_told_why_it_is_cut() {
    let server = Server::with("[nats]\noutbox_bytes_max = 4194304\n", &[]);
    let mut slow = Raw::quiet(&server);
    slow.send("SUB flood 1\r\n");
    slow.ping();
    let mut publisher = Raw::quiet(&server);
    let block = format!("PUB flood 20000\r\n{}\r\n", "x".repeat(20_000)).repeat(20);
    server.until("the slow client is cut", |s| {
        publisher.send(&block);
        s.varz("slow_consumers") == 1
    });
    let said = slow.rest();
    assert!(said.ends_with("x\r\n-ERR 'Slow Consumer'\r\n"), "{:?}", &said[said.len().saturating_sub(60)..]);
}

#[test]
fn a_storm_of_subscriptions_meets_its_limit_and_harms_nobody() {
    let server = Server::with("[nats]\nsubscriptions_max = 1000\n", &[]);
    let mut bystanders = Bystanders::new(&server);
    let mut raw = Raw::quiet(&server);
    let storm: String = (0..1200).map(|n| format!("SUB storm.{n}.*.> {n}\r\n")).collect();
    raw.send(storm);
    for _ in 0..200 {
        assert_eq!(raw.line(), "-ERR 'maximum subscriptions exceeded'");
    }
    raw.ping();
    assert_eq!(server.varz("subscriptions"), 1001);
    bystanders.talk();
    drop(raw);
    server.until("they are gone with their client", |s| s.varz("subscriptions") == 1);
}

#[test]
fn a_client_that_stops_reading_is_told_and_cut_and_the_others_go_on() {
    let server = Server::with("[nats]\noutbox_bytes_max = 4194304\n", &[]);
    let mut bystanders = Bystanders::new(&server);
    let mut slow = Raw::quiet(&server);
    slow.send("SUB flood 1\r\n");
    slow.ping();
    let mut publisher = Raw::quiet(&server);
    let block = format!("PUB flood 1000\r\n{}\r\n", "x".repeat(1000)).repeat(500);
    server.until("the slow client is cut", |s| {
        publisher.send(&block);
        bystanders.talk();
        s.varz("slow_consumers") == 1
    });
    let said = slow.rest();
    let end = &said[said.len().saturating_sub(40)..];
    assert!(end.ends_with("x\r\n-ERR 'Slow Consumer'\r\n"), "whole messages, then the reason: {end:?}");
    publisher.ping();
    bystanders.talk();
}

#[test]
fn a_client_that_shows_no_credentials_is_sent_away() {
    let server = Server::with("[nats]\nauth_timeout_ms = 100\n[[auth.users]]\ntoken = \"t\"\n", &[]);
    assert_eq!(Raw::open(&server).rest(), "-ERR 'Authentication Timeout'\r\n");
    let mut early = Raw::open(&server);
    early.send("SUB a 1\r\n");
    assert_eq!(early.rest(), "-ERR 'Authorization Violation'\r\n");
}

#[test]
fn a_client_that_does_not_answer_is_stale() {
    let server = Server::with("[nats]\nping_interval_ms = 1000\npings_max = 1\n", &[]);
    let mut raw = Raw::quiet(&server);
    assert_eq!(raw.line(), "PING");
    assert_eq!(raw.rest(), "-ERR 'Stale Connection'\r\n");
    let mut alive = Raw::quiet(&server);
    for _ in 0..3 {
        assert_eq!(alive.line(), "PING");
        alive.send("PONG\r\n");
    }
    alive.0.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert!(alive.0.read(&mut [0; 10]).is_err(), "it is still connected, and silent");
}
