//! `pubsub --rate`: latency of messages published on a fixed schedule (open loop).
//!
//! The n-th message is due n/rate after the start, whatever the server does, and its latency counts from then. With one
//! publisher the n-th message received is the n-th sent, so no time needs to travel in it.

use crate::cpu::Moment;
use crate::link::Server;
use crate::pump::{Pump, STALL_LIMIT};
use crate::throughput::{faults, open};
use crate::{BenchError, Histogram, Latency, Options, Report};
use std::time::{Duration, Instant};

pub(crate) fn run(options: &Options) -> Result<Report, BenchError> {
    let rate = options.rate.unwrap_or(1);
    let mut pump = open(options, &Server::parse(&options.server)?)?;
    let whole =
        options.duration.map_or(options.msgs, |d| options.msgs.min((d.as_secs_f64() * rate as f64) as u64));
    let warmup = whole * u64::from(options.warmup_percent) / 100;
    pass(&mut pump, Schedule::new(rate, warmup, options.spin), |_| {})?;

    let before = Moment::now(options.server_pid)?;
    let delivered = pump.delivered();
    let mut histogram = Histogram::default();
    pass(&mut pump, Schedule::new(rate, whole, options.spin), |ns| histogram.record(ns))?;
    let spent = before.until(&Moment::now(options.server_pid)?);
    let delivered = pump.delivered() - delivered;
    pump.settle()?;

    let mut report = Report::new(options, &pump.info(), spent, whole, delivered);
    report.load.spinning = options.spin;
    report.latency = Some(Latency::new(&histogram, true));
    report.faults = faults(&pump, pump.sent());
    Ok(report)
}

/// When each of `count` messages is due.
pub(crate) struct Schedule {
    start: Instant,
    rate: u64,
    pub(crate) count: u64,
    spin: bool,
}

impl Schedule {
    pub(crate) fn new(rate: u64, count: u64, spin: bool) -> Self {
        Self { start: Instant::now(), rate, count, spin }
    }

    /// The moment of message `nth`, counted from 0.
    pub(crate) fn due(&self, nth: u64) -> Instant {
        self.start + Duration::from_secs_f64(nth as f64 / self.rate as f64)
    }

    /// How many messages are due at `now`.
    pub(crate) fn due_by(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.start).as_secs_f64();
        ((passed * self.rate as f64) as u64 + 1).min(self.count)
    }

    /// How long to wait for sockets when `sent` messages are sent.
    pub(crate) fn nap(&self, sent: u64) -> Duration {
        const LONGEST: Duration = Duration::from_millis(50);
        match (self.spin, sent < self.count) {
            (true, _) => Duration::ZERO,
            (false, true) => self.due(sent).saturating_duration_since(Instant::now()).min(LONGEST),
            (false, false) => LONGEST,
        }
    }
}

fn pass(pump: &mut Pump, schedule: Schedule, mut record: impl FnMut(u64)) -> Result<(), BenchError> {
    let (already, mut sent, mut seen) = (pump.delivered(), 0, 0);
    let mut moved_at = Instant::now();
    while seen < schedule.count {
        let due = schedule.due_by(Instant::now());
        pump.offer(due - sent)?;
        sent = due;
        pump.turn(schedule.nap(sent))?;
        let (now, received) = (Instant::now(), pump.delivered() - already);
        if received > seen {
            moved_at = now;
        } else if sent > seen && now.duration_since(moved_at) > STALL_LIMIT {
            return Err(pump.stalled());
        }
        for nth in seen..received {
            record(now.saturating_duration_since(schedule.due(nth)).as_nanos() as u64);
        }
        seen = received;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_fixed_at_its_start() {
        let schedule = Schedule::new(1000, 5, true);
        assert_eq!(schedule.due_by(schedule.start), 1);
        assert_eq!(schedule.due_by(schedule.start + Duration::from_micros(2500)), 3);
        assert_eq!(schedule.due_by(schedule.start + Duration::from_secs(9)), 5);
        assert_eq!(schedule.due(3) - schedule.start, Duration::from_millis(3));
    }
}
