//! `neuroplex top` against a real node: what it counts, and what it says when it cannot.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use client::{Client, Options};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{neuroplex, run, signal};
use crate::lines::Lines;
use crate::secured::certificates;
use crate::server::Server;

/// One reading of a node.
fn seen(server: &Server, more: &[&str]) -> Value {
    let args = [&["top", "--http", server.http(), "--once", "--json", "--interval", "500ms"], more].concat();
    let ended = run(server.nats(), &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.json()
}

fn row<'a>(listed: &'a Value, key: &str, value: &str) -> &'a Value {
    let rows = listed["rows"].as_array().expect("rows");
    rows.iter().find(|row| row[key] == value).unwrap_or_else(|| panic!("no {value} in {listed}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn once_shows_a_publisher_its_stream_and_who_waits() {
    let server = Server::start();
    assert_eq!(run(server.nats(), &["stream", "add", "JOBS", "--subjects", "jobs.>"]).code, Some(0));
    assert_eq!(run(server.nats(), &["consumer", "add", "JOBS", "worker"]).code, Some(0));
    let client = Client::connect(Options::new(server.nats()).name("busy")).await.unwrap();
    let _hears = client.subscribe("jobs.*", Some("w")).unwrap();
    client.flush().await.unwrap();
    let goes_on = Arc::new(AtomicBool::new(true));
    let publisher = tokio::spawn({
        let (client, goes_on) = (client.clone(), goes_on.clone());
        async move {
            while goes_on.load(Relaxed) {
                client.publish(("jobs.a", "0123456789")).await.unwrap();
                client.flush().await.unwrap();
            }
        }
    });
    let view = seen(&server, &[]);
    goes_on.store(false, Relaxed);
    publisher.await.unwrap();

    assert_eq!(
        (&view["restarted"], &view["node"]["version"]),
        (&false.into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert!(view["interval_ms"].as_u64().unwrap() >= 500, "{view}");
    for rate in ["messages_in_per_s", "messages_out_per_s", "bytes_in_per_s", "http_requests_per_s"] {
        assert!(view["rates"][rate].as_f64().unwrap() > 0.0, "{rate}: {view}");
    }
    let busy = row(&view["connections"], "name", "busy");
    assert!(busy["messages_in_per_s"].as_f64().unwrap() > 0.0, "{busy}");
    assert_eq!((&busy["subscriptions"], &busy["slow"]), (&1.into(), &false.into()));
    let jobs = row(&view["streams"], "name", "JOBS");
    assert!(jobs["messages_in_per_s"].as_f64().unwrap() > 0.0, "{jobs}");
    assert_eq!((&jobs["consumers"], &jobs["ack_pending"]), (&1.into(), &0.into()));
    assert!(jobs["pending"].is_u64(), "{jobs}");
    assert_eq!(row(&view["subjects"], "subject", "jobs.*")["queues"], 1);

    let text = run(server.nats(), &["top", "--http", server.http(), "--once", "--interval", "200ms"]);
    for part in ["neuroplex 0.1.0 · node ", "slow consumers 0 now, 0 cut", "busy", "JOBS", "jobs.*"] {
        assert!(text.text().contains(part), "{part}: {text:?}");
    }
}

#[test]
fn a_node_that_is_started_again_is_seen_again_without_rates() {
    let server = Server::start();
    let address = server.http().to_owned();
    let mut command = neuroplex(&["top", "--http", &address, "--json", "--interval", "200ms"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let out = Lines::of(child.stdout.take().unwrap());
    let err = Lines::of(child.stderr.take().unwrap());
    let parsed = |line: String| serde_json::from_str::<Value>(&line).expect("an object a line");
    assert!(parsed(out.next())["rates"]["http_requests_per_s"].as_f64().unwrap() > 0.0);
    let port = address.rsplit_once(':').unwrap().1;
    server.signal(Signal::KILL);
    server.ended();
    assert!(err.until("disconnected").contains(port));
    let _again = Server::at(address.trim_start_matches("http://"));
    assert!(err.until("reconnected").contains(port));
    let first =
        std::iter::from_fn(|| Some(parsed(out.next()))).find(|view| view["restarted"] == true).unwrap();
    assert_eq!(first["rates"]["messages_in_per_s"], Value::Null);
    assert!(parsed(out.next())["rates"]["http_requests_per_s"].as_f64().unwrap() > 0.0);
    signal(child.id(), Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_cannot_be_shown_is_told_with_a_way_out() {
    let nobody = run("nats://127.0.0.1:1", &["top", "--http", "http://127.0.0.1:1", "--once", "--json"]);
    assert_eq!((nobody.code, nobody.error().as_str()), (Some(10), "CONNECTION_ERROR"));
    assert!(nobody.err.contains("--http URL"), "{}", nobody.err);
    let server = Server::start();
    let blind = run(server.nats(), &["top", "--http", server.http()]);
    assert_eq!(blind.code, Some(40), "{blind:?}");
    assert!(blind.err.contains("--once"), "{}", blind.err);
    // A NATS door is no HTTP door.
    let wrong = run(server.nats(), &["top", "--http", server.address(), "--once"]);
    assert!(wrong.code == Some(10) && wrong.err.contains("7400"), "{wrong:?}");
    let hasty = run(server.nats(), &["top", "--once", "--interval", "1ms"]);
    assert!(hasty.err.contains("200ms to 1h"), "{hasty:?}");
}

#[test]
fn credentials_and_tls_open_what_they_are_for() {
    let folder = certificates();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let config = format!(
        "[http]\ntls_cert_file = {:?}\ntls_key_file = {:?}\n[[auth.users]]\nuser = \"ann\"\npassword = \"p@ss\"\n",
        file("cert.pem"),
        file("key.pem")
    );
    let server = Server::within(TempDir::new().unwrap(), &config, &[]);
    let address = server.http().split_once("://").unwrap().1;
    let seen = |user: &str| {
        let http = format!("https://{user}{address}");
        let args =
            ["top", "--once", "--json", "--interval", "200ms", "--tls-ca", &file("ca.pem"), "--http", &http];
        let ended = run("nats://127.0.0.1:1", &args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.json()
    };
    let ann = seen("ann:p%40ss@");
    assert_eq!((&ann["streams"]["note"], &ann["subjects"]["note"]), (&Value::Null, &Value::Null));
    let stranger = seen("");
    for list in ["streams", "subjects"] {
        let note = stranger[list]["note"].as_str().unwrap();
        assert!(note.contains("401") && note.contains("USER:PASSWORD"), "{note}");
    }
    let distrusted = run("nats://127.0.0.1:1", &["top", "--once", "--http", &format!("https://{address}")]);
    assert!(distrusted.err.contains("certificate"), "{distrusted:?}");
}

#[test]
fn a_contexts_credentials_go_with_every_request_and_who_may_not_watch_is_told() {
    let config = "[http]\nmonitor = 'users'\n\
        [[auth.users]]\nuser = 'ann'\npassword = 'p@ss'\n\
        publish_allow = ['$NP.monitor', '$NP.subscriptions', '$JS.API.STREAM.LIST']\nsubscribe_allow = ['_INBOX.>']\n\
        [[auth.users]]\nuser = 'bob'\npassword = 'b'\npublish_allow = ['a']\n";
    let server = Server::with(config, &[]);
    let folder = TempDir::new().unwrap();
    let command = |args: &[&str]| {
        let mut command = neuroplex(args);
        let output = command.env("XDG_CONFIG_HOME", folder.path()).output().unwrap();
        (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
    };
    for (user, password) in [("ann", "p@ss"), ("bob", "b"), ("eve", "e")] {
        let file = folder.path().join(user);
        std::fs::write(&file, password).unwrap();
        let file = file.to_str().unwrap();
        let add =
            ["context", "add", user, "--server", server.nats(), "--user", user, "--password-file", file];
        assert_eq!(command(&add).0, Some(0));
    }
    let top = ["top", "--http", server.http(), "--once", "--json", "--interval", "200ms"];
    let of = |more: &[&str]| command(&[&top, more].concat());
    let (code, out, err) = of(&["--context", "ann"]);
    assert_eq!(code, Some(0), "{err}");
    let view: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&view["streams"]["note"], &view["subjects"]["note"]), (&Value::Null, &Value::Null));
    for (more, words) in [
        (&["--context", "bob"][..], "$NP.monitor"),
        (&["--context", "eve"], "not known there"),
        (&["--server", server.nats()], "Name them in a context"),
        // Of another host than the door's, so they do not go there.
        (&["--context", "ann", "--server", "nats://localhost"], "Name them in a context"),
    ] {
        let (code, _, err) = of(more);
        assert!(code == Some(20) && err.contains(words), "{more:?}: {err}");
    }
}
