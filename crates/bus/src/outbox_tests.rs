//! Rules of the outbox, one thread at a time; `model` checks it under every interleaving.

use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use kernel::{Put, Spare};
use proptest::prelude::*;

use crate::{Budget, Flush, Outbox, Took};

fn outbox(limit_bytes: usize) -> (Outbox, Arc<Budget>) {
    let budget = Arc::new(Budget::new(1 << 30));
    (Outbox::new(limit_bytes, budget.clone()), budget)
}

fn put(outbox: &Outbox, text: &[u8]) -> Put {
    let Some(mut slot) = outbox.slot() else { return Put::Gone };
    match slot.append(text.len(), &mut Spare::default(), |out| out.extend_from_slice(text)) {
        true => slot.done(text.len()),
        false => Put::Full,
    }
}

fn put_shared(outbox: &Outbox, head: &[u8], body: &[u8]) -> Put {
    let Some(mut slot) = outbox.slot() else { return Put::Gone };
    match slot.append_shared(head.to_vec(), Bytes::copy_from_slice(body), b"\n") {
        true => slot.done(body.len()),
        false => Put::Full,
    }
}

/// A world that takes at most so many bytes a write, and blocks when its room is used up.
struct World {
    took: Vec<u8>,
    at_once: usize,
    room: usize,
}

impl World {
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let n = slices.iter().map(|s| s.len()).sum::<usize>().min(self.at_once).min(self.room);
        if n == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let all: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).take(n).collect();
        self.took.extend(all);
        self.room -= n;
        Ok(n)
    }
}

fn flush(outbox: &Outbox, world: &mut World) -> Flush {
    outbox.flush(&mut Spare::default(), |s| world.write(s).map(Into::into))
}

#[test]
fn the_first_to_put_owes_the_flush() {
    let (outbox, budget) = outbox(1000);
    assert_eq!((put(&outbox, b"a"), put(&outbox, b"b")), (Put::First, Put::Queued));
    let mut world = World { took: vec![], at_once: 9, room: 9 };
    assert!(matches!(flush(&outbox, &mut world), Flush::Done));
    assert_eq!(world.took, b"ab");
    assert_eq!((put(&outbox, b"c"), budget.used_bytes() > 0), (Put::First, true));
    outbox.close();
    assert_eq!((put(&outbox, b"d"), budget.used_bytes()), (Put::Gone, 0));
}

#[test]
fn above_the_limit_nothing_is_taken_and_above_half_the_publisher_hears_it() {
    let (outbox, _) = outbox(10);
    assert_eq!(put(&outbox, b"12345"), Put::First);
    assert_eq!(put(&outbox, b"6"), Put::High);
    assert_eq!(put(&outbox, b"789ab"), Put::Full);
    assert_eq!(put_shared(&outbox, b"7", b"89a"), Put::Full);
    assert_eq!(outbox.waiting_bytes(), 6);
}

#[test]
fn a_cut_outbox_ends_the_message_it_began_and_says_its_last_words() {
    let (outbox, budget) = outbox(1 << 20);
    put_shared(&outbox, b"head ", b"shared body");
    put(&outbox, b"never seen\n");
    put_shared(&outbox, b"", &[b'x'; 40_000]);
    put(&outbox, &[b'y'; 40_000]);
    let mut world = World { took: vec![], at_once: 3, room: 7 };
    assert!(matches!(flush(&outbox, &mut world), Flush::Blocked));
    outbox.cut(b"-ERR");
    (world.room, world.at_once) = (usize::MAX, usize::MAX);
    assert!(matches!(flush(&outbox, &mut world), Flush::Last));
    let took = String::from_utf8_lossy(&world.took).replace(&"x".repeat(40_000), "X");
    assert_eq!(took, "head shared body\n-ERR");
    assert_eq!((put(&outbox, b"x"), budget.used_bytes()), (Put::Gone, 0));
}

#[test]
fn a_message_that_was_announced_is_not_cut_and_one_that_was_not_is() {
    for begun in [true, false] {
        let (outbox, _) = outbox(1 << 20);
        put_shared(&outbox, b"head ", b"shared body");
        put(&outbox, b"never seen\n");
        let mut asked = 0;
        let blocked = outbox.flush(&mut Spare::default(), |_| {
            asked += 1;
            match asked {
                1 if begun => Ok(Took { bytes: 0, begun }),
                _ => Err(ErrorKind::WouldBlock.into()),
            }
        });
        assert!(matches!(blocked, Flush::Blocked));
        outbox.cut(b"-ERR");
        let mut world = World { took: vec![], at_once: usize::MAX, room: usize::MAX };
        assert!(matches!(flush(&outbox, &mut world), Flush::Last));
        let whole: &[u8] = if begun { b"head shared body\n-ERR" } else { b"-ERR" };
        assert_eq!(world.took, whole);
    }
}

#[test]
fn a_publisher_that_waits_is_woken_when_it_drains() {
    struct Flag(std::sync::atomic::AtomicBool);
    impl std::task::Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let flag = Arc::new(Flag(false.into()));
    let waker = Waker::from(flag.clone());
    let (outbox, _) = outbox(100);
    assert!(!outbox.on_drain(&waker), "nothing waits");
    put(&outbox, &[b'x'; 90]);
    assert!(outbox.on_drain(&waker));
    let mut world = World { took: vec![], at_once: 90, room: 60 };
    assert!(matches!(flush(&outbox, &mut world), Flush::Blocked));
    assert!(!flag.0.load(std::sync::atomic::Ordering::SeqCst), "30 of 100 still wait");
    world.room = 10;
    assert!(matches!(flush(&outbox, &mut world), Flush::Blocked));
    assert!(flag.0.load(std::sync::atomic::Ordering::SeqCst));
}

#[test]
fn nobody_goes_on_waiting_for_a_reader_that_has_stopped() {
    let (outbox, _) = outbox(100);
    put(&outbox, &[b'x'; 90]);
    let waits = || (0..100).filter(|_| outbox.on_drain(Waker::noop())).count();
    let first = waits();
    assert!((1..100).contains(&first), "{first} times, then no more");
    assert_eq!(waits(), 0);
    let mut world = World { took: vec![], at_once: 5, room: 5 };
    assert!(matches!(flush(&outbox, &mut world), Flush::Blocked));
    assert!(waits() > 0, "it reads again");
}

proptest! {
    /// Whatever is put, however the world stutters: every byte comes out once, in order, and the budget is even.
    #[test]
    fn every_byte_comes_out_once_and_in_order(
        ops in prop::collection::vec((0usize..3, 1usize..9000, 1usize..5000), 1..60)
    ) {
        let (outbox, budget) = outbox(1 << 20);
        let mut world = World { took: vec![], at_once: 1, room: 0 };
        let mut expected = Vec::new();
        for (n, (kind, len, room)) in ops.into_iter().enumerate() {
            let text = vec![n as u8; len];
            match kind {
                0 => { put(&outbox, &text); expected.extend(&text); }
                1 => {
                    put_shared(&outbox, b"H", &text);
                    expected.push(b'H'); expected.extend(&text); expected.push(b'\n');
                }
                _ => { world.room = room; world.at_once = len; let _ = flush(&outbox, &mut world); }
            }
            prop_assert_eq!(outbox.waiting_bytes(), expected.len() - world.took.len());
        }
        (world.room, world.at_once) = (usize::MAX, 777);
        while !outbox.is_idle() { let _ = flush(&outbox, &mut world); }
        prop_assert_eq!(world.took, expected);
        prop_assert_eq!(budget.used_bytes(), 0);
    }
}
