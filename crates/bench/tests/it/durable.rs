//! The modes with durable streams: complete when the server is, and honest when it is not.

use crate::redis;
use crate::streams::{self, Fault};
use bench::{BenchError, Mode, Options, Report};
use std::time::Duration;

fn options(server: String, mode: Mode) -> Options {
    Options { server, msgs: 2_000, size: 40, in_flight: 50, batch: 64, ..Options::new(mode, "it.bench") }
}

fn run(fault: Fault, mode: Mode) -> Report {
    bench::run(&Options { warmup_percent: 0, ..options(streams::start(fault), mode) }).unwrap()
}

#[test]
fn every_publish_is_acknowledged_and_every_reader_gets_everything() {
    for mode in [Mode::PublishAck, Mode::Replay, Mode::ReplayPull, Mode::PullConsume] {
        let report = run(Fault::None, mode);
        assert!(report.faults.none(), "{mode:?}: {:?}", report.faults);
        let counted = if mode == Mode::PublishAck { report.msgs } else { report.delivered };
        assert_eq!(counted, 2_000, "{mode:?}");
    }
}

#[test]
fn several_connections_share_what_is_in_flight_and_what_is_consumed() {
    for mode in [Mode::PublishAck, Mode::PullConsume] {
        let clients = Options { clients: 3, ..options(streams::start(Fault::None), mode) };
        let report = bench::run(&clients).unwrap();
        assert!(report.faults.none(), "{mode:?}: {:?}", report.faults);
    }
}

#[test]
fn a_duration_ends_a_run_and_what_is_in_flight_is_waited_for() {
    let duration = Some(Duration::from_millis(100));
    let timed =
        Options { msgs: u64::MAX >> 8, duration, ..options(streams::start(Fault::None), Mode::PublishAck) };
    let report = bench::run(&timed).unwrap();
    assert!(report.msgs > 0 && report.faults.none(), "{:?}", report.faults);
    assert!(report.latency.is_some_and(|latency| latency.p50_us > 0.0));
}

#[test]
fn an_acknowledgement_that_was_a_lie_is_found() {
    assert_eq!(run(Fault::Forget(700), Mode::PublishAck).faults.lost, 1);
    let repeated = run(Fault::Repeat(700), Mode::PublishAck).faults;
    assert!(repeated.doubled >= 1 && repeated.first.is_some_and(|text| text.contains("twice")));
    let refused = run(Fault::Refuse(700), Mode::PublishAck).faults;
    assert!(refused.refused == 1 && refused.first.is_some_and(|text| text.contains("503")));
}

#[test]
fn a_reader_finds_what_is_missing_doubled_or_damaged() {
    assert_eq!(run(Fault::Skip(700), Mode::Replay).faults.lost, 1);
    for mode in [Mode::Replay, Mode::ReplayPull, Mode::PullConsume] {
        assert_eq!(run(Fault::Twice(700), mode).faults.doubled, 1, "{mode:?}");
        assert_eq!(run(Fault::Damage(700), mode).faults.damaged, 1, "{mode:?}");
    }
}

#[test]
fn redis_gets_the_same_load_and_is_held_to_it() {
    let report = bench::run(&options(redis::start(false), Mode::PublishAck)).unwrap();
    assert!(report.faults.none(), "{:?}", report.faults);
    assert_eq!((report.msgs, report.server.version.as_str()), (2_000, "7.0.0"));
    assert_eq!(bench::run(&options(redis::start(true), Mode::PublishAck)).unwrap().faults.lost, 1);
    let wrong = bench::run(&options(redis::start(false), Mode::Replay));
    assert!(matches!(wrong, Err(BenchError::Usage(_))), "{wrong:?}");
}

#[test]
fn several_streams_have_no_single_reader() {
    let server = crate::server::Server::start(crate::server::Fault::None);
    let several = Options { streams: 2, ..options(server.url(), Mode::Replay) };
    assert!(matches!(bench::run(&several), Err(BenchError::Usage(_))));
}
