//! Every mode against a small server: complete when the server is, and honest when it loses, doubles or damages.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod durable;
mod redis;
mod server;
mod streams;
mod web;

use bench::{BenchError, Mode, Options, Report};
use server::{Fault, Server};
use std::time::Duration;

fn options(server: &Server, mode: Mode) -> Options {
    Options { server: server.url(), msgs: 20_000, size: 16, ..Options::new(mode, "it.bench") }
}

fn complete(options: &Options) -> Report {
    let report = bench::run(options).unwrap();
    assert!(report.faults.none(), "{:?}", report.faults);
    report
}

#[test]
fn publishers_are_counted_to_the_last_message() {
    let server = Server::start(Fault::None);
    let report = complete(&Options { clients: 3, ..options(&server, Mode::Pub) });
    assert_eq!((report.msgs, report.delivered), (20_000, 0));
    assert_eq!(server.published(), 22_000, "with a tenth to warm up");
}

#[test]
fn every_message_of_one_and_of_many_publishers_arrives() {
    let server = Server::start(Fault::None);
    for clients in [1, 3] {
        let report = complete(&Options { clients, ..options(&server, Mode::PubSub) });
        assert_eq!((report.msgs, report.delivered), (20_000, 20_000));
    }
}

#[test]
fn headers_many_subjects_and_empty_payloads_arrive() {
    let server = Server::start(Fault::None);
    for (size, headers, subjects) in [(0, false, 1), (5, true, 1), (64, true, 500), (70_000, false, 1)] {
        complete(&Options { size, headers, subjects, msgs: 500, ..options(&server, Mode::PubSub) });
    }
}

#[test]
fn a_fan_out_delivers_everything_to_everybody() {
    let server = Server::start(Fault::None);
    let report = complete(&Options { clients: 5, msgs: 5_000, ..options(&server, Mode::Fanout) });
    assert_eq!((report.msgs, report.delivered), (5_000, 25_000));
}

#[test]
fn a_window_smaller_than_a_message_still_moves() {
    let server = Server::start(Fault::None);
    complete(&Options { window_bytes: 1, msgs: 200, ..options(&server, Mode::PubSub) });
}

#[test]
fn a_duration_ends_a_run_with_everything_delivered() {
    let server = Server::start(Fault::None);
    let duration = Some(Duration::from_millis(100));
    let report = complete(&Options { msgs: u64::MAX >> 8, duration, ..options(&server, Mode::PubSub) });
    assert!(report.msgs > 0 && report.msgs == report.delivered);
}

#[test]
fn a_schedule_is_kept_and_latency_counts_from_it() {
    let server = Server::start(Fault::None);
    for mode in [Mode::PubSub, Mode::Request] {
        for spin in [true, false] {
            let report = complete(&Options { rate: Some(2_000), msgs: 200, spin, ..options(&server, mode) });
            let latency = report.latency.unwrap();
            assert!(latency.from_schedule && latency.p50_us > 0.0 && latency.max_us >= latency.p99_us);
            assert!(report.seconds >= 0.099, "200 at 2000 a second take a tenth: {}", report.seconds);
        }
    }
}

#[test]
fn every_request_of_every_client_is_answered() {
    let server = Server::start(Fault::None);
    for clients in [1, 7] {
        let report = complete(&Options { clients, msgs: 2_000, ..options(&server, Mode::Request) });
        assert_eq!((report.msgs, report.delivered), (2_000, 2_000));
        assert!(!report.latency.unwrap().from_schedule);
    }
}

#[test]
fn connections_are_held_and_their_memory_is_read() {
    let server = Server::start(Fault::None);
    let server_pid = Some(std::process::id());
    let duration = Some(Duration::from_millis(50));
    let report =
        complete(&Options { clients: 40, server_pid, duration, ..options(&server, Mode::Connections) });
    let connections = report.connections.unwrap();
    assert_eq!((connections.asked, connections.held, connections.stopped), (40, 40, None));
    assert!(connections.bytes_each.is_some() && report.cost.is_some());
}

#[test]
fn a_listener_counts_what_somebody_else_publishes() {
    let server = Server::start(Fault::None);
    let listen = options(&server, Mode::Sub);
    let listener = std::thread::spawn(move || bench::run(&listen));
    server.wait_for_subscription();
    complete(&Options { warmup_percent: 0, ..options(&server, Mode::Pub) });
    let report = listener.join().unwrap().unwrap();
    assert!(report.faults.none(), "{:?}", report.faults);
    assert_eq!(report.delivered, 20_000);
}

#[test]
fn what_a_server_loses_doubles_or_damages_is_told() {
    let faults = |fault, subjects| {
        let server = Server::start(fault);
        let run = Options { subjects, warmup_percent: 0, msgs: 2_000, ..options(&server, Mode::PubSub) };
        bench::run(&run).unwrap().faults
    };
    for subjects in [1, 50] {
        let lost = faults(Fault::Lose(1_000), subjects);
        assert_eq!((lost.lost, lost.doubled), (1, 0));
        assert!(lost.damaged > 0 && lost.first.is_some_and(|f| f.contains("message 1000")));
        let doubled = faults(Fault::Double(1_000), subjects);
        assert_eq!((doubled.lost, doubled.doubled), (0, 1));
        let damaged = faults(Fault::Damage(1_000), subjects);
        assert_eq!((damaged.lost, damaged.doubled, damaged.damaged), (0, 0, 1));
    }
}

#[test]
fn a_server_that_closes_is_an_error_with_its_reason() {
    let server = Server::start(Fault::Close(1_000));
    let error = bench::run(&options(&server, Mode::PubSub)).unwrap_err();
    assert!(error.to_string().contains("Slow Consumer"), "{error}");
    let nobody = Options { server: "nats://127.0.0.1:1".into(), ..options(&server, Mode::Pub) };
    assert!(matches!(bench::run(&nobody), Err(BenchError::Connect { .. })));
}

#[test]
fn contradictions_are_refused_before_anything_starts() {
    let good = Options::new(Mode::PubSub, "a");
    for wrong in [
        Options { subject: "a..b".into(), ..good.clone() },
        Options { subject: "a.*".into(), ..good.clone() },
        Options { msgs: 0, ..good.clone() },
        Options { clients: 2, rate: Some(1), ..good.clone() },
        Options { server: "http://h".into(), ..good.clone() },
    ] {
        assert!(matches!(bench::run(&wrong), Err(BenchError::Usage(_))), "{wrong:?}");
    }
}

#[test]
fn the_sink_serves_the_run_it_was_made_for() {
    let run = Options { clients: 4, msgs: 50_000, ..Options::new(Mode::Fanout, "it.sink") };
    let sink = bench::Sink::bind(&run).unwrap();
    let server = format!("nats://{}", sink.address().unwrap());
    let serving = std::thread::spawn(move || sink.serve());
    let report = complete(&Options { server, ..run });
    assert_eq!(report.delivered, 200_000);
    serving.join().unwrap().unwrap();
}
