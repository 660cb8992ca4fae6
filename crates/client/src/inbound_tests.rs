//! However the bytes are cut, the same messages come out; and whatever comes, nothing breaks.

use kernel::{Code, Msg};
use proptest::prelude::*;

use super::*;
use crate::requests::Requests;
use crate::slot::Slot;
use crate::state::Queue;

fn state() -> (State, Queue) {
    let mut state = State::new(Info::default(), "a".parse().unwrap(), Requests::new("_INBOX.x.".into()));
    let (slot, queue) = Slot::new("a.>", None, 1000, usize::MAX);
    assert_eq!(state.subscribe(slot), Ok(2));
    state.pending.clear();
    (state, queue)
}

fn feed(parts: &[&[u8]], state: &mut State) -> Result<Vec<Event>, Error> {
    let (mut inbound, mut events) = (Inbound::new(BytesMut::new()), Vec::new());
    for part in parts {
        inbound.room().extend_from_slice(part);
        inbound.absorb(state, &mut events)?;
    }
    Ok(events)
}

proptest! {
    #[test]
    fn messages_come_out_the_same_however_the_bytes_are_cut(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut bytes = Vec::new();
        for payload in &payloads {
            let headers = b"NATS/1.0\r\nA: b\r\n\r\n";
            let m = Msg { subject: b"a.b", reply: b"r", headers, payload, shared: None, from: None };
            encode::deliver(&mut bytes, &m, b"2");
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        let (mut state, mut queue) = state();
        prop_assert!(feed(&parts, &mut state).unwrap().is_empty());
        for payload in &payloads {
            let message = queue.try_recv().unwrap();
            prop_assert_eq!(&message.payload, payload);
            prop_assert_eq!((&message.subject[..], &message.reply[..]), (&b"a.b"[..], &b"r"[..]));
        }
        prop_assert!(queue.try_recv().is_err());
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (mut state, _queue) = state();
        let _ = feed(&[&bytes], &mut state);
    }
}

#[test]
fn a_server_that_asks_is_answered_and_a_lame_duck_is_told_once() {
    let (mut state, _queue) = state();
    let duck = b"INFO {\"ldm\":true}\r\n";
    let events = feed(&[b"PING\r\n", duck, duck], &mut state).unwrap();
    assert_eq!(state.pending, encode::PONG);
    assert!(matches!(events[..], [Event::LameDuck]));
}

#[test]
fn a_denied_subscription_ends_with_the_reason_and_the_connection_stays() {
    let (mut state, mut queue) = state();
    let gauge = state.slots[&2].gauge.clone();
    let said = b"-ERR 'Permissions Violation for Subscription to \"a.>\"'\r\n";
    let events = feed(&[said], &mut state).unwrap();
    assert!(matches!(&events[..], [Event::Refused(e)] if e.code() == Code::PermissionDenied));
    assert_eq!(gauge.ended().map(Error::code), Some(Code::PermissionDenied));
    assert!(queue.try_recv().is_err() && state.refusal.is_none());
}

#[test]
fn a_denied_publish_ends_the_requests_on_its_subject() {
    let (mut state, _queue) = state();
    let mut request = state.requests.open(b"secret");
    feed(&[b"-ERR 'Permissions Violation for Publish to \"secret\"'\r\n"], &mut state).unwrap();
    assert_eq!(request.answer.try_recv().unwrap().unwrap_err().code(), Code::PermissionDenied);
}

#[test]
fn what_only_clients_say_is_a_broken_connection() {
    let (mut state, _queue) = state();
    for bytes in [&b"SUB a 1\r\n"[..], b"HTTP/1.1 200 OK\r\n", b"MSG a.b x 0\r\n\r\n", b"INFO {\r\n"] {
        assert!(feed(&[bytes], &mut state).is_err());
    }
}

fn subscribe(state: &mut State, pattern: &str) -> (u64, std::sync::Arc<crate::gauge::Gauge>, Queue) {
    let (slot, queue) = Slot::new(pattern, None, 10, usize::MAX);
    let gauge = slot.gauge.clone();
    (state.subscribe(slot).unwrap(), gauge, queue)
}

#[test]
fn a_refused_subscription_ends_and_its_neighbours_do_not() {
    for (text, code) in
        [("Invalid Subject", Code::SubjectInvalid), ("maximum subscriptions exceeded", Code::LimitExceeded)]
    {
        let (mut state, _first) = state();
        let (second, gauge, mut queue) = subscribe(&mut state, "b");
        let (third, _, _queue) = subscribe(&mut state, "c");
        assert_eq!(state.pending, b"SUB b 3\r\nPING\r\nSUB c 4\r\nPING\r\n");
        let said = format!("PONG\r\n-ERR '{text}'\r\nPONG\r\nPONG\r\n");
        feed(&[said.as_bytes()], &mut state).unwrap();
        assert_eq!(gauge.ended().map(Error::code), Some(code));
        assert!(matches!(queue.try_recv(), Err(tokio::sync::mpsc::error::TryRecvError::Disconnected)));
        assert!(!state.slots.contains_key(&second) && state.slots.contains_key(&third));
        assert!(state.slots.contains_key(&2) && state.refusal.is_none());
    }
}

#[test]
fn a_refusal_outside_of_any_subscription_ends_none() {
    let (mut state, _queue) = state();
    state.ping(crate::state::Pong::Alive);
    feed(&[b"PONG\r\n-ERR 'Invalid Subject'\r\n"], &mut state).unwrap();
    assert!(state.slots.contains_key(&2));
    let confirmed = b"PONG\r\n-ERR 'maximum subscriptions exceeded'\r\n";
    feed(&[confirmed], &mut state).unwrap();
    assert!(state.slots.contains_key(&2) && state.refusal.is_some());
}

#[test]
fn a_refused_inbox_ends_the_requests_and_the_next_one_tries_again() {
    let (mut state, _queue) = state();
    let mut request = state.requests.open(b"q");
    state.open_inbox();
    feed(&[b"PONG\r\n-ERR 'maximum subscriptions exceeded'\r\nPONG\r\n"], &mut state).unwrap();
    assert_eq!(request.answer.try_recv().unwrap().unwrap_err().code(), Code::LimitExceeded);
    state.pending.clear();
    state.open_inbox();
    assert_eq!(state.pending, b"SUB _INBOX.x.* 1\r\nPING\r\n");
}

#[test]
fn a_refusal_that_the_connection_outlived_is_no_reason() {
    for text in ["Invalid Publish Subject", "Permissions Violation", "Invalid Subject"] {
        let (mut state, _queue) = state();
        let said = format!("PONG\r\n-ERR '{text}'\r\n");
        feed(&[said.as_bytes()], &mut state).unwrap();
        assert!(state.refusal.is_some(), "{text}: the connection may break next");
        feed(&[b"PONG\r\n"], &mut state).unwrap();
        assert!(state.refusal.is_none(), "{text}");
    }
}
