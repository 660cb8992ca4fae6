//! Model check of the outbox and of the interest's generations: the shipping files are compiled a second time with
//! locks whose interleavings `shuttle` explores (at random; a failure prints its schedule).

#![allow(dead_code, unreachable_pub, reason = "the second copy of the outbox is used in part")]

mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use shuttle::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
}

/// The budget that the second copy counts on is the shipping one.
mod budget {
    pub(crate) use crate::budget::*;
}

mod trie {
    pub(crate) use crate::trie::*;
}

#[path = "interest.rs"]
mod interest;
#[path = "outbox.rs"]
mod outbox;

use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;

use interest::Interest;
use kernel::{Put, Spare, SubjectPattern};
use outbox::{Flush, Outbox};
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;

/// A socket that blocks now and then, and an owner who is told to flush when somebody else could not.
#[derive(Default)]
struct Socket {
    took: Mutex<Vec<u8>>,
    room: Mutex<usize>,
    owed: Mutex<bool>,
    told: Condvar,
}

impl Socket {
    fn write(&self, slices: &[IoSlice<'_>]) -> std::io::Result<usize> {
        let mut room = self.room.lock().unwrap();
        let all: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).take(*room).collect();
        if all.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        *room -= all.len();
        self.took.lock().unwrap().extend(&all);
        Ok(all.len())
    }

    fn flush(&self, outbox: &Outbox) {
        if let Flush::Blocked = outbox.flush(&mut Spare::default(), |s| self.write(s).map(Into::into)) {
            *self.owed.lock().unwrap() = true;
            self.told.notify_one();
        }
    }
}

fn publish(outbox: &Outbox, socket: &Socket, bytes: &[u8]) {
    let mut owe = false;
    for byte in bytes {
        let mut slot = outbox.slot().unwrap();
        assert!(slot.append(1, &mut Spare::default(), |out| out.push(*byte)));
        owe |= slot.done(1) == Put::First;
    }
    if owe {
        socket.flush(outbox);
    }
}

#[test]
fn no_byte_waits_without_somebody_who_will_write_it() {
    // A socket that is soon full, and one that never is.
    every_byte_is_written(2);
    every_byte_is_written(100);
}

fn every_byte_is_written(room: usize) {
    shuttle::check_random(
        move || {
            let budget = Arc::new(crate::Budget::new(1 << 20));
            let (outbox, socket) =
                (Arc::new(Outbox::new(1 << 16, budget.clone())), Arc::new(Socket::default()));
            *socket.room.lock().unwrap() = room;
            let publishers: Vec<_> = [b"abc", b"xyz"]
                .into_iter()
                .map(|bytes| {
                    let (outbox, socket) = (outbox.clone(), socket.clone());
                    thread::spawn(move || publish(&outbox, &socket, bytes))
                })
                .collect();
            let owner = {
                let (outbox, socket) = (outbox.clone(), socket.clone());
                thread::spawn(move || {
                    // Ends only when everything came out: a lost wake-up is a deadlock, which shuttle reports.
                    while socket.took.lock().unwrap().len() < 6 {
                        let mut owed = socket.owed.lock().unwrap();
                        while !*owed {
                            if socket.took.lock().unwrap().len() == 6 {
                                return;
                            }
                            owed = socket.told.wait(owed).unwrap();
                        }
                        *owed = false;
                        drop(owed);
                        *socket.room.lock().unwrap() += 3;
                        socket.flush(&outbox);
                    }
                })
            };
            publishers.into_iter().for_each(|p| p.join().unwrap());
            // The last flush may have been a publisher's: let the owner see that all is done.
            *socket.owed.lock().unwrap() = true;
            socket.told.notify_one();
            owner.join().unwrap();
            let took = socket.took.lock().unwrap().clone();
            let of = |set: &[u8]| took.iter().copied().filter(|b| set.contains(b)).collect::<Vec<_>>();
            assert_eq!(
                (of(b"abc"), of(b"xyz")),
                (b"abc".to_vec(), b"xyz".to_vec()),
                "each publisher's order holds"
            );
            assert_eq!(budget.used_bytes(), 0);
        },
        2000,
    );
}

#[test]
fn a_cut_that_races_a_flush_leaves_whole_messages_and_the_last_words() {
    shuttle::check_random(
        || {
            let budget = Arc::new(crate::Budget::new(1 << 20));
            let (outbox, socket) =
                (Arc::new(Outbox::new(1 << 16, budget.clone())), Arc::new(Socket::default()));
            *socket.room.lock().unwrap() = usize::MAX;
            let publisher = {
                let (outbox, socket) = (outbox.clone(), socket.clone());
                thread::spawn(move || {
                    for _ in 0..3 {
                        let Some(mut slot) = outbox.slot() else { return };
                        slot.append(4, &mut Spare::default(), |out| out.extend_from_slice(b"<m>\n"));
                        if slot.done(4) == Put::First {
                            socket.flush(&outbox);
                        }
                    }
                })
            };
            outbox.cut(b"bye");
            socket.flush(&outbox);
            publisher.join().unwrap();
            socket.flush(&outbox);
            let took = String::from_utf8(socket.took.lock().unwrap().clone()).unwrap();
            let rest = took.strip_suffix("bye").unwrap_or_else(|| panic!("no last words: {took:?}"));
            assert_eq!(rest.replace("<m>\n", ""), "");
            assert_eq!(budget.used_bytes(), 0);
        },
        2000,
    );
}

#[test]
fn a_route_that_is_current_misses_no_subscription_that_was_made() {
    shuttle::check_random(
        || {
            let interest = Arc::new(Interest::new(1));
            let made = Arc::new(Mutex::new(0));
            let pattern = SubjectPattern::parse(b"a.*").unwrap();
            let subscriber = {
                let (interest, made) = (interest.clone(), made.clone());
                thread::spawn(move || {
                    for _ in 0..3 {
                        interest.subscribe(&pattern, None, Arc::new(crate::test::Silent));
                        *made.lock().unwrap() += 1;
                    }
                })
            };
            // As a publisher does: remember with a stamp read first, use while current, ask again when stale.
            let mut route = None;
            for _ in 0..6 {
                let must_hear: usize = *made.lock().unwrap();
                let heard = match route {
                    Some((stamp, heard)) if interest.is_current(stamp) => heard,
                    _ => {
                        let stamp = interest.stamp(b"a.b");
                        let mut heard = 0;
                        interest.read().matches(b"a.b", &mut |hit| match hit {
                            crate::Hit::All(entries) => heard += entries.len(),
                            crate::Hit::Group(..) => {}
                        });
                        route = Some((stamp, heard));
                        heard
                    }
                };
                assert!(heard >= must_hear, "{must_hear} were in force, the route has {heard}");
            }
            subscriber.join().unwrap();
        },
        2000,
    );
}
