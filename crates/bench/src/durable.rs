//! Durable streams under load: publishing with acknowledgement, reading from the start, consuming with acknowledgement.
//! Any server that answers the `$JS.API` takes it; publishing also goes to Redis (`XADD`), to compare with.
//!
//! What travels is checked as in the other modes: a publish must be acknowledged once, under a sequence that nobody
//! else has, and a reader must get every sequence once with the payload that was sent.

mod consume;
mod delivery;
mod marks;
mod nats;
mod overtake;
mod production;
mod pull;
mod redis;
mod replay;
mod report;
mod streams;
mod tally;

use crate::cpu::{Moment, resident_bytes};
use crate::link::{Scheme, Server};
use crate::{BenchError, Faults, Latency, Mode, Options, Report};
use nats::NatsProducer;
use production::{Producer, Production};
use redis::RedisProducer;
pub use report::Durable;
use std::time::{Duration, Instant};
use streams::Streams;
use wire::nats::Info;

/// Publishes in flight while a stream is filled that is not measured.
const FILL_IN_FLIGHT: usize = 4096;
/// How long a server rests before its memory is read.
const REST: Duration = Duration::from_secs(1);

pub(crate) fn run(options: &Options) -> Result<Report, BenchError> {
    let (scheme, server) = Server::parse_any(&options.server)?;
    match (options.mode, scheme) {
        (Mode::PublishAck, Scheme::Redis) => redis(options, &server),
        (_, Scheme::Redis) => Err(BenchError::Usage("redis:// goes with `publish-ack`".into())),
        (Mode::PublishAck, _) => publish_ack(options, &server),
        (Mode::Streams, _) => empty_streams(options, &server),
        (Mode::Overtake, _) => overtaken(options, &server),
        _ => read(options, &server),
    }
}

/// `publish-ack` over the NATS protocol.
fn publish_ack(options: &Options, server: &Server) -> Result<Report, BenchError> {
    let mut streams = Streams::create(options, server)?;
    let producers = NatsProducer::open(options, server, &streams)?;
    let mut production = Production::new(producers, options.in_flight, options.streams)?;
    let mut report = produce(options, &mut production)?;
    let stored = streams.messages()?;
    report.faults = production.tally().faults(stored);
    streams.finish(options)?;
    Ok(report)
}

/// `publish-ack` as `XADD`.
fn redis(options: &Options, server: &Server) -> Result<Report, BenchError> {
    let mut keys = redis::Keys::open(options, server)?;
    let producers = RedisProducer::open(options, server)?;
    let mut production = Production::new(producers, options.in_flight, options.streams)?;
    let mut report = produce(options, &mut production)?;
    report.faults = production.tally().faults(keys.entries()?);
    report.server.version = keys.version()?;
    report.server.name = "redis".into();
    keys.finish(options)?;
    Ok(report)
}

/// Warms up, measures, and waits for what is still in flight.
fn produce<P: Producer>(options: &Options, production: &mut Production<P>) -> Result<Report, BenchError> {
    let part = f64::from(options.warmup_percent) / 100.0;
    let warmup = (options.msgs as f64 * part) as u64;
    production.pass(warmup, options.duration.map(|d| Instant::now() + d.mul_f64(part)))?;
    production.tally_mut().begin();
    let before = Moment::now(options.server_pid)?;
    production.pass(options.msgs, options.duration.map(|d| Instant::now() + d))?;
    let spent = before.until(&Moment::now(options.server_pid)?);
    let (acked, latency) = (production.tally().measured(), Latency::new(production.tally().latency(), false));
    production.drain()?;

    let info = production.producers().first().map(|p| p.link().info.clone()).unwrap_or_default();
    let mut report = Report::new(options, &info, spent, acked, 0);
    report.latency = Some(latency);
    report.durable = Some(Durable::of(options));
    Ok(report)
}

/// `replay`, `replay-pull` and `pull-consume`: a stream is filled, then read as often as the time allows.
fn read(options: &Options, server: &Server) -> Result<Report, BenchError> {
    let mut streams = Streams::create(options, server)?;
    fill(options, server, &mut streams)?;
    let mut once = || match options.mode {
        Mode::Replay => replay::run(options, server, &mut streams),
        _ => consume::run(options, server, &mut streams),
    };
    let mut faults = Faults::default();
    if options.warmup_percent > 0 {
        faults.add(once()?);
    }
    let before = Moment::now(options.server_pid)?;
    let (mut passes, mut spent) = (0, None);
    while spent.is_none() || before.elapsed() < options.duration.unwrap_or_default() {
        faults.add(once()?);
        passes += 1;
        spent = Some(before.until(&Moment::now(options.server_pid)?));
    }
    let delivered = options.msgs * passes;
    let spent = spent.unwrap_or(before.until(&Moment::now(options.server_pid)?));
    let mut report = Report::new(options, streams.info(), spent, 0, delivered);
    report.durable = Some(Durable { passes, ..Durable::of(options) });
    report.faults = faults;
    streams.finish(options)?;
    Ok(report)
}

fn fill(options: &Options, server: &Server, streams: &mut Streams) -> Result<(), BenchError> {
    // One publisher, so that the n-th message of the stream is the n-th published.
    let filling = Options { clients: 1, ..options.clone() };
    let producers = NatsProducer::open(&filling, server, streams)?;
    let mut production = Production::new(producers, FILL_IN_FLIGHT, options.streams)?;
    production.pass(options.msgs, None)?;
    let faults = production.tally().faults(streams.messages()?);
    match faults.none() {
        true => Ok(()),
        false => Err(BenchError::Refused(format!("the stream could not be filled: {faults:?}"))),
    }
}

/// `overtake`: a stream is filled, then critical messages go past what waits.
fn overtaken(options: &Options, server: &Server) -> Result<Report, BenchError> {
    let mut streams = Streams::create(options, server)?;
    fill(options, server, &mut streams)?;
    let report = overtake::run(options, &mut streams)?;
    streams.finish(options)?;
    Ok(report)
}

/// `streams`: what an empty stream costs.
fn empty_streams(options: &Options, server: &Server) -> Result<Report, BenchError> {
    let resident = || options.server_pid.map(resident_bytes).transpose();
    let rss_before = resident()?;
    let before = Moment::now(options.server_pid)?;
    let mut streams = Streams::create(options, server)?;
    let spent = before.until(&Moment::now(options.server_pid)?);
    std::thread::sleep(options.duration.unwrap_or(REST));
    let rss_after = resident()?;
    let each = |(a, b): (u64, u64)| (b as f64 - a as f64) / options.streams.max(1) as f64;
    let info: &Info = streams.info();
    let mut report = Report::new(options, info, spent, options.streams as u64, 0);
    report.durable = Some(Durable {
        rss_before,
        rss_after,
        bytes_each: rss_before.zip(rss_after).map(each),
        ..Durable::of(options)
    });
    streams.finish(options)?;
    Ok(report)
}
