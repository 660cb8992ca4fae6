//! The commands that send nothing: `up`, `check`, `explain`, `config`, `completions`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use rustix::process::Signal;

use crate::command::run;
use crate::server::Server;

/// Nothing listens there: privileged, and never given to anybody.
const NOWHERE: &str = "nats://127.0.0.1:1";

#[test]
fn a_node_says_when_it_is_ready_and_ends_at_once_when_interrupted() {
    let server = Server::start();
    assert!(server.nats().starts_with("nats://127.0.0.1:") && server.http().starts_with("http://127.0.0.1:"));
    assert!(server.data().is_dir());
    server.signal(Signal::INT);
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn a_node_that_cannot_start_says_why_and_what_to_do() {
    let server = Server::start();
    let folder = tempfile::TempDir::new().unwrap();
    let other = folder.path().join("data");
    let (ours, other) = (server.data(), other.to_str().unwrap().to_owned());
    let twice = ["up", "--http", "off", "--json", "--nats", server.address(), "--data", &other];
    let ended = run(NOWHERE, &twice);
    assert_eq!((ended.code, ended.error().as_str()), (Some(10), "ADDRESS_IN_USE"));
    let same = ["up", "--http", "off", "--json", "--nats", "127.0.0.1:0", "--data", ours.to_str().unwrap()];
    let ended = run(NOWHERE, &same);
    assert_eq!((ended.code, ended.error().as_str()), (Some(50), "DATA_FOLDER_IN_USE"));
}

#[test]
fn a_healthy_node_gets_ticks_only() {
    let server = Server::start();
    let data = server.data().display().to_string();
    let ended = run(server.nats(), &["check", "--http", server.http(), "--data", &data]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for name in [
        "server", "protocol", "messages", "requests", "headers", "payload", "streams", "http", "damage",
        "clock",
    ] {
        assert!(ended.text().contains(&format!(" ✓ {name} ")), "{name}: {}", ended.text());
    }
    let ended = run(server.nats(), &["check", "--json", "--http", server.http()]);
    assert_eq!(ended.json()["ok"], true);
    assert_eq!(ended.json()["checks"].as_array().unwrap().len(), 12);
}

#[test]
fn a_cross_names_its_fix_and_its_code_is_the_exit_code() {
    let ended = run(NOWHERE, &["check"]);
    assert_eq!(ended.code, Some(10));
    let line = ended.text().lines().next().unwrap();
    assert!(line.starts_with(" ✗ server") && line.contains("`neuroplex up`"), "{line}");
    assert!(ended.text().contains(" ✓ clock"), "this machine is checked all the same");
    let server = Server::start();
    // The NATS door speaks no HTTP.
    let not_http = run(server.nats(), &["check", "--json", "--http", server.address()]);
    assert_eq!((not_http.code, not_http.json()["ok"].as_bool()), (Some(10), Some(false)));
    let crosses =
        not_http.json()["checks"].as_array().unwrap().iter().filter(|c| c["result"] == "bad").count();
    assert_eq!(crosses, 1);
}

#[test]
fn codes_are_explained_by_number_and_name_and_a_slip_names_the_nearest() {
    let ended = run(NOWHERE, &["explain", "6001"]);
    assert!(ended.text().starts_with("## 6001 NO_RESPONDERS\n"), "{}", ended.text());
    assert_eq!(run(NOWHERE, &["explain", "no_responders"]).out, ended.out);
    assert_eq!(run(NOWHERE, &["explain", "6001", "--json"]).json()["retry"], "yes");
    let slip = run(NOWHERE, &["explain", "NO_RESPONDER"]);
    assert_eq!(slip.code, Some(2));
    assert!(slip.err.contains("6001 NO_RESPONDERS"), "{}", slip.err);
    let all = run(NOWHERE, &["explain", "--all"]);
    assert_eq!(all.text(), kernel::Code::page().trim_end());
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = run(NOWHERE, &["completions", shell]);
        assert_eq!(ended.code, Some(0));
        assert!(ended.text().contains("subscribe") || ended.text().contains("sub"), "{shell}");
    }
    assert_eq!(run(NOWHERE, &["completions", "tcsh"]).code, Some(2));
}

#[test]
fn the_configuration_in_force_can_be_shown() {
    let shown = run(NOWHERE, &["config", "show", "--nats", "127.0.0.1:4999", "--json"]).json();
    assert_eq!(shown["config"]["nats"]["listen"], "127.0.0.1:4999");
    assert_eq!(shown["origins"]["nats.listen"], "flag --nats");
    assert_eq!(shown["origins"]["http.listen"], "default");
    let schema = run(NOWHERE, &["config", "schema"]).json();
    assert_eq!(schema["properties"]["lame_duck_ms"]["maximum"], 600_000);
    assert_eq!(run(NOWHERE, &["config", "check"]).code, Some(0));
    let ended = run(NOWHERE, &["config", "check", "--config", "/does/not/exist", "--json"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(40), "CONFIG_INVALID"));
}

#[test]
fn damaged_records_are_a_cross_with_its_fix() {
    let server = Server::start();
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = door.local_addr().unwrap().to_string();
    // It is well, and has found damage.
    std::thread::spawn(move || {
        for socket in door.incoming().flatten() {
            let mut asked = String::new();
            BufReader::new(&socket).read_line(&mut asked).unwrap();
            let body = match asked.starts_with("GET /metrics ") {
                true => "# TYPE x counter\nneuroplex_store_damaged_records_total 2\n",
                false => "{}",
            };
            write!(&socket, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}").unwrap();
        }
    });
    let ended = run(server.nats(), &["check", "--http", &address]);
    assert_eq!(ended.code, Some(50), "{ended:?}");
    let line = ended.text().lines().find(|line| line.starts_with(" ✗")).unwrap();
    assert!(line.contains("damage") && line.contains("2 records") && line.contains("backup"), "{line}");
}
