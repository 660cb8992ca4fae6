//! `neuroplex bench` against a real node: every mode is complete, and a report is what a program can read.

use crate::command::run;
use crate::server::Server;

#[test]
fn every_mode_runs_against_a_node_and_loses_nothing() {
    let server = Server::start();
    for line in [
        "pub it.bench --msgs 20000 --clients 2",
        "pubsub it.bench --msgs 20000 --size 16",
        "pubsub it.bench --msgs 20000 --subjects 1000 --headers",
        "pubsub it.bench --msgs 500 --rate 2000",
        "fanout it.bench --msgs 5000 --clients 4",
        "request it.bench --msgs 2000 --clients 5",
        "request it.bench --msgs 500 --clients 5 --rate 2000 --no-spin",
        "connections it.bench --clients 50 --duration 0.1",
        "publish-ack it.bench --msgs 20000 --clients 3",
        "publish-ack it.bench --msgs 2000 --in-flight 1 --ack mem",
        "publish-ack it.bench --msgs 5000 --streams 20 --ack os",
        "replay it.bench --msgs 20000",
        "replay-pull it.bench --msgs 20000 --clients 2",
        "pull-consume it.bench --msgs 20000 --clients 2",
        "overtake it.bench --msgs 20000",
        "streams it.bench --streams 50 --duration 0.1",
        "http-publish it.bench --msgs 2000 --clients 8",
        "sse-fanout it.bench --msgs 2000 --clients 20",
        "ws-fanout it.bench --msgs 2000 --clients 20",
    ] {
        let is_web = ["http", "sse", "ws"].iter().any(|web| line.starts_with(web));
        let words: Vec<&str> = ["bench", "--json"].into_iter().chain(line.split(' ')).collect();
        let ended = run(if is_web { server.http() } else { server.nats() }, &words);
        assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
        let report = ended.json();
        assert_eq!(report["faults"]["lost"], 0, "{line}");
        match line.starts_with("connections") {
            true => assert_eq!(report["connections"]["held"], 50),
            false => {
                let rates = [&report["msgs_per_s"], &report["delivered_per_s"]];
                assert!(rates.iter().any(|rate| rate.as_f64().is_some_and(|rate| rate > 0.0)), "{line}");
            }
        }
    }
    let left = run(server.nats(), &["stream", "ls", "--json"]);
    assert_eq!(left.json(), serde_json::json!([]), "a bench leaves no streams behind");
}

#[test]
fn a_bench_that_cannot_run_says_why() {
    let ended = run("nats://127.0.0.1:1", &["bench", "--json", "pub", "it.bench"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(10), "CONNECTION_ERROR"));
    let ended = run("nats://127.0.0.1:1", &["bench", "--json", "pub", "it.*"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(40), "INVALID_REQUEST"));
}
