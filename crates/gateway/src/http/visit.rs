//! One connection, as far as its requests share something: who asked last, the session that publishes for it, and inboxes
//! that are kept for the next question. It does *not* know what is asked.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use auth::Principal;
use axum::http::HeaderValue;
use fabric::{Captured, Hub, Session, Woken};
use kernel::limits::PUBLISHER_PAUSE_MS_MAX;
use kernel::{Code, Msg, Producer};

use tokio::sync::Notify;

use super::call::{Call, shared};
use super::hold::Hold;
use super::problem::Problem;
use super::trace;

/// Most inboxes that are kept for later: as many questions at once need none of their own.
const CALLS_KEPT_MAX: usize = 4;
/// Requests that a connection may take back, before it is looked at how many it does not.
const ABANDONED_MAX: u64 = 500;
/// Bytes that may wait in an inbox that is lent.
const INBOX_BYTES_MAX: usize = 2 * 1024 * 1024;

thread_local! {
    static WOKEN: RefCell<Woken> = RefCell::default();
}

/// See the module.
pub(super) struct Visit {
    /// Where the client is.
    pub(super) address: SocketAddr,
    pub(super) is_tls: bool,
    /// What is held for it.
    pub(super) hold: Arc<Hold>,
    /// What was shown last, and who it is.
    known: Mutex<Option<(HeaderValue, Arc<Principal>)>>,
    publishing: Mutex<Option<Publishing>>,
    calls: Mutex<Vec<Call>>,
    requests: AtomicU64,
    /// Requests that were taken back before they were answered.
    abandoned: AtomicU64,
    flooded: Notify,
}

/// A session that only publishes.
struct Publishing {
    session: Session,
    producer: Arc<Producer>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Visit {
    pub(super) fn new(address: SocketAddr, is_tls: bool, hold: Arc<Hold>) -> Arc<Visit> {
        Arc::new(Visit {
            address,
            is_tls,
            hold,
            known: Mutex::default(),
            publishing: Mutex::default(),
            calls: Mutex::default(),
            requests: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            flooded: Notify::new(),
        })
    }

    /// A request has come.
    pub(super) fn begin(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Whether any request has come.
    pub(super) fn has_begun(&self) -> bool {
        self.requests.load(Relaxed) > 0
    }

    /// A request was taken back. Whoever takes back nearly all that it asks asks only to keep the node at work.
    pub(super) fn abandon(&self) {
        let abandoned = self.abandoned.fetch_add(1, Relaxed) + 1;
        if abandoned > ABANDONED_MAX && abandoned > self.requests.load(Relaxed) / 2 {
            self.flooded.notify_one();
        }
    }

    /// Waits until more was taken back than may be.
    pub(super) async fn flooded(&self) {
        self.flooded.notified().await;
    }

    /// Who shows this, if it is who showed it last and may still come in.
    pub(super) fn known(&self, shown: &HeaderValue) -> Option<Arc<Principal>> {
        let known = lock(&self.known);
        known.as_ref().filter(|(last, who)| last == shown && !who.is_dismissed()).map(|(_, who)| who.clone())
    }

    /// Remembers who showed this.
    pub(super) fn remember(&self, shown: &HeaderValue, who: &Arc<Principal>) {
        *lock(&self.known) = Some((shown.clone(), who.clone()));
    }

    /// Publishes for `who`; says how many took it and whether the publisher should wait a little. Errors as
    /// [`Session::publish`], and with [`Code::AuthFailed`] when `who` was dismissed.
    pub(super) fn publish(
        &self,
        hub: &Hub,
        who: &Arc<Principal>,
        m: &Msg<'_>,
    ) -> Result<(usize, bool), Code> {
        if who.is_dismissed() {
            return Err(Code::AuthFailed);
        }
        let carried = trace::carried(m.headers);
        let m = Msg { headers: carried.as_deref().unwrap_or(m.headers), ..*m };
        let shared = shared(&m);
        let m = Msg { shared: shared.as_ref(), ..m };
        let done = self.with_session(hub, who, |Publishing { session, producer }| {
            WOKEN.with_borrow_mut(|woken| {
                let done = session.publish(&Msg { from: Some(producer), ..m }, woken);
                woken.flush();
                let is_high = !woken.take_high().is_empty();
                done.map(|taken| (taken, is_high))
            })
        });
        hub.keep_budget();
        done
    }

    /// Which streams capture what `who` publishes on a subject.
    pub(super) fn capturing(&self, hub: &Hub, who: &Arc<Principal>, subject: &[u8]) -> Captured {
        self.with_session(hub, who, |publishing| publishing.session.capturing(subject))
    }

    /// Does something with the session that publishes for `who`.
    fn with_session<T>(&self, hub: &Hub, who: &Arc<Principal>, act: impl FnOnce(&mut Publishing) -> T) -> T {
        let mut kept = lock(&self.publishing);
        let is_same = kept.as_ref().is_some_and(|p| Arc::ptr_eq(p.session.who(), who));
        if !is_same {
            *kept = None;
        }
        act(kept.get_or_insert_with(|| Publishing {
            session: Session::new(hub, who.clone()),
            producer: Arc::default(),
        }))
    }

    /// Lends an inbox of `who`; it comes back when it is dropped.
    pub(super) fn lend(self: &Arc<Visit>, hub: &Hub, who: &Arc<Principal>) -> Result<Lent, Problem> {
        let mut calls = lock(&self.calls);
        calls.retain(|call| !call.who().is_dismissed());
        let own = calls.iter().position(|call| Arc::ptr_eq(call.who(), who));
        let call = match own {
            Some(at) => calls.swap_remove(at),
            None => Call::open(hub, who.clone(), INBOX_BYTES_MAX, &self.hold)?,
        };
        drop(calls);
        call.listen(true);
        Ok(Lent { call: Some(call), visit: self.clone() })
    }
}

/// Waits as long as a publisher should that met somebody who has a lot to do.
pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_millis(PUBLISHER_PAUSE_MS_MAX)).await;
}

/// An inbox that is lent.
pub(super) struct Lent {
    /// There until it is dropped.
    call: Option<Call>,
    visit: Arc<Visit>,
}

impl Lent {
    /// Does not keep it: late answers may still come to it.
    pub(super) fn spoil(mut self) {
        self.call = None;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(call) = self.call.take() else { return };
        call.listen(false);
        let mut calls = lock(&self.visit.calls);
        if calls.len() < CALLS_KEPT_MAX {
            calls.push(call);
        }
    }
}

impl Deref for Lent {
    type Target = Call;

    #[allow(
        clippy::expect_used,
        reason = "it is taken by `drop` and `spoil` only, after which nobody has it"
    )]
    fn deref(&self) -> &Call {
        self.call.as_ref().expect("an inbox that is lent is there")
    }
}

impl DerefMut for Lent {
    #[allow(
        clippy::expect_used,
        reason = "it is taken by `drop` and `spoil` only, after which nobody has it"
    )]
    fn deref_mut(&mut self) -> &mut Call {
        self.call.as_mut().expect("an inbox that is lent is there")
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use kernel::{ConnectionId, Drain, Full, Listener, Put, Spare, SubjectPattern};

    use super::*;

    /// Remembers what it was given to share.
    #[derive(Default)]
    struct Heard(Mutex<Vec<Option<Vec<u8>>>>);

    impl Drain for Heard {
        fn on_drain(&self, _: &Waker) -> bool {
            false
        }
    }

    impl Listener for Heard {
        fn put(&self, m: &Msg<'_>, _: &mut Spare) -> Put {
            lock(&self.0).push(m.shared.map(|shared| shared.to_vec()));
            Put::Queued
        }
        fn full(&self) -> Full {
            Full::Drop
        }
        fn flush(&self, _: &mut Spare) {}
        fn connection(&self) -> Option<ConnectionId> {
            None
        }
    }

    #[test]
    fn a_large_payload_is_shared_and_a_small_one_copied() {
        let hub = crate::http::subscribe::tests::hub();
        let who = Arc::<Principal>::default();
        let visit = Visit::new(([127, 0, 0, 1], 0).into(), false, Hold::new(hub.budget()));
        let mut session = Session::new(&hub, who.clone());
        let pattern = SubjectPattern::parse(b"a").unwrap();
        let (_, heard) = session.subscribe(&pattern, None, |_| Arc::<Heard>::default()).unwrap();
        let mut call = Call::open(&hub, who.clone(), 100, &visit.hold).unwrap();
        for payload in [vec![b'x'; 100], vec![b'x'; 4096]] {
            let m = Msg { subject: b"a", headers: b"A: b\r\n\r\n", payload: &payload, ..Msg::default() };
            visit.publish(&hub, &who, &m).unwrap();
            call.ask(&m).unwrap();
        }
        let large = [&b"A: b\r\n\r\n"[..], &[b'x'; 4096]].concat();
        assert_eq!(*lock(&heard.0), [None, None, Some(large.clone()), Some(large)]);
    }
}
