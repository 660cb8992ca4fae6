//! The HTTP door: whether it answers `/healthz`, and what its clock says.

use std::time::Instant;

use http::header::DATE;
use kernel::Code;

use super::tick::{Tick, ms};
use crate::context::Aim;
use crate::door::{Address, Door};
use crate::failure::Failure;

/// What the door said.
pub(super) struct Health {
    pub(super) tick: Tick,
    /// To ask more, if it answered.
    pub(super) door: Option<Door>,
    /// Its clock, in seconds since 1970, if it told.
    pub(super) date_s: Option<u64>,
}

impl From<Tick> for Health {
    /// There is nobody to ask more.
    fn from(tick: Tick) -> Health {
        Health { tick, door: None, date_s: None }
    }
}

/// Asks the door; one that is not named may be missing.
pub(super) async fn check(address: Address, is_named: bool, aim: Result<Aim, Failure>) -> Health {
    let mut door = match approach(address, aim) {
        Ok(door) => door,
        Err(failure) => return Tick::failure("http", failure).into(),
    };
    let url = format!("{}/healthz", door.address());
    let start = Instant::now();
    match door.open().await {
        Ok(()) => {}
        Err(failure) if is_named => return Tick::failure("http", failure).into(),
        Err(_) => {
            let what = format!("nothing listens on {}; name another with --http URL", door.address());
            return Tick::skipped("http", what).into();
        }
    }
    let answer = match door.ask("/healthz").await {
        Ok(answer) => answer,
        Err(failure) => return Tick::failure("http", failure).into(),
    };
    let date_s = answer.headers().get(DATE).and_then(|date| seconds(date.to_str().ok()?));
    let tick = match answer.status().as_u16() {
        200 => Tick::good("http", format!("{url} is well, in {}", ms(start.elapsed()))),
        status => {
            let fix = "If this is a node, its log says what it lacks; else name the node's HTTP door with --http URL.";
            Tick::bad("http", Code::ServiceUnavailable, format!("{url} answered {status}"), fix)
        }
    };
    Health { tick, door: Some(door), date_s }
}

/// The door is asked even where a context or its files cannot be read, which the check of the server tells: its health
/// is no secret. Only TLS needs them.
fn approach(address: Address, aim: Result<Aim, Failure>) -> Result<Door, Failure> {
    match aim.and_then(|aim| Door::new(address.clone(), &aim)) {
        Err(_) if !address.is_tls() => Door::alone(address),
        door => door,
    }
}

/// A `Date`, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7), in seconds since 1970.
fn seconds(date: &str) -> Option<u64> {
    let mut parts = date.split_ascii_whitespace().skip(1);
    let day: i64 = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|m| *m == month)? as i64 + 1;
    let year: i64 = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.split(':').map(|p| p.parse::<i64>());
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    u64::try_from(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second).ok()
}

/// Days since 1970-01-01 of a date (Hinnant, "chrono-compatible low-level date algorithms", days_from_civil).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_or_refused() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        for odd in ["", "yesterday", "a 1 Jan", "Sun, 06 Nov 1994 08:49"] {
            assert_eq!(seconds(odd), None, "{odd:?}");
        }
    }
}
