//! Priorities and delays in the stream: what is taken, what is known of it after a restart, and what it costs.

use kernel::headers::block;
use kernel::journal::{Image, Record, Row as ImageRow, Summary};
use kernel::{Msg, Now, Priority};
use wire::jetstream::{PublishHeaders, StreamConfig};

use super::super::*;
use crate::marked::Mark;
use crate::messages::Messages;

const START_MS: u64 = 1_700_000_000_000;

fn stream(age_s: i64) -> Stream {
    let config = StreamConfig {
        name: "S".into(),
        subjects: vec!["a".into()],
        allow_msg_ttl: true,
        max_age: age_s * NS_PER_S as i64,
        ..StreamConfig::default()
    };
    Stream::new(check(config, &Limits::default()).unwrap(), 7)
}

fn publish(s: &mut Stream, ms: u64, pairs: &[(&str, &str)]) -> Result<Record, Refusal> {
    let headers = block(pairs.iter().copied()).unwrap();
    let m = Msg { subject: b"a", headers: &headers, payload: b"x", ..Msg::default() };
    let mut changes = Changes::default();
    s.publish(Now { mono_ns: 0, wall_ms: ms }, &m, &PublishHeaders::read(&headers), &mut changes)?;
    Ok(changes.record.unwrap())
}

fn mark(s: &Stream, seq: u64) -> Mark {
    s.row(seq).unwrap().mark
}

#[test]
fn a_message_has_the_mark_that_its_headers_ask_for_and_keeps_it_over_a_restart() {
    let mut s = stream(0);
    let asked: [&[(&str, &str)]; 6] = [
        &[],
        &[("Np-Priority", "critical")],
        &[("Np-Priority", "-3"), ("Nats-TTL", "never"), ("Nats-Msg-Id", "x")],
        &[("Np-Priority", "high"), ("Np-Delay", "5s")],
        &[("Np-Delay", "1500")],
        &[("Np-Priority", "whatever"), ("Np-Delay", "0")],
    ];
    let kept: Vec<Record> = asked.iter().map(|pairs| publish(&mut s, START_MS, pairs).unwrap()).collect();
    let marks = [
        Mark::NONE,
        Mark { priority: Priority::Critical, due_ms: 0 },
        Mark { priority: Priority::Low, due_ms: 0 },
        Mark { priority: Priority::High, due_ms: START_MS + 5_000 },
        Mark { priority: Priority::Normal, due_ms: START_MS + 1_500 },
        Mark::NONE,
    ];
    s.show(6, &mut Changes::default());
    assert_eq!([1, 2, 3, 4, 5, 6].map(|seq| mark(&s, seq)), marks);

    let row = |r: &Record| ImageRow {
        index: r.index,
        time_ns: r.time_ns,
        size: r.size() as u32,
        subject: 0,
        flags: r.flags,
    };
    let image = Image { subjects: vec!["a".into()], rows: kept.iter().map(row).collect() };
    let mut s = Stream::restore(s.config().clone(), &image, &Summary::default(), 7);
    let wanted = s.wanted_at_restore(Now { mono_ns: 0, wall_ms: START_MS });
    assert!(wanted.contains(&4) && wanted.contains(&5) && !wanted.contains(&2), "{wanted:?}");
    // The headers of the fifth cannot be read: nothing keeps it back.
    kept.iter().filter(|r| wanted.contains(&r.index) && r.index != 5).for_each(|r| s.remember(r));
    let marks = marks.map(|mark| if mark == marks[4] { Mark::NONE } else { mark });
    assert_eq!([1, 2, 3, 4, 5, 6].map(|seq| mark(&s, seq)), marks);
}

#[test]
fn a_delay_that_cannot_be_read_or_outlives_the_message_is_refused() {
    let mut s = stream(60);
    let mut ask = |pairs: &[(&str, &str)]| publish(&mut s, START_MS, pairs).map(|_| ());
    assert_eq!(ask(&[("Np-Delay", "soon")]), Err(Refusal::DelayInvalid));
    assert_eq!(ask(&[("Np-Delay", "366d")]), Err(Refusal::DelayInvalid));
    assert_eq!(ask(&[("Np-Delay", "8761h")]), Err(Refusal::DelayInvalid));
    assert_eq!(ask(&[("Np-Delay", "5s"), ("Nats-TTL", "5")]), Err(Refusal::DelayTooLong));
    assert_eq!(ask(&[("Np-Delay", "4999"), ("Nats-TTL", "5")]), Ok(()));
    assert_eq!(ask(&[("Np-Delay", "60s")]), Err(Refusal::DelayTooLong), "the stream's own age counts");
    assert_eq!(ask(&[("Np-Delay", "1h"), ("Nats-TTL", "never")]), Ok(()));
    assert_eq!(Refusal::DelayTooLong.code().number(), kernel::Code::InvalidRequest.number());
    assert_eq!(s.last_stored(), 2, "what is refused leaves nothing behind");
}

#[test]
fn a_stream_wakes_when_a_delay_ends_and_a_clock_that_went_back_loses_nothing() {
    let mut s = stream(0);
    publish(&mut s, START_MS, &[("Np-Delay", "5s")]).unwrap();
    s.show(1, &mut Changes::default());
    assert_eq!((s.next_wake(), s.released_ms()), (Some(START_MS + 5_000), 0));
    s.expire(Now { mono_ns: 0, wall_ms: START_MS + 5_000 }, &mut Changes::default());
    assert_eq!((s.next_wake(), s.released_ms()), (None, START_MS + 5_000));
    // An hour back: what is stored now is due behind everything that is out.
    publish(&mut s, START_MS - 3_600_000, &[("Np-Delay", "10")]).unwrap();
    s.show(2, &mut Changes::default());
    assert_eq!(mark(&s, 2).due_ms, START_MS + 5_010);
}

#[test]
fn a_message_without_a_mark_costs_nothing_more_and_those_that_are_gone_cost_nothing() {
    let (mut plain, mut marked) = (stream(0), stream(0));
    let mut changes = Changes::default();
    for n in 0..20_000 {
        publish(&mut plain, START_MS + n, &[("A", "b")]).unwrap();
        publish(&mut marked, START_MS + n, &[("Np-Priority", "high")]).unwrap();
    }
    plain.show(20_000, &mut changes);
    marked.show(20_000, &mut changes);
    assert!(plain.marked().is_none());
    let more = (marked.heap_bytes() - plain.heap_bytes()) / 20_000;
    assert!((1..=24).contains(&more), "{more} bytes a message");
    let mut changes = Changes::default();
    (1..=20_000).for_each(|seq| _ = marked.acknowledged(seq, &mut changes));
    assert!(marked.marked().is_none());
    assert_eq!(changes.unmarked.len(), 20_000);
}

#[test]
fn an_id_is_known_for_its_window_although_a_delay_counts_from_a_later_time() {
    let mut s = stream(0);
    s.expire(Now { mono_ns: 0, wall_ms: START_MS }, &mut Changes::default());
    publish(&mut s, START_MS, &[("Np-Delay", "1s")]).unwrap();
    s.show(1, &mut Changes::default());
    // The clock shows an hour more for a moment, and what was kept back is due.
    s.expire(Now { mono_ns: 0, wall_ms: START_MS + 3_600_000 }, &mut Changes::default());
    let once = publish(&mut s, START_MS + 1, &[("Nats-Msg-Id", "once")]).unwrap();
    let late = publish(&mut s, START_MS + 2, &[("Np-Delay", "1s")]).unwrap();
    assert_eq!((once.index, late.time_ns), (2, (START_MS + 3_600_000) * NS_PER_MS));
    let headers = block([("Nats-Msg-Id", "once")]).unwrap();
    let m = Msg { subject: b"a", headers: &headers, payload: b"x", ..Msg::default() };
    let now = Now { mono_ns: 0, wall_ms: START_MS + 3 };
    let published = s.publish(now, &m, &PublishHeaders::read(&headers), &mut Changes::default());
    assert_eq!(published, Ok(Published::Duplicate { seq: 2 }));
    // After a restart, too.
    assert!(s.wanted_at_restore(now).contains(&2));
}
