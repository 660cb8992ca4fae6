//! epoll, as much of it as a load of a few thousand sockets needs.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// What one wait may report; the rest comes with the next.
const EVENTS_LIMIT: usize = 256;

/// Below this a timeout is kept by a timer: epoll alone rounds to milliseconds.
const EXACT: Duration = Duration::from_millis(10);
/// The timer's number.
const ALARM: usize = usize::MAX;

/// A set of sockets, each with a number of the caller's below `usize::MAX`.
pub(crate) struct Poller {
    epoll: OwnedFd,
    alarm: OwnedFd,
    ready: Vec<Ready>,
}

/// What a socket is ready for. An error or an end counts as both: the next call on the socket tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) token: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let alarm =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let poller = Self { epoll, alarm, ready: Vec::with_capacity(EVENTS_LIMIT) };
        // Each time it rings is an edge, so nobody needs to read it.
        poller.add(&poller.alarm, ALARM, EventFlags::IN | EventFlags::ET)?;
        Ok(poller)
    }

    /// Reports `socket` as long as it can be read.
    pub(crate) fn add_reader(&self, socket: impl AsFd, token: usize) -> io::Result<()> {
        self.add(socket, token, EventFlags::IN)
    }

    /// Reports `socket` each time it *becomes* readable or writable: the caller goes on until it would block.
    pub(crate) fn add_edges(&self, socket: impl AsFd, token: usize) -> io::Result<()> {
        self.add(socket, token, EventFlags::IN | EventFlags::OUT | EventFlags::ET)
    }

    fn add(&self, socket: impl AsFd, token: usize, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(token as u64), flags)?)
    }

    /// Waits until a socket is ready or the time is over. An interrupted wait is an empty one.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<&[Ready]> {
        if !timeout.is_zero() && timeout < EXACT {
            let timer = Itimerspec { it_interval: Timespec::default(), it_value: timespec(timeout) };
            timerfd_settime(&self.alarm, TimerfdTimerFlags::empty(), &timer)?;
        }
        let mut events = [const { MaybeUninit::<Event>::uninit() }; EVENTS_LIMIT];
        self.ready.clear();
        match epoll::wait(&self.epoll, &mut events, Some(&timespec(timeout))) {
            Ok((events, _)) => {
                let broken = EventFlags::ERR | EventFlags::HUP | EventFlags::RDHUP;
                let sockets = events.iter().filter(|event| event.data.u64() != ALARM as u64);
                self.ready.extend(sockets.map(|event| {
                    let (data, flags) = (event.data, event.flags);
                    Ready {
                        token: data.u64() as usize,
                        readable: flags.intersects(EventFlags::IN | broken),
                        writable: flags.intersects(EventFlags::OUT | broken),
                    }
                }));
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(&self.ready)
    }
}

fn timespec(time: Duration) -> Timespec {
    time.try_into().unwrap_or_default()
}
