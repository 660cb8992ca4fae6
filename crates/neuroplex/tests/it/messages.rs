//! `pub`, `sub`, `request` and `reply`, as processes that talk through a node.

use std::io::Write as _;

use rustix::process::Signal;
use serde_json::Value;

use crate::command::{Running, feed, run};
use crate::server::Server;

#[test]
fn what_is_published_in_one_terminal_appears_in_the_other() {
    let server = Server::start();
    let sub = Running::listening(server.nats(), &["sub", "events.>", "--max", "3"]);
    let said = run(server.nats(), &["pub", "events.hello", r#"{"hi":1}"#]);
    assert_eq!((said.code, said.text()), (Some(0), "1 message of 8 bytes to events.hello"));
    assert_eq!(sub.out.next(), r#"events.hello {"hi":1}"#);
    run(server.nats(), &["pub", "events.x", "body", "-H", "Color: blue", "--reply", "r.s", "--count", "2"]);
    let (code, lines) = sub.ended();
    assert_eq!(lines, ["events.x body", "  reply to r.s", "  Color: blue"].repeat(2));
    assert_eq!(code, Some(0));
}

#[test]
fn programs_get_one_message_a_line_with_its_envelope() {
    let server = Server::start();
    let sub = Running::listening(server.nats(), &["sub", "events.*", "--max", "2", "--json"]);
    let headers = ["-H", "Np-Type:event", "-H", "Color:blue"];
    run(server.nats(), &[&["pub", "events.new", r#"{"n":1.50}"#], &headers[..]].concat());
    let said = feed(server.nats(), &["pub", "events.bytes", "-", "--json"], b"\xff\x00");
    assert_eq!((said.json()["bytes"].as_u64(), said.json()["messages"].as_u64()), (Some(2), Some(1)));
    let event = r#"{"subject":"events.new","type":"event","headers":{"Color":"blue"},"payload":{"n":1.50}}"#;
    assert_eq!(sub.out.next(), event);
    let bytes: Value = serde_json::from_str(&sub.out.next()).unwrap();
    assert_eq!(bytes["payloadBase64"], "/wA=");
}

#[test]
fn what_was_sent_cannot_drive_the_terminal() {
    let server = Server::start();
    let sub = Running::listening(server.nats(), &["sub", "a", "--max", "1"]);
    run(server.nats(), &["pub", "a", "\x1b[2Jgone"]);
    assert_eq!(sub.out.next(), r"a \u{1b}[2Jgone");
}

#[test]
fn a_queue_group_shares_the_messages() {
    let server = Server::start();
    let workers: Vec<Running> = (0..3)
        .map(|_| Running::listening(server.nats(), &["sub", "tasks", "--queue", "workers", "--json"]))
        .collect();
    run(server.nats(), &["pub", "tasks", "x", "--count", "100"]);
    let counts: Vec<usize> = workers
        .into_iter()
        .map(|worker| {
            worker.signal(Signal::INT);
            worker.ended().1.len()
        })
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), 100, "{counts:?}");
    assert!(counts.iter().all(|n| *n < 100), "{counts:?}");
}

#[test]
fn a_signal_ends_a_subscriber_and_a_service_in_good_order() {
    let server = Server::start();
    for signal in [Signal::INT, Signal::TERM] {
        for command in [&["sub", "a"][..], &["reply", "a", "b"]] {
            let running = Running::listening(server.nats(), command);
            running.signal(signal);
            assert_eq!(running.ended(), (Some(0), vec![]), "{command:?}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_ends_a_subscriber_quietly() {
    let server = Server::start();
    let shell = format!("'{}' sub a 2>listening | head -n 1", env!("CARGO_BIN_EXE_neuroplex"));
    let folder = tempfile::TempDir::new().unwrap();
    let mut sub = std::process::Command::new("sh");
    sub.args(["-c", &shell]).env("NEUROPLEX_SERVER", server.nats()).current_dir(folder.path());
    let mut sub = sub.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let out = crate::lines::Lines::of(sub.stdout.take().unwrap());
    // Published until it was heard: the shell does not tell when its first command listens.
    while run(server.nats(), &["request", "a", "x", "--timeout-ms", "50"]).code == Some(60) {}
    assert_eq!(out.next().split(' ').next(), Some("a"));
    assert!(out.rest().is_empty(), "`head` and what it reads have ended");
    sub.wait().unwrap();
    let heard = std::fs::read_to_string(folder.path().join("listening")).unwrap();
    assert_eq!(heard.lines().count(), 1, "{heard}");
}

#[test]
fn requests_are_answered_by_a_body_an_echo_and_a_command() {
    let server = Server::start();
    let nats = server.nats();
    let _body = Running::listening(nats, &["reply", "ping", "pong"]);
    let _echo = Running::listening(nats, &["reply", "echo", "--echo"]);
    let exec = "tr a-z A-Z; printf ' %s' \"$NEUROPLEX_SUBJECT\"";
    let command = Running::listening(nats, &["reply", "upper.*", "--exec", exec, "--queue", "q", "--json"]);
    assert_eq!(run(nats, &["request", "ping"]).text(), "pong");
    assert_eq!(run(nats, &["request", "upper.case", "hello"]).text(), "HELLO upper.case");
    let told: Value = serde_json::from_str(&command.out.next()).unwrap();
    assert_eq!((told["event"].as_str(), told["subject"].as_str()), (Some("answered"), Some("upper.case")));
    let large: Vec<u8> = (0..900_000u32).map(|n| (n % 251) as u8).collect();
    assert!(feed(nats, &["request", "echo", "-"], &large).out == large, "bytes come back as they went");
    let answer = run(nats, &["request", "echo", "hi", "-H", "Color:blue", "--json"]).json();
    assert_eq!((answer["payload"].as_str(), answer["headers"]["Color"].as_str()), (Some("hi"), Some("blue")));
}

#[test]
fn a_request_that_cannot_be_answered_does_not_end_the_service() {
    let server = Server::start();
    let service = Running::listening(server.nats(), &["reply", "echo", "--echo", "--json"]);
    run(server.nats(), &["pub", "echo", "x"]);
    // A door is as lenient with reply subjects as the protocol; our client does not publish to a hole.
    let mut raw = std::net::TcpStream::connect(server.address()).unwrap();
    raw.write_all(b"CONNECT {\"verbose\":false}\r\nPUB echo a..b 1\r\nx\r\nPING\r\n").unwrap();
    let told: Value = serde_json::from_str(&service.out.next()).unwrap();
    assert_eq!(told["error"], "SUBJECT_INVALID");
    assert_eq!(run(server.nats(), &["request", "echo", "still here"]).text(), "still here");
}

#[test]
fn a_command_that_fails_is_an_error_to_whoever_asked() {
    let server = Server::start();
    let _service = Running::listening(server.nats(), &["reply", "bad", "--exec", "exit 3"]);
    let ended = run(server.nats(), &["request", "bad", "x", "--json"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(50), "INTERNAL_ERROR"));
    assert!(ended.err.contains("status: 3"), "{}", ended.err);
    assert_eq!(ended.json()["headers"]["Nats-Service-Error-Code"], "5001");
}

/// Whether a process exists whose command line has this marker.
fn runs(marker: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok());
    lines.into_iter().any(|line| line.split(|b| *b == 0).any(|word| word == marker.as_bytes()))
}

/// A service whose command hangs with a process that is not the shell itself, and a request that it works on.
fn hanging(server: &Server, marker: &str) -> (Running, std::thread::JoinHandle<crate::command::Ended>) {
    let folder = tempfile::TempDir::new().unwrap();
    let started = folder.path().join("started");
    let command = format!("sleep {marker} & sleep {marker} & touch '{}'; wait", started.display());
    let service = Running::listening(server.nats(), &["reply", "hang", "--exec", &command, "--json"]);
    let nats = server.nats().to_owned();
    let asker =
        std::thread::spawn(move || run(&nats, &["request", "hang", "--timeout-ms", "30000", "--json"]));
    let begun = std::time::Instant::now();
    while !(started.exists() && runs(marker)) {
        assert!(begun.elapsed() < crate::lines::PATIENCE, "the command does not start");
        std::thread::yield_now();
    }
    (service, asker)
}

/// Waits until a killed process has been collected.
fn gone(marker: &str) {
    let begun = std::time::Instant::now();
    while runs(marker) {
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "`sleep {marker}` stays behind");
        std::thread::yield_now();
    }
}

#[test]
fn one_signal_gives_a_hanging_command_a_moment_and_tells_who_asked() {
    let server = Server::start();
    let marker = format!("7001.{}", std::process::id());
    let (service, asker) = hanging(&server, &marker);
    service.signal(Signal::INT);
    let told: Value = serde_json::from_str(&service.err.next()).unwrap();
    assert_eq!(told["event"], "stopping");
    assert!(told["message"].as_str().unwrap().contains("1 answer still"), "{told}");
    let asked = asker.join().unwrap();
    assert_eq!(asked.error(), "SERVICE_UNAVAILABLE");
    let (code, lines) = service.ended();
    assert_eq!((code, lines.len()), (Some(0), 1), "{lines:?}");
    gone(&marker);
}

#[test]
fn a_second_signal_ends_commands_and_all_that_they_started() {
    let server = Server::start();
    let marker = format!("7002.{}", std::process::id());
    let (service, _asker) = hanging(&server, &marker);
    service.signal(Signal::TERM);
    service.err.until("stopping");
    service.signal(Signal::TERM);
    assert_eq!(service.ended(), (Some(0), vec![]));
    gone(&marker);
}

#[test]
fn what_goes_wrong_has_a_code_and_an_exit_code() {
    let server = Server::start();
    let nats = server.nats();
    let _silent = Running::listening(nats, &["sub", "silent"]);
    let too_large = vec![b'x'; 2_000_000];
    for (args, input, code, name) in [
        (&["request", "nobody", "x"][..], &b""[..], 60, "NO_RESPONDERS"),
        (&["request", "silent", "x", "--timeout-ms", "50"], b"", 10, "TIMEOUT"),
        (&["pub", "a b", "x"], b"", 40, "SUBJECT_INVALID"),
        (&["pub", "a.*", "x"], b"", 40, "SUBJECT_INVALID"),
        (&["sub", "a..b"], b"", 40, "SUBJECT_INVALID"),
        (&["pub", "a", "-"], &too_large, 60, "PAYLOAD_TOO_LARGE"),
        (&["pub", "a", "--server", "http://h"], b"", 40, "INVALID_REQUEST"),
        (&["pub", "a", "--server", "tls://127.0.0.1:1"], b"", 10, "CONNECTION_ERROR"),
        (&["pub", "a", "--tls-ca", "/does/not/exist"], b"", 40, "CONFIG_INVALID"),
        (&["pub", "a", "--tls-cert", "cert.pem"], b"", 40, "INVALID_REQUEST"),
        (&["pub", "a", "--tls-key", "key.pem"], b"", 40, "INVALID_REQUEST"),
        (&["bench", "pub", "a", "--server", "tls://127.0.0.1:1"], b"", 40, "INVALID_REQUEST"),
        (&["bench", "pub", "a", "--tls-first"], b"", 40, "INVALID_REQUEST"),
    ] {
        let ended = feed(nats, &[args, &["--json"]].concat(), input);
        assert_eq!((ended.code, ended.error().as_str()), (Some(code), name), "{args:?}");
        assert!(ended.out.is_empty());
    }
    let human = run(nats, &["request", "nobody", "x"]).err;
    assert!(human.starts_with("error 6001 NO_RESPONDERS: nobody listens on `nobody`. "), "{human}");
    for wrong in
        [&["pub"][..], &["reply", "a"], &["reply", "a", "b", "--echo"], &["pub", "a", "-H", "no colon"]]
    {
        assert_eq!(run(nats, wrong).code, Some(2), "{wrong:?}");
    }
}
