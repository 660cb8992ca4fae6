//! What the commands of streams have in common: the way to them, and moments as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::jetstream::{Context, Time};
use jiff::Timestamp;

use crate::failure::Failure;
use crate::global::Global;
use crate::link::Link;
use crate::units::span;

/// Connects as `name`, for a command that asks and ends.
pub(crate) async fn connect(global: &Global, name: &str) -> Result<Context, Failure> {
    Ok(Context::new(Link::once(global, name).await?.client))
}

/// Connects as `name`, for a command that goes on until it is stopped.
pub(crate) async fn stay(global: &Global, name: &str) -> Result<Context, Failure> {
    Ok(Context::new(Link::stay(global, name).await?.client))
}

/// `2026-05-01 10:00:00 UTC`.
pub(crate) fn moment(time: Time) -> String {
    match Timestamp::from_nanosecond(time.0.into()) {
        Ok(at) if time.0 > 0 => at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        _ => "never".into(),
    }
}

/// How long ago; `-`: never.
pub(crate) fn ago(time: Time) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_nanos(time.0));
    match since {
        _ if time.0 == 0 => "-".into(),
        Ok(since) if since < Duration::from_secs(1) => "now".into(),
        Ok(since) => format!("{} ago", span(Duration::from_secs(since.as_secs()))),
        // Its clock is ahead of ours.
        Err(_) => "now".into(),
    }
}

/// A limit, where 0 and less stand for none.
pub(crate) fn limit(value: i64, show: impl Fn(u64) -> String) -> String {
    match u64::try_from(value) {
        Ok(value) if value > 0 => show(value),
        _ => "no limit".into(),
    }
}

/// A duration in nanoseconds.
pub(crate) fn nanos(ns: u64) -> String {
    span(Duration::from_nanos(ns))
}

/// A limit as the API takes it: 0 stands for none.
pub(crate) fn api_limit(value: u64) -> i64 {
    match i64::try_from(value).unwrap_or(i64::MAX) {
        0 => -1,
        limit => limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_limits_are_said_in_words() {
        assert_eq!(moment(Time(1_714_557_600_123_456_789)), "2024-05-01 10:00:00 UTC");
        assert_eq!((moment(Time(0)).as_str(), ago(Time(0)).as_str()), ("never", "-"));
        assert_eq!(limit(-1, nanos), "no limit");
        assert_eq!(limit(7_000_000_000, nanos), "7s");
        assert_eq!((api_limit(0), api_limit(5)), (-1, 5));
    }
}
