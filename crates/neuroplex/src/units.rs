//! Sizes and durations as people write them: `1GiB`, `500KB`, `7d`, `1h30m`. Not here: moments.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const SIZES: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("T", 1 << 40),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("K", 1 << 10),
    ("B", 1),
];

const SPANS: &[(&str, u64)] = &[
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

/// A number of bytes: `1073741824`, `1GiB` (1024³), `1GB` (1000³), `1G` (as `1GiB`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Size, &'static str> {
        const FORM: &str = "a size is a number of bytes, or one with KiB, MiB, GiB, KB, MB, GB behind it";
        let (number, unit) = split(text.trim()).ok_or(FORM)?;
        let factor = match unit {
            "" => 1,
            unit => SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or(FORM)?.1,
        };
        scaled(number, factor).map(Size).ok_or(FORM)
    }
}

/// A duration: `7d`, `1h30m`, `250ms`, `0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Span, &'static str> {
        const FORM: &str =
            "a duration is a number with w, d, h, m, s, ms, us or ns behind it, such as 7d or 1h30m";
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Span(Duration::ZERO));
        }
        let mut total = (!rest.is_empty()).then_some(0u64).ok_or(FORM)?;
        while !rest.is_empty() {
            let (number, behind) = split(rest).ok_or(FORM)?;
            let end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
            let (unit, next) = behind.split_at(end);
            let factor = SPANS.iter().find(|(name, _)| *name == unit.trim()).ok_or(FORM)?.1;
            total = scaled(number, factor).and_then(|ns| total.checked_add(ns)).ok_or(FORM)?;
            rest = next;
        }
        Ok(Span(Duration::from_nanos(total)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&span(self.0))
    }
}

/// `1.5 GiB`, `12 B`.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut at) = (bytes as f64, 0);
    // What would be shown as 1024 is one of the next unit.
    while value >= 1023.95 && at + 1 < units.len() {
        (value, at) = (value / 1024.0, at + 1);
    }
    let text = if at == 0 { bytes.to_string() } else { format!("{value:.1}") };
    format!("{} {}", text.strip_suffix(".0").unwrap_or(&text), units.get(at).unwrap_or(&"B"))
}

/// `7d`, `1h30m`, `250ms`: at most two units, so that it can be read at a glance.
pub(crate) fn span(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut text = String::new();
    let mut parts = 0;
    for (name, factor) in SPANS.iter().filter(|(name, _)| !matches!(*name, "w" | "µs")) {
        let whole = left / factor;
        left %= factor;
        if whole > 0 {
            text.push_str(&format!("{whole}{name}"));
        }
        parts += usize::from(whole > 0 || parts > 0);
        if parts == 2 {
            break;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// A number at the beginning, and what stands behind it.
fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, behind) = text.split_at(end);
    (!number.is_empty()).then_some((number, behind.trim_start()))
}

/// A number, possibly with a fraction, times a factor.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    if fraction.is_empty() {
        return (!number.ends_with('.')).then_some(whole);
    }
    let fraction = format!("0.{fraction}").parse::<f64>().ok()? * factor as f64;
    whole.checked_add(fraction.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("1KiB", 1024),
            ("1 GiB", 1 << 30),
            ("1gib", 1 << 30),
            ("1G", 1 << 30),
            ("1GB", 1_000_000_000),
            ("1.5MiB", 1_572_864),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for bad in ["", "GiB", "1X", "-1", "1.KiB", "1.2.3", "99999999999999999999"] {
            assert!(bad.parse::<Size>().is_err(), "{bad:?}");
        }
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1_572_864, "1.5 MiB")] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size((1 << 30) - 1), "1 GiB");
    }

    #[test]
    fn durations_are_read_and_shown_as_people_write_them() {
        for (text, ms) in [
            ("0", 0),
            ("7d", 604_800_000),
            ("1w", 604_800_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("250ms", 250),
            ("1.5s", 1500),
        ] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(ms))), "{text}");
        }
        for bad in ["", "7", "d", "7x", "1h30", "-1s", "5 minutes"] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?}");
        }
        for (ms, text) in [
            (0, "0s"),
            (250, "250ms"),
            (1500, "1s500ms"),
            (5_400_000, "1h30m"),
            (604_800_000, "7d"),
            (90_061_001, "1d1h"),
            (86_400_001, "1d"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
    }
}
