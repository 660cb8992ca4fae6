//! What a stream costs: memory is asserted; times depend on the machine, so that they are only printed:
//! `cargo test --release -p bus stream::costs -- --nocapture`.

use std::time::Instant;

use kernel::{Msg, Now};
use wire::jetstream::{PublishHeaders, StreamConfig};

use super::*;
use crate::messages::Messages;

fn stream(change: impl FnOnce(&mut StreamConfig)) -> Stream {
    let mut config = StreamConfig { name: "T".into(), ..StreamConfig::default() };
    change(&mut config);
    Stream::new(check(config, &Limits::default()).unwrap(), 1)
}

fn publish(stream: &mut Stream, n: u64, subject: &[u8], changes: &mut Changes) {
    let now = Now { mono_ns: 0, wall_ms: 1_700_000_000_000 + n / 100 };
    let m = Msg { subject, payload: b"0123456789abcdef", ..Msg::default() };
    stream.publish(now, &m, &PublishHeaders::default(), changes).unwrap();
}

fn filled(count: u64, subjects: u64, change: impl FnOnce(&mut StreamConfig)) -> Stream {
    let mut stream = stream(change);
    let names: Vec<String> = (0..subjects).map(|n| format!("orders.{n}")).collect();
    let mut changes = Changes::default();
    for n in 0..count {
        publish(&mut stream, n, names[(n % subjects) as usize].as_bytes(), &mut changes);
        if n % 64 == 63 {
            stream.show(u64::MAX, &mut changes);
        }
    }
    stream.show(u64::MAX, &mut changes);
    stream
}

#[test]
fn an_empty_stream_is_small() {
    let stream = stream(|_| ());
    let own = size_of::<Stream>() - size_of::<StreamConfig>();
    assert_eq!(stream.heap_bytes(), 0);
    assert!(own < 400, "{own} bytes");
    let one = filled(1, 1, |_| ());
    assert!(one.heap_bytes() < 1000, "{} bytes", one.heap_bytes());
}

#[test]
fn a_message_takes_sixteen_bytes_beside_its_subject() {
    for (change, most) in [(1, 14.0), (2, 18.0)] {
        let stream = filled(50_000, 100, |c| c.max_msgs_per_subject = if change == 1 { -1 } else { 1000 });
        let each = stream.heap_bytes() as f64 / 50_000.0;
        assert!(each < most, "{each} bytes");
    }
}

#[test]
fn memory_follows_what_is_left() {
    let mut stream = filled(50_000, 5_000, |c| c.max_msgs_per_subject = 1);
    assert!(stream.heap_bytes() < 5_000 * 150, "{} bytes", stream.heap_bytes());
    let mut changes = Changes::default();
    for seq in 1..=50_000 {
        if seq % 250 != 0 {
            stream.acknowledged(seq, &mut changes);
        }
    }
    assert_eq!(stream.state().messages, 20);
    super::tests::purge_all(&mut stream, Purge::default(), &mut changes).unwrap();
    assert!(stream.heap_bytes() < 10_000, "{} bytes", stream.heap_bytes());
}

/// Prints the time of each of so many, and fails when that is beyond all reason.
fn per(label: &str, count: u64, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    let each_ns = start.elapsed().as_nanos() as f64 / count as f64;
    println!("{label:<60} {each_ns:>8.1} ns");
    assert!(count == 1 || each_ns < 100_000.0, "{label}: {each_ns} ns");
}

#[test]
fn what_a_stream_does_often_costs_no_walk() {
    const N: u64 = if cfg!(debug_assertions) { 2_000 } else { 1_000_000 };
    let mut changes = Changes::default();
    for subjects in [1, 1000, 100_000] {
        let names: Vec<String> = (0..subjects).map(|n| format!("orders.{n}")).collect();
        for (label, per_subject, shown) in
            [("publish", -1, N), ("publish and show, turns of 64", -1, 64), ("the same, 5 a subject", 5, 64)]
        {
            let mut s = stream(|c| c.max_msgs_per_subject = per_subject);
            per(&format!("{label}, {subjects} subjects"), N, || {
                for n in 0..N {
                    publish(&mut s, n, names[(n * 7919 % subjects) as usize].as_bytes(), &mut changes);
                    changes.record = None;
                    if n % shown == shown - 1 {
                        s.show(u64::MAX, &mut changes);
                        changes.removed.clear();
                    }
                }
            });
        }
    }
    for subjects in [10, 200, 100_000] {
        let s = filled(N, subjects, |_| ());
        per(&format!("next over what does not match, {subjects} subjects"), N, || {
            assert_eq!(s.next(0, &mut |_, name| name == b"x"), None);
        });
        per(&format!("count behind the middle, {subjects} subjects"), N / 2, || {
            assert_eq!(s.count(N / 2, Some(&mut |_, name| name == b"x")), 0);
        });
        per(&format!("last of a subject, {subjects} subjects"), 1000, || {
            (0..1000).for_each(|_| assert!(std::hint::black_box(&s).last_of(b"orders.7").is_some()));
        });
        per("state", 1000, || {
            (0..1000).for_each(|_| assert_eq!(std::hint::black_box(&s).state().messages, N))
        });
        per("count of all", 1000, || (1..=1000).for_each(|n| assert_eq!(s.count(n, None), N + 1 - n)));
        per("row", N, || (1..=N).for_each(|n| assert!(s.row(n).is_some())));
    }
    let mut s = filled(N, 1000, |_| ());
    per("acknowledged, from the front", N, || {
        (1..=N).for_each(|n| {
            s.acknowledged(n, &mut changes);
            changes.removed.clear();
        });
    });
    let mut s = filled(N, 1000, |_| ());
    per("acknowledged, here and there", N, || {
        (0..N).for_each(|n| {
            s.acknowledged(n * 7919 % N + 1, &mut changes);
            changes.removed.clear();
        });
    });
    let mut s = filled(N, 1000, |_| ());
    per("purge of one subject of 1000", 1, || {
        let filter = kernel::SubjectPattern::parse(b"orders.7").unwrap();
        let mut purging = s.purge(Purge { filter: Some(&filter), ..Purge::default() }, &mut changes).unwrap();
        while s.purge_more(&mut purging, 2048, &mut changes) {}
    });
    let names: Vec<bytes::Bytes> = (0..1000).map(|n| format!("orders.{n}").into()).collect();
    let row = |n: u64| kernel::journal::Row {
        index: n + 1,
        time_ns: n * NS_PER_MS,
        size: 20,
        subject: (n % 1000) as u32,
        flags: 0,
    };
    let image = kernel::journal::Image { subjects: names, rows: (0..N).map(row).collect() };
    per("restored, a row", N, || {
        let config = s.config().clone();
        assert_eq!(Stream::restore(config, &image, &Default::default(), 1).state().messages, N);
    });
    per("purge of all", 1, || drop(s.purge(Purge::default(), &mut changes)));
}
