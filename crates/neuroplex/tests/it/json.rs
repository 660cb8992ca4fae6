//! `--json` on every command: what comes on stdout is JSON, line by line or as a whole, and so is an error on stderr.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::command::{neuroplex, run};
use crate::server::Server;

/// Commands that go on until they are stopped, or have a screen of their own; their tests are elsewhere.
const LONG: &[&str] = &["up", "demo", "sub", "reply", "request", "kv watch", "top"];

/// One call of each other command, in an order in which all of them succeed.
const CALLS: &[(&str, &str)] = &[
    ("context add", "near --server nats://127.0.0.1:1"),
    ("context use", "near"),
    ("context ls", ""),
    ("context show", ""),
    ("context rm", "near --yes"),
    ("pub", "a x"),
    ("stream add", "ORDERS --subjects orders.>"),
    ("stream edit", "ORDERS --max-age 1d"),
    ("pub", "orders.tea x --ack --count 3"),
    ("stream info", "ORDERS"),
    ("stream ls", ""),
    ("stream get", "ORDERS 1"),
    ("consumer add", "ORDERS kitchen"),
    ("consumer ls", "ORDERS"),
    ("consumer info", "ORDERS kitchen"),
    ("consumer next", "ORDERS kitchen --count 2"),
    ("consumer rm", "ORDERS kitchen --yes"),
    ("stream purge", "ORDERS --yes"),
    ("stream rm", "ORDERS --yes"),
    ("kv add", "settings"),
    ("kv put", "settings color blue"),
    ("kv get", "settings color"),
    ("kv history", "settings color"),
    ("kv ls", "settings"),
    ("kv ls", ""),
    ("kv del", "settings color"),
    ("kv rm", "settings --yes"),
    ("object put", "photos tea.jpg"),
    ("object ls", "photos"),
    ("object get", "photos tea.jpg --output copy.jpg"),
    ("object rm", "photos --yes"),
    ("bench", "pub it.bench --msgs 100"),
    ("check", ""),
    ("explain", "6001"),
    ("config show", ""),
    ("config check", ""),
    ("config schema", ""),
    ("completions", "bash"),
    ("man", "stream add"),
];

#[test]
fn every_command_answers_in_json() {
    let (server, folder) = (Server::start(), TempDir::new().unwrap());
    fs::write(folder.path().join("tea.jpg"), "picture").unwrap();
    for (name, rest) in CALLS {
        let words: Vec<&str> =
            name.split(' ').chain(rest.split_ascii_whitespace()).chain(["--json"]).collect();
        let mut command = neuroplex(&words);
        command.env("NEUROPLEX_SERVER", server.nats()).env("XDG_CONFIG_HOME", folder.path());
        let output = command.current_dir(folder.path()).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{words:?}: {out} {err}");
        assert!(!out.is_empty(), "{words:?} says nothing");
        let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
        assert!(is_json(&out) || out.lines().all(is_json), "{words:?}: {out}");
        assert!(err.lines().all(is_json), "{words:?}: {err}");
    }
}

#[test]
fn no_command_is_left_out() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().to_str().unwrap();
    let made = run("", &["man", "--out", out, "--json"]).json();
    let pages: BTreeSet<String> = made["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file.as_str().unwrap().trim_end_matches(".1").replace('-', " "))
        .collect();
    let is_leaf = |page: &&String| !pages.iter().any(|other| other.starts_with(&format!("{page} ")));
    let known: BTreeSet<&str> = CALLS.iter().map(|call| call.0).chain(LONG.iter().copied()).collect();
    for leaf in pages.iter().filter(is_leaf) {
        let name = leaf.trim_start_matches("neuroplex ");
        assert!(known.contains(name), "`{name}` needs a row in CALLS");
    }
    for file in made["files"].as_array().unwrap() {
        let page = fs::read_to_string(folder.path().join(file.as_str().unwrap())).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains("\n.SH "), "{file}");
    }
}

#[test]
fn wrong_usage_is_json_too_where_json_is_asked_for() {
    for words in [
        &["pub", "--json"][..],
        &["--json", "strem"],
        &["kv", "get", "--json", "--nonsense"],
        &["explain", "9", "--json"],
    ] {
        let ended = run("", words);
        assert_eq!((ended.code, ended.error().as_str()), (Some(2), "INVALID_REQUEST"), "{words:?}");
    }
    let plain = run("", &["pub"]);
    assert_eq!(plain.code, Some(2));
    assert!(plain.err.contains("Usage:"), "{}", plain.err);
    assert!(run("", &["pub", "--help", "--json"]).text().contains("Examples:"));
}
