//! Durations in Go's notation, `1h30m` or `1.5s`, as they stand in headers and in acknowledgements.

/// Nanoseconds, or nothing if it cannot be read or is too long for 63 bits of nanoseconds.
pub fn parse(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (part, after_part) = match after.strip_prefix('.') {
            Some(more) => digits(more),
            None => ("", after),
        };
        let (unit_ns, next) = unit(after_part)?;
        if whole.is_empty() && part.is_empty() {
            return None;
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(unit_ns)?)?.checked_add(fraction(part, unit_ns))?;
        rest = next;
    }
    let total = i64::try_from(total).ok()?;
    Some(if negative { -total } else { total })
}

/// Writes nanoseconds as Go does: `1m0s`, `1.5s`, `100ms`, `0s`.
pub fn write(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    let text = match ns {
        0 => "0s".into(),
        1..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => decimal(ns, 1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(ns, 1_000_000, "ms"),
        _ => {
            let (minutes, seconds) = (ns / 60_000_000_000, decimal(ns % 60_000_000_000, 1_000_000_000, "s"));
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

fn decimal(ns: u64, unit_ns: u64, name: &str) -> String {
    let places = unit_ns.ilog10() as usize;
    let part = format!("{:0places$}", ns % unit_ns);
    match part.trim_end_matches('0') {
        "" => format!("{}{name}", ns / unit_ns),
        part => format!("{}.{part}{name}", ns / unit_ns),
    }
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn unit(text: &str) -> Option<(u64, &str)> {
    let units = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    units.iter().find_map(|(name, ns)| Some((*ns, text.strip_prefix(name)?)))
}

/// What the digits behind the point are worth.
fn fraction(digits: &str, unit_ns: u64) -> u64 {
    let mut scale = unit_ns;
    let mut total = 0;
    for digit in digits.bytes() {
        let value = u64::from(digit - b'0');
        // Units of minutes and hours are no powers of ten: what is lost below a nanosecond is Go's loss, too.
        total += scale * value / 10;
        scale /= 10;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, ns) in [
            ("1s", 1_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0", 0),
            ("0s", 0),
            ("-5s", -5_000_000_000),
            ("+5s", 5_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("2h45m30.5s", 9_930_500_000_000),
            ("100ms", 100_000_000),
            ("1us", 1_000),
            ("1µs", 1_000),
        ] {
            assert_eq!(parse(text), Some(ns), "{text}");
        }
        for bad in
            ["", "x", "1", "1d", "1m1", "1e3s", "1s 2s", ".s", "s", "-", "2562048h", "99999999999999999999s"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (ns, text) in [
            (0, "0s"),
            (5_000_000_000, "5s"),
            (60_000_000_000, "1m0s"),
            (5_400_000_000_000, "1h30m0s"),
            (1_500_000_000, "1.5s"),
            (100_000_000, "100ms"),
            (1_500, "1.5µs"),
            (7, "7ns"),
            (-1_000_000_000, "-1s"),
        ] {
            assert_eq!(write(ns), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ns in any::<i64>().prop_filter("has a negative", |n| *n != i64::MIN)) {
            prop_assert_eq!(parse(&write(ns)), Some(ns));
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,20}") {
            let _ = parse(&text);
        }
    }
}
