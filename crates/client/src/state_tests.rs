//! What survives a lost connection, and what is told to those who wait.

use super::*;

fn state() -> State {
    let info = Info { headers: true, max_payload: 10, ..Info::default() };
    State::new(info, "a".parse().unwrap(), Requests::new("_INBOX.x.".into()))
}

fn subscribe(state: &mut State, pattern: &str) -> (u64, Queue) {
    let (slot, queue) = Slot::new(pattern, None, 10, 1000);
    (state.subscribe(slot).unwrap(), queue)
}

fn publish(state: &mut State, subject: &str) {
    encode::publish(&mut state.pending, &Msg { subject: subject.as_bytes(), ..Msg::default() });
}

fn text(state: &mut State) -> String {
    String::from_utf8(std::mem::take(&mut state.pending)).unwrap()
}

#[test]
fn subscriptions_come_back_before_what_was_published_while_away() {
    let mut s = state();
    let (_, _a) = subscribe(&mut s, "a");
    let _request = s.requests.open(b"q");
    s.open_inbox();
    publish(&mut s, "one");
    s.lost(b"", 0, &Error::Closed);
    publish(&mut s, "two");
    let (_, _b) = subscribe(&mut s, "b");
    assert!(!s.pending.windows(3).any(|w| w == b"SUB"), "nothing of the old connection is left");
    publish(&mut s, "three");
    s.back(Info::default(), "b".parse().unwrap());
    let sent = text(&mut s);
    assert!(sent.starts_with("SUB _INBOX.x.* 1\r\nPING\r\nSUB "), "{sent}");
    assert!(sent.contains("SUB a 2\r\nPING\r\n") && sent.contains("SUB b 3\r\nPING\r\n"), "{sent}");
    assert!(sent.ends_with("PUB one 0\r\n\r\nPUB two 0\r\n\r\nPUB three 0\r\n\r\n"), "{sent}");
}

#[test]
fn subscriptions_that_come_back_are_answered_before_a_flush_that_waited() {
    let mut s = state();
    let (sid, _queue) = subscribe(&mut s, "a");
    s.lost(b"", 0, &Error::Closed);
    let (waiter, mut flushed) = oneshot::channel();
    s.ping(Pong::Flushed(waiter));
    s.back(Info::default(), "b".parse().unwrap());
    assert_eq!(text(&mut s), "SUB a 2\r\nPING\r\nPING\r\n");
    assert!(s.subscription_refused(&Error::NoRandomness) && !s.slots.contains_key(&sid));
    s.on_pong();
    assert!(flushed.try_recv().is_err());
    s.on_pong();
    assert_eq!(flushed.try_recv().unwrap(), Ok(()));
    assert!(!s.subscription_refused(&Error::NoRandomness));
}

#[test]
fn those_who_wait_for_a_flush_are_told_and_those_who_drain_end() {
    let mut s = state();
    let (sid, mut queue) = subscribe(&mut s, "a");
    let (waiter, mut flushed) = oneshot::channel();
    s.ping(Pong::Flushed(waiter));
    s.drain(vec![sid]);
    s.deliver(sid, Message::default(), &mut Vec::new());
    assert!(s.pending.ends_with(b"UNSUB 2\r\nPING\r\n"));
    s.lost(b"", 0, &Error::Closed);
    assert_eq!(flushed.try_recv().unwrap(), Err(Error::Closed));
    assert!(queue.try_recv().is_ok(), "what had come is still there");
    assert_eq!(queue.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
}

#[test]
fn a_drained_subscription_hears_what_came_before_the_pong() {
    let mut s = state();
    let (sid, mut queue) = subscribe(&mut s, "a");
    s.ping(Pong::Alive);
    s.drain(vec![sid]);
    s.on_pong();
    s.on_pong();
    s.deliver(sid, Message::default(), &mut Vec::new());
    s.on_pong();
    s.deliver(sid, Message::default(), &mut Vec::new());
    assert!(queue.try_recv().is_ok());
    assert_eq!(queue.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
}

#[test]
fn what_the_server_would_refuse_is_not_sent() {
    let mut s = state();
    let big = Msg { subject: b"a", payload: b"eleven byte", ..Msg::default() };
    assert_eq!(s.check(&big), Err(Error::PayloadTooLarge { bytes: 11, bytes_max: 10 }));
    s.info.headers = false;
    let headed = Msg { headers: b"NATS/1.0\r\n\r\n", ..Msg::default() };
    assert_eq!(s.check(&headed), Err(Error::HeadersUnsupported));
}

#[test]
fn an_ended_client_says_why_to_everybody() {
    let mut s = state();
    let (_, _queue) = subscribe(&mut s, "a");
    let gauge = s.slots[&2].gauge.clone();
    let mut request = s.requests.open(b"q");
    s.close(&Error::NoRandomness);
    assert_eq!(gauge.ended(), Some(&Error::NoRandomness));
    assert_eq!(request.answer.try_recv().unwrap(), Err(Error::NoRandomness));
    assert_eq!(s.open(), Err(Error::NoRandomness));
}
