//! Starting, stopping, and refusing to start.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Child;

use rustix::process::Signal;

use crate::command::{neuroplex, signal};
use crate::lines::{Lines, PATIENCE};
use crate::server::Server;

/// Runs `neuroplex up` with these arguments, which must fail: exit code and what it said.
fn refused(args: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").to_string_lossy().into_owned();
    let mut all = vec!["up", "--http", "off"];
    if !args.contains(&"--data") {
        all.extend(["--data", &data]);
    }
    all.extend(args);
    let output = neuroplex(&[]).args(all).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn sigterm_ends_a_node_with_success() {
    let server = Server::start();
    assert_eq!(server.get("/healthz").0, 200);
    assert_eq!(server.get("/readyz").0, 200);
    server.signal(Signal::TERM);
    assert!(server.ended().success());
}

#[test]
fn a_second_node_on_the_same_port_or_folder_says_so_in_one_sentence() {
    let server = Server::start();
    let (code, text) = refused(&["--nats", server.address()]);
    assert_eq!((code, text.lines().count()), (10, 1), "{text}");
    assert!(text.contains("1004 ADDRESS_IN_USE") && text.contains("--nats"), "{text}");
    let (code, text) = refused(&["--nats", "127.0.0.1:0", "--data", &server.data().to_string_lossy()]);
    assert_eq!((code, text.lines().count()), (50, 1), "{text}");
    assert!(text.contains("5002 DATA_FOLDER_IN_USE") && text.contains("--data"), "{text}");
}

#[test]
fn check_refuses_what_up_refuses() {
    for args in [
        &["--nats", "nonsense"][..],
        &["--nats", "0.0.0.0:0"],
        &["--node-id", "a b"],
        &["--profile", "none"],
        &["--config", "/no/such/file.toml"],
    ] {
        let checked = neuroplex(&["config", "check"]).args(args).output().unwrap();
        let said = String::from_utf8(checked.stderr).unwrap();
        assert_eq!((checked.status.code().unwrap(), said), refused(args), "{args:?}");
    }
}

/// A process that is gone when the test is over.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A node whose log nobody reads: its stderr is a pipe that stays full, or one that is closed at the other end.
fn unread(closed: bool) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, "[[auth.users]]\ntoken = \"right\"\n").unwrap();
    let mut command = neuroplex(&["up", "--nats", "127.0.0.1:0", "--http", "off", "--json", "--config"]);
    command.arg(&file).arg("--data").arg(folder.path().join("data"));
    let mut node = Killed(command.spawn().expect("the program starts"));
    let Killed(child) = &mut node;
    let log = child.stderr.take().filter(|_| !closed);
    let out = Lines::of(child.stdout.take().unwrap());
    let ready: serde_json::Value = serde_json::from_str(&out.next()).unwrap();
    let address = ready["nats"].as_str().unwrap().strip_prefix("nats://").unwrap().to_owned();
    // Longer names than a pipe and the lines that may wait can hold, one connection each.
    let ask = |token: &str| -> String {
        let mut socket = TcpStream::connect(&address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let user = "x".repeat(500);
        write!(
            socket,
            "CONNECT {{\"user\":\"{user}\",\"auth_token\":\"{token}\",\"verbose\":false}}\r\nPING\r\n"
        )
        .unwrap();
        let mut lines = BufReader::new(socket).lines().map(|line| line.expect("the node answers"));
        lines.find(|line| !line.starts_with("INFO")).unwrap_or_default()
    };
    for _ in 0..5000 {
        assert!(ask("wrong").contains("Authorization"));
    }
    assert_eq!(ask("right"), "PONG");
    signal(child.id(), Signal::TERM);
    assert!(out.rest().is_empty(), "nothing but the ready line is on stdout");
    // It has closed its stdout; if it has not, this makes its end a failure.
    _ = child.kill();
    assert!(child.wait().unwrap().success());
    drop(log);
}

#[test]
fn a_log_that_nobody_reads_does_not_stop_the_node() {
    unread(false);
}

#[test]
fn a_log_whose_reader_has_gone_does_not_stop_the_node() {
    unread(true);
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    let path = file.to_string_lossy().into_owned();
    let (code, text) = refused(&["--config", &path]);
    assert_eq!(code, 40);
    assert!(text.contains("cannot be read"), "{text}");
    std::fs::write(&file, "[nats]\nlisen = \"127.0.0.1:0\"\n").unwrap();
    let (code, text) = refused(&["--config", &path]);
    assert_eq!(code, 40);
    assert!(text.contains("did you mean `listen`?"), "{text}");
}

#[test]
fn a_door_that_others_can_reach_is_not_opened_without_protection() {
    let (code, text) = refused(&["--nats", "0.0.0.0:0"]);
    assert_eq!(code, 20);
    assert!(
        text.contains("2004 TLS_REQUIRED") && text.contains("NEUROPLEX_SECURITY_ALLOW_PLAINTEXT=nats"),
        "{text}"
    );
}

#[test]
fn the_operators_door_shows_the_node_and_hides_from_strangers() {
    let server = Server::start();
    let (status, metrics) = server.get("/metrics");
    assert_eq!(status, 200);
    for name in ["neuroplex_build_info", "neuroplex_connections 0", "process_resident_memory_bytes"] {
        assert!(metrics.contains(name), "{name} in {metrics}");
    }
    assert_eq!(server.get("/connz").0, 200);
    assert_eq!(server.get("/subsz").0, 200);
    assert_eq!(server.get("/nothing").0, 404);
    let (status, body) = server.get_as("/varz", "evil.example");
    assert_eq!(status, 403);
    assert!(body.contains("PERMISSION_DENIED"), "{body}");
    assert!(server.varz("mem") < 40 << 20, "idle memory is below 40 MiB");
}
