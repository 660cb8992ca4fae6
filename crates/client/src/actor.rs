//! The one task that owns the connection: reads, writes what has gathered in one go, asks whether the server is
//! still there, and comes back when the connection breaks.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, WriteHalf};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};

use crate::backoff::Backoff;
use crate::inbound::Inbound;
use crate::open::{Attempt, Opened, sentence};
use crate::pool::Pool;
use crate::shared::Shared;
use crate::state::Pong;
use crate::stream::Stream;
use crate::{Code, Error, Event, random};

/// Questions without an answer after which the server counts as gone.
const UNANSWERED_MAX: usize = 2;
/// Rounds in which every server refused our credentials, after which we stop asking.
const DENIED_ROUNDS_MAX: u32 = 2;

/// The task's own things.
pub(crate) struct Actor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Pool,
}

/// What is being written, and how far it got.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
}

impl Actor {
    /// Runs until the client is closed or gives up.
    pub(crate) async fn run(mut self, mut opened: Opened) {
        let why = loop {
            self.pool.learn(&opened.info);
            let lost = match self.serve(opened).await {
                Ok(()) => break None,
                Err(lost) => lost,
            };
            self.shared.options.tell(Event::Disconnected(lost.clone()));
            self.pool.advance();
            match self.come_back(lost).await {
                Ok(again) => opened = again,
                Err(Error::Closed) => break None,
                Err(given_up) => break Some(given_up),
            }
            let server = self.pool.current().clone();
            self.shared.with(|s| s.back(opened.info.clone(), server.clone()));
            self.shared.room.notify_waiters();
            self.shared.options.tell(Event::Reconnected(server));
        };
        self.shared.with(|s| s.close(why.as_ref().unwrap_or(&Error::Closed)));
        self.shared.room.notify_waiters();
        self.shared.taken.notify_waiters();
        self.shared.options.tell(Event::Closed(why));
        self.shared.ended.send_replace(true);
    }

    /// Serves one connection. `Ok`: it was closed because we wanted to. An error: it broke, and the state knows.
    async fn serve(&mut self, opened: Opened) -> Result<(), Error> {
        let mut out = Outgoing::default();
        let broke = match self.pump(opened, &mut out).await {
            Ok(()) => return Ok(()),
            Err(broke) => broke,
        };
        Err(self.shared.with(|s| {
            let why = s.refusal.take().unwrap_or(broke);
            s.lost(&out.bytes, out.written, &why);
            why
        }))
    }

    async fn pump(&mut self, opened: Opened, out: &mut Outgoing) -> Result<(), Error> {
        let shared = self.shared.clone();
        let (mut reader, mut writer) = tokio::io::split(opened.stream);
        let mut inbound = Inbound::new(opened.read);
        self.absorb(&mut inbound)?;
        let every = shared.options.ping_interval;
        let mut alive = interval_at(Instant::now() + every, every);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut give_up: Option<Instant> = None;
        loop {
            let closing = self.refill(out);
            if closing {
                if out.bytes.is_empty() {
                    _ = writer.shutdown().await;
                    return Ok(());
                }
                give_up.get_or_insert_with(|| Instant::now() + shared.options.drain_timeout);
            }
            tokio::select! {
                read = reader.read_buf(inbound.room()) => match read {
                    Ok(0) => return Err(Error::Disconnected("the server closed it".into())),
                    Ok(_) => self.absorb(&mut inbound)?,
                    Err(e) => return Err(Error::Disconnected(sentence(&e))),
                },
                wrote = out.write(&mut writer), if !out.bytes.is_empty() => {
                    wrote.map_err(|e| Error::Disconnected(sentence(&e)))?;
                }
                () = shared.wake.notified() => {}
                _ = alive.tick() => self.ask()?,
                () = sleep_until(give_up.unwrap_or_else(Instant::now)), if give_up.is_some() => return Ok(()),
            }
        }
    }

    /// Takes what has gathered, if nothing is being written; says whether the client is closing.
    fn refill(&self, out: &mut Outgoing) -> bool {
        let (closing, took) = self.shared.with(|s| {
            let take = out.bytes.is_empty() && !s.pending.is_empty();
            if take {
                std::mem::swap(&mut out.bytes, &mut s.pending);
            }
            (s.closing, take)
        });
        if took {
            self.shared.room.notify_waiters();
        }
        closing
    }

    fn absorb(&mut self, inbound: &mut Inbound) -> Result<(), Error> {
        let mut events = Vec::new();
        let (result, told) = self.shared.with(|s| {
            let result = inbound.absorb(s, &mut events);
            (result, events.iter().any(|e| matches!(e, Event::LameDuck)).then(|| s.info.clone()))
        });
        if let Some(info) = told {
            self.pool.learn(&info);
        }
        events.into_iter().for_each(|event| self.shared.options.tell(event));
        result
    }

    /// Asks whether the server is still there.
    fn ask(&self) -> Result<(), Error> {
        self.shared.with(|s| match s.unanswered() {
            n if n >= UNANSWERED_MAX => {
                Err(Error::Disconnected("the server does not answer any more".into()))
            }
            _ => {
                s.ping(Pong::Alive);
                Ok(())
            }
        })
    }

    /// Tries every server in turn, round after round.
    async fn come_back(&mut self, mut last: Error) -> Result<Opened, Error> {
        let options = &self.shared.options;
        let mut backoff = Backoff::new(options.reconnect_delay, options.reconnect_delay_max);
        let mut denied_rounds = 0;
        while options.reconnects_max.is_none_or(|max| backoff.attempt() < max) {
            tokio::select! {
                () = sleep(backoff.next(random::number())) => {}
                () = self.shared.closing() => return Err(Error::Closed),
            }
            let mut denied = 0;
            for _ in 0..self.pool.len() {
                let attempt = Attempt { server: self.pool.current(), options, tls: || self.shared.tls() };
                let opened = tokio::select! {
                    opened = attempt.open() => opened,
                    () = self.shared.closing() => return Err(Error::Closed),
                };
                match opened {
                    Ok(opened) => return Ok(opened),
                    Err(e) => {
                        denied += usize::from(e.code() == Code::AuthFailed);
                        last = e;
                    }
                }
                self.pool.advance();
            }
            denied_rounds = if denied == self.pool.len() { denied_rounds + 1 } else { 0 };
            if denied_rounds >= DENIED_ROUNDS_MAX {
                break;
            }
        }
        Err(last)
    }
}

impl Outgoing {
    /// Writes on from where it stands; a call that is dropped in the middle loses nothing.
    async fn write(&mut self, writer: &mut WriteHalf<Stream>) -> io::Result<()> {
        while let Some(rest @ [_, ..]) = self.bytes.get(self.written..) {
            match writer.write(rest).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => self.written += n,
            }
        }
        writer.flush().await?;
        self.bytes.clear();
        self.written = 0;
        Ok(())
    }
}
