//! `stream`, `consumer`, `kv`, `object` and `pub --ack`, as processes, against a node.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Ended, Running, feed, run};
use crate::server::Server;

/// Runs a command that must succeed.
fn done(nats: &str, args: &[&str]) -> Ended {
    let ended = run(nats, args);
    assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.err);
    ended
}

/// The JSON objects that a command prints, one a line.
fn lines(ended: &Ended) -> Vec<Value> {
    ended.text().lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// A node with the stream ORDERS and so many messages in it, `1`, `2` and so on.
fn orders(messages: u32) -> Server {
    let server = Server::start();
    done(server.nats(), &["stream", "add", "ORDERS", "--subjects", "orders.>"]);
    for n in 1..=messages {
        done(server.nats(), &["pub", "orders.tea", &n.to_string(), "--ack"]);
    }
    server
}

#[test]
fn who_publishes_many_is_told_how_many_were_stored_before_it_ended() {
    let server = Server::start();
    let nats = server.nats();
    done(nats, &["stream", "add", "S", "--subjects", "s", "--max-msgs", "3", "--discard", "new"]);
    let ended = run(nats, &["pub", "s", "x", "--ack", "--count", "10"]);
    assert!(ended.err.contains("3 of 10 were acknowledged as stored"), "{}", ended.err);
    assert_eq!(ended.code, Some(60), "{}", ended.err);
    let one = run(nats, &["pub", "s", "x", "--ack"]);
    assert!(!one.err.contains("acknowledged as stored"), "{}", one.err);
}

#[test]
fn taking_messages_that_is_stopped_before_its_end_is_no_success() {
    let server = orders(1);
    let nats = server.nats();
    done(nats, &["consumer", "add", "ORDERS", "worker"]);
    let takes =
        Running::started(nats, &["consumer", "next", "ORDERS", "worker", "--count", "2", "--wait", "1m"]);
    takes.out.until("orders.tea");
    takes.signal(Signal::INT);
    assert_eq!(takes.ended().0, Some(130));
}

#[test]
fn a_stream_keeps_what_was_acknowledged() {
    let server = orders(0);
    let nats = server.nats();
    let said = done(nats, &["pub", "orders.tea", "x", "--ack", "--count", "500", "--json"]).json();
    assert_eq!((said["stream"].as_str(), said["seq"].as_u64()), (Some("ORDERS"), Some(500)));
    let info = done(nats, &["stream", "info", "ORDERS", "--json"]).json();
    assert_eq!(
        (info["state"]["messages"].as_u64(), info["state"]["last_seq"].as_u64()),
        (Some(500), Some(500))
    );
    let human = done(nats, &["stream", "info", "ORDERS"]);
    assert!(human.text().contains("500 messages") && human.text().contains("orders.>"), "{}", human.text());
    let all = done(nats, &["stream", "ls", "--json"]).json();
    assert_eq!(all[0]["config"]["name"], "ORDERS");
}

#[test]
fn a_message_with_an_id_is_stored_once() {
    let server = orders(0);
    let publish = ["pub", "orders.tea", "x", "--ack", "--json", "-H", "Nats-Msg-Id:one"];
    let first = done(server.nats(), &publish).json();
    let second = done(server.nats(), &publish).json();
    assert_eq!((&first["seq"], &second["seq"]), (&1.into(), &1.into()));
    assert_eq!((&first["duplicates"], &second["duplicates"]), (&0.into(), &1.into()));
}

#[test]
fn limits_are_said_in_human_units_and_can_be_changed_one_by_one() {
    let server = Server::start();
    let add =
        ["stream", "add", "S", "--subjects", "a.>,b", "--max-age", "7d", "--max-bytes", "1GiB", "--json"];
    let config = done(server.nats(), &add).json()["config"].clone();
    assert_eq!(config["subjects"], serde_json::json!(["a.>", "b"]));
    assert_eq!(
        (&config["max_age"], &config["max_bytes"]),
        (&604_800_000_000_000u64.into(), &(1 << 30).into())
    );
    assert_eq!(done(server.nats(), &add).json()["config"], config, "the same again changes nothing");
    let edit = ["stream", "edit", "S", "--max-age", "1h", "--max-msgs", "10", "--json"];
    let changed = done(server.nats(), &edit).json()["config"].clone();
    assert_eq!((&changed["max_age"], &changed["max_msgs"]), (&3_600_000_000_000u64.into(), &10.into()));
    assert_eq!(changed["max_bytes"], config["max_bytes"], "what is not said stays");
}

#[test]
fn single_messages_are_read_by_number_and_by_subject() {
    let server = orders(3);
    let nats = server.nats();
    let two = done(nats, &["stream", "get", "ORDERS", "2", "--json"]).json();
    assert_eq!((&two["seq"], &two["message"]["payload"]), (&2.into(), &"2".into()));
    let last = done(nats, &["stream", "get", "ORDERS", "--last-for", "orders.tea", "--raw"]);
    assert_eq!(last.out, b"3");
    assert_eq!(run(nats, &["stream", "get", "ORDERS", "9", "--json"]).error(), "NOT_FOUND");
    assert_eq!(run(nats, &["stream", "get", "ORDERS"]).code, Some(2));
}

#[test]
fn purging_removes_what_was_named() {
    let server = orders(5);
    let nats = server.nats();
    done(nats, &["pub", "orders.milk", "x", "--ack"]);
    let purged =
        done(nats, &["stream", "purge", "ORDERS", "--subject", "orders.milk", "--yes", "--json"]).json();
    assert_eq!(purged["purged"], 1);
    assert_eq!(
        done(nats, &["stream", "purge", "ORDERS", "--before", "3", "--yes", "--json"]).json()["purged"],
        2
    );
    assert_eq!(
        done(nats, &["stream", "purge", "ORDERS", "--keep", "1", "--yes", "--json"]).json()["purged"],
        2
    );
    assert_eq!(done(nats, &["stream", "get", "ORDERS", "5", "--raw"]).out, b"5");
}

#[test]
fn nothing_is_removed_before_somebody_says_yes() {
    let server = orders(1);
    let nats = server.nats();
    done(nats, &["consumer", "add", "ORDERS", "c"]);
    done(nats, &["kv", "add", "b"]);
    for command in [
        &["stream", "rm", "ORDERS"][..],
        &["stream", "purge", "ORDERS"],
        &["consumer", "rm", "ORDERS", "c"],
        &["kv", "rm", "b"],
        &["object", "rm", "b", "x"],
    ] {
        let refused = run(nats, &[command, &["--json"]].concat());
        assert_eq!((refused.code, refused.error().as_str()), (Some(40), "INVALID_REQUEST"), "{command:?}");
        assert!(refused.err.contains("--yes"), "{}", refused.err);
    }
    assert_eq!(done(nats, &["stream", "get", "ORDERS", "1", "--raw"]).out, b"1");
    done(nats, &["consumer", "rm", "ORDERS", "c", "--yes"]);
    done(nats, &["stream", "rm", "ORDERS", "--yes"]);
    done(nats, &["kv", "rm", "b", "--yes"]);
    assert_eq!(done(nats, &["stream", "ls", "--json"]).json(), serde_json::json!([]));
}

#[test]
fn a_consumer_goes_on_where_it_stopped() {
    let server = orders(5);
    let nats = server.nats();
    done(nats, &["consumer", "add", "ORDERS", "kitchen", "--filter", "orders.tea"]);
    let next = |args: &[&str]| {
        let ended = done(nats, &[&["consumer", "next", "ORDERS", "kitchen", "--json"], args].concat());
        lines(&ended)
            .iter()
            .map(|m| m["message"]["payload"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(next(&["--count", "2"]), ["1", "2"]);
    assert_eq!(next(&["--nak"]), ["3"]);
    assert_eq!(next(&["--count", "2"]).len(), 2, "one of them is the one that was given back");
    let info = done(nats, &["consumer", "info", "ORDERS", "kitchen", "--json"]).json();
    assert_eq!((&info["num_ack_pending"], &info["num_pending"]), (&0.into(), &1.into()));
    assert_eq!(next(&["--count", "9", "--wait", "100ms"]), ["5"]);
    let none = run(nats, &["consumer", "next", "ORDERS", "kitchen", "--wait", "50ms", "--json"]);
    assert_eq!((none.code, none.error().as_str()), (Some(10), "TIMEOUT"));
    let all = done(nats, &["consumer", "ls", "ORDERS", "--json"]).json();
    assert_eq!(all[0]["name"], "kitchen");
}

#[test]
fn a_message_that_nobody_acknowledged_comes_again() {
    let server = orders(1);
    let nats = server.nats();
    done(nats, &["consumer", "add", "ORDERS", "c", "--ack-wait", "100ms"]);
    done(nats, &["consumer", "next", "ORDERS", "c", "--no-ack"]);
    let again = done(nats, &["consumer", "next", "ORDERS", "c", "--json", "--wait", "30s"]);
    assert_eq!(lines(&again)[0]["delivered"], 2);
}

#[test]
fn a_key_has_a_value_a_revision_and_a_history() {
    let server = Server::start();
    let nats = server.nats();
    done(nats, &["kv", "add", "settings", "--history", "5"]);
    let revision = |args: &[&str]| done(nats, &[args, &["--json"]].concat()).json()["revision"].as_u64();
    assert_eq!(revision(&["kv", "put", "settings", "color", "blue"]), Some(1));
    assert_eq!(revision(&["kv", "put", "settings", "color", "green", "--revision", "1"]), Some(2));
    let late = run(nats, &["kv", "put", "settings", "color", "red", "--revision", "1", "--json"]);
    assert_eq!((late.code, late.error().as_str()), (Some(60), "CONFLICT"));
    assert_eq!(run(nats, &["kv", "put", "settings", "color", "red", "--create"]).code, Some(60));
    assert_eq!(done(nats, &["kv", "get", "settings", "color"]).text(), "green");
    assert_eq!(done(nats, &["kv", "get", "settings", "color", "--revision", "1"]).text(), "blue");
    done(nats, &["kv", "put", "settings", "door.front", "open"]);
    assert_eq!(
        done(nats, &["kv", "ls", "settings", "--json"]).json(),
        serde_json::json!(["color", "door.front"])
    );
    done(nats, &["kv", "del", "settings", "color"]);
    assert_eq!(run(nats, &["kv", "get", "settings", "color"]).code, Some(60));
    assert_eq!(done(nats, &["kv", "ls", "settings"]).text(), "door.front");
    let history = lines(&done(nats, &["kv", "history", "settings", "color", "--json"]));
    let happened: Vec<&str> = history.iter().filter_map(|e| e["operation"].as_str()).collect();
    assert_eq!(happened, ["PUT", "PUT", "DEL"]);
    assert_eq!(revision(&["kv", "put", "settings", "color", "new", "--create"]), Some(5));
    done(nats, &["kv", "del", "settings", "color", "--purge"]);
    assert_eq!(lines(&done(nats, &["kv", "history", "settings", "color", "--json"])).len(), 1);
}

#[test]
fn bytes_are_kept_as_they_are() {
    let server = Server::start();
    let nats = server.nats();
    done(nats, &["kv", "add", "b"]);
    let bytes: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    assert_eq!(feed(nats, &["kv", "put", "b", "k", "-"], &bytes).code, Some(0));
    assert!(done(nats, &["kv", "get", "b", "k"]).out == bytes);
}

#[test]
fn a_watch_shows_what_is_there_and_then_what_changes() {
    let server = Server::start();
    let nats = server.nats();
    done(nats, &["kv", "add", "b"]);
    done(nats, &["kv", "put", "b", "door.front", "open"]);
    done(nats, &["kv", "put", "b", "light", "on"]);
    let watch = Running::listening(nats, &["kv", "watch", "b", "door.*", "--max", "3", "--json"]);
    let first: Value = serde_json::from_str(&watch.out.next()).unwrap();
    assert_eq!((&first["key"], &first["value"]), (&"door.front".into(), &"open".into()));
    done(nats, &["kv", "put", "b", "light", "off"]);
    done(nats, &["kv", "put", "b", "door.back", "open"]);
    done(nats, &["kv", "del", "b", "door.front"]);
    let (code, rest) = watch.ended();
    let rest: Vec<Value> = rest.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rest[0]["key"].as_str(), rest[1]["operation"].as_str()), (Some("door.back"), Some("DEL")));
    assert_eq!(code, Some(0));
}

#[test]
fn an_object_comes_back_byte_by_byte_and_is_replaced_whole() {
    let server = Server::start();
    let nats = server.nats();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (source, copy) = (path("tea.bin"), path("copy.bin"));
    let bytes: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    fs::write(&source, &bytes).unwrap();
    let info = done(nats, &["object", "put", "photos", &source, "--json"]).json();
    assert_eq!(
        (&info["name"], &info["size"], &info["chunks"]),
        (&"tea.bin".into(), &1_000_000.into(), &8.into())
    );
    done(nats, &["object", "get", "photos", "tea.bin", "--output", &copy]);
    assert!(fs::read(&copy).unwrap() == bytes);
    let exists = run(nats, &["object", "get", "photos", "tea.bin", "--output", &copy, "--json"]);
    assert_eq!(exists.error(), "INVALID_REQUEST");
    assert_eq!(feed(nats, &["object", "put", "photos", "-", "--name", "tea.bin"], b"small").code, Some(0));
    assert_eq!(done(nats, &["object", "get", "photos", "tea.bin", "--output", "-"]).out, b"small");
    let stream = done(nats, &["stream", "info", "OBJ_photos", "--json"]).json();
    assert_eq!(stream["state"]["messages"], 2, "the old chunks are gone");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing half there is left");
}

#[test]
fn objects_are_listed_and_deleted() {
    let server = Server::start();
    let nats = server.nats();
    for name in ["b", "a", "2026/c d.jpg"] {
        assert_eq!(
            feed(nats, &["object", "put", "photos", "-", "--name", name], name.as_bytes()).code,
            Some(0)
        );
    }
    let names = || {
        let all = done(nats, &["object", "ls", "photos", "--json"]).json();
        all.as_array().unwrap().iter().map(|o| o["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["2026/c d.jpg", "a", "b"]);
    done(nats, &["object", "rm", "photos", "a", "--yes"]);
    assert_eq!(names(), ["2026/c d.jpg", "b"]);
    assert_eq!(run(nats, &["object", "get", "photos", "a", "--output", "-", "--json"]).error(), "NOT_FOUND");
    assert_eq!(done(nats, &["object", "ls", "--json"]).json()[0]["bucket"], "photos");
    done(nats, &["object", "rm", "photos", "--yes"]);
    assert_eq!(run(nats, &["object", "ls", "photos"]).code, Some(60));
}

#[test]
fn what_goes_wrong_with_streams_has_a_code_and_an_exit_code() {
    let server = orders(0);
    let nats = server.nats();
    done(nats, &["stream", "add", "FULL", "--subjects", "full", "--max-msgs", "1", "--discard", "new"]);
    done(nats, &["pub", "full", "x", "--ack"]);
    for (args, code, name) in [
        (&["stream", "info", "NOPE"][..], 60, "STREAM_NOT_FOUND"),
        (&["stream", "info", "a b"], 40, "INVALID_REQUEST"),
        (&["stream", "add", "OTHER", "--subjects", "orders.tea"], 40, "INVALID_REQUEST"),
        (&["stream", "add", "ORDERS", "--subjects", "else"], 60, "CONFLICT"),
        (&["pub", "nobody.keeps", "x", "--ack"], 60, "STREAM_NOT_FOUND"),
        (&["pub", "full", "x", "--ack"], 60, "BACKPRESSURE"),
        (&["consumer", "info", "ORDERS", "nope"], 60, "NOT_FOUND"),
        (&["consumer", "next", "ORDERS", "nope"], 60, "NOT_FOUND"),
        (&["consumer", "add", "ORDERS", "c", "--start-time", "yesterday"], 40, "INVALID_REQUEST"),
        (&["kv", "get", "nobucket", "k"], 60, "NOT_FOUND"),
        (&["kv", "add", "a.b"], 40, "INVALID_REQUEST"),
        (&["object", "get", "nobucket", "x"], 60, "NOT_FOUND"),
        (&["object", "put", "photos", "/does/not/exist"], 40, "INVALID_REQUEST"),
        (&["object", "put", "photos", "-"], 40, "INVALID_REQUEST"),
    ] {
        let ended = run(nats, &[args, &["--json"]].concat());
        assert_eq!((ended.code, ended.error().as_str()), (Some(code), name), "{args:?}");
    }
    for wrong in
        [&["stream", "add", "S", "--max-age", "7x"][..], &["stream", "add", "S", "--max-bytes", "1ZB"]]
    {
        assert_eq!(run(nats, wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn every_command_of_streams_has_help_with_examples() {
    for (group, commands) in [
        ("stream", &["add", "edit", "info", "ls", "get", "purge", "rm"][..]),
        ("consumer", &["add", "info", "ls", "next", "rm"]),
        ("kv", &["add", "get", "put", "del", "watch", "history", "ls", "rm"]),
        ("object", &["put", "get", "ls", "rm"]),
    ] {
        for command in commands {
            let ended = run("nats://127.0.0.1:1", &[group, command, "--help"]);
            assert_eq!(ended.code, Some(0));
            assert!(ended.text().contains("Examples:"), "{group} {command}");
            assert!(ended.text().contains("--json"), "{group} {command}");
        }
    }
}
