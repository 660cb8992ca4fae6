//! Listeners for the tests of this crate.

use std::sync::Mutex;
use std::task::Waker;

use kernel::{ConnectionId, Drain, Full, Listener, Msg, Put, Spare};

/// Hears nothing.
pub(crate) struct Silent;

impl Drain for Silent {
    fn on_drain(&self, _: &Waker) -> bool {
        false
    }
}

impl Listener for Silent {
    fn put(&self, _: &Msg<'_>, _: &mut Spare) -> Put {
        Put::Gone
    }
    fn full(&self) -> Full {
        Full::Drop
    }
    fn flush(&self, _: &mut Spare) {}
    fn connection(&self) -> Option<ConnectionId> {
        None
    }
}

/// Remembers what it heard.
pub(crate) struct Ear {
    pub(crate) connection: u64,
    pub(crate) heard: Mutex<Vec<Vec<u8>>>,
}

impl Ear {
    pub(crate) fn new(connection: u64) -> Ear {
        Ear { connection, heard: Mutex::default() }
    }
}

impl Drain for Ear {
    fn on_drain(&self, _: &Waker) -> bool {
        false
    }
}

impl Listener for Ear {
    fn put(&self, m: &Msg<'_>, _: &mut Spare) -> Put {
        self.heard.lock().unwrap().push(m.payload.to_vec());
        Put::Queued
    }
    fn full(&self) -> Full {
        Full::Drop
    }
    fn flush(&self, _: &mut Spare) {}
    fn connection(&self) -> Option<ConnectionId> {
        Some(ConnectionId(self.connection))
    }
}
