//! `pub`, `sub`, `pubsub`, `fanout`: as fast as it goes.

use crate::block::Block;
use crate::counter::Counter;
use crate::cpu::{Moment, Spent};
use crate::link::{Link, Server};
use crate::pump::Pump;
use crate::tap::{Feed, Tap};
use crate::{BenchError, Faults, Mode, Options, Report};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// `sub` waits so long for the first message, and so long for the next.
const PUBLISHER_LIMIT: Duration = Duration::from_secs(60);
/// What all subscribers together may not have received yet: a server must keep that much.
const WINDOWS_BYTES: usize = 64 << 20;
const NAP: Duration = Duration::from_millis(50);

pub(crate) fn run(options: &Options) -> Result<Report, BenchError> {
    let server = Server::parse(&options.server)?;
    match options.mode {
        Mode::Sub => listen(options, &server),
        _ => publish(options, &server),
    }
}

/// Opens what a run of this mode needs: subscribers first, so that nothing is published to nobody.
pub(crate) fn open(options: &Options, server: &Server) -> Result<Pump, BenchError> {
    let (publishers, subscribers) = match options.mode {
        Mode::Pub => (options.clients, 0),
        Mode::Sub => (0, options.clients),
        Mode::Fanout => (1, options.clients),
        _ => (options.clients, 1),
    };
    let (publish, deliver) = match options.mode {
        Mode::Sub => (None, Block::foreign(options)),
        _ => {
            let (publish, deliver) = Block::pair(options);
            (Some(publish), deliver)
        }
    };
    let (publish, deliver) = (publish.map(Arc::new), Arc::new(deliver));
    let mut taps = Vec::with_capacity(subscribers);
    for _ in 0..subscribers {
        let link = Link::open(server, Some(&options.pattern()))?;
        taps.push(Tap::new(link, Counter::new(deliver.clone(), publishers == 1)));
    }
    let mut feeds = Vec::with_capacity(publishers);
    for publish in publish.iter().cycle().take(publishers) {
        feeds.push(Feed::new(Link::open(server, None)?, publish.clone()));
    }
    let window = options.window_bytes.min(WINDOWS_BYTES / subscribers.max(1)) / deliver.message_len();
    Pump::new(feeds, taps, window as u64)
}

fn publish(options: &Options, server: &Server) -> Result<Report, BenchError> {
    let mut pump = open(options, server)?;
    let part = f64::from(options.warmup_percent) / 100.0;
    let warmup = (options.msgs as f64 * part) as u64;
    pump.run(warmup, options.duration.map(|d| Instant::now() + d.mul_f64(part)))?;
    pump.settle()?;
    let (sent, delivered) = (pump.sent(), pump.delivered());

    let before = Moment::now(options.server_pid)?;
    pump.run(options.msgs, options.duration.map(|d| Instant::now() + d))?;
    if options.mode == Mode::Pub {
        // Nobody counts, so the server's answer to a PING ends the run.
        pump.settle()?;
    }
    let spent = before.until(&Moment::now(options.server_pid)?);
    let (sent, delivered) = (pump.sent() - sent, pump.delivered() - delivered);
    pump.settle()?;

    let faults = faults(&pump, pump.sent());
    Ok(Report { faults, ..Report::new(options, &pump.info(), spent, sent, delivered) })
}

/// Compares what each subscriber has with what it should have.
pub(crate) fn faults(pump: &Pump, sent: u64) -> Faults {
    let mut faults = Faults::default();
    for (nth, tap) in pump.taps().iter().enumerate() {
        let counter = &tap.counter;
        faults.lost += sent.saturating_sub(counter.received());
        faults.doubled += counter.received().saturating_sub(sent);
        faults.damaged += counter.damaged();
        if let (None, Some(text)) = (&faults.first, counter.first_damage().or(counter.lines.error.as_deref()))
        {
            faults.first = Some(format!("at subscriber {nth} {text}"));
        }
    }
    faults
}

/// Counts what others publish: from the first message until every subscriber has `msgs`.
fn listen(options: &Options, server: &Server) -> Result<Report, BenchError> {
    let mut pump = open(options, server)?;
    let mut moved_at = Instant::now();
    let mut first = None;
    while pump.taps().iter().any(|tap| tap.counter.received() < options.msgs) {
        let received = pump.turn(NAP)?;
        let now = Instant::now();
        if received {
            moved_at = now;
            first.get_or_insert(Moment::now(options.server_pid)?);
        } else if now.duration_since(moved_at) > PUBLISHER_LIMIT {
            break;
        }
        let over = |moment: &Moment| options.duration.is_some_and(|d| moment.elapsed() >= d);
        if first.as_ref().is_some_and(over) {
            break;
        }
    }
    let end = Moment::now(options.server_pid)?;
    let spent: Spent = first.as_ref().unwrap_or(&end).until(&end);
    let delivered = pump.delivered();
    let expected = if options.duration.is_some() { 0 } else { options.msgs };
    let faults = Faults { doubled: 0, ..faults(&pump, expected) };
    Ok(Report { faults, ..Report::new(options, &pump.info(), spent, 0, delivered) })
}
