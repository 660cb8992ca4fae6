//! Numbers as they stand in a narrow column: `950`, `12.3k`, `1.2M`, `–` for what is not known.

/// What is not known.
pub(super) const UNKNOWN: &str = "–";

/// A whole number.
pub(super) fn count(n: u64) -> String {
    short(n as f64)
}

/// A number that may not be known.
pub(super) fn maybe(n: Option<u64>) -> String {
    n.map_or_else(|| UNKNOWN.to_owned(), count)
}

/// So many a second.
pub(super) fn per_s(rate: Option<f64>) -> String {
    rate.map_or_else(|| UNKNOWN.to_owned(), short)
}

/// So many bytes a second.
pub(super) fn bytes_per_s(rate: Option<f64>) -> String {
    rate.map_or_else(|| UNKNOWN.to_owned(), |rate| format!("{}/s", crate::units::size(rate.round() as u64)))
}

fn short(value: f64) -> String {
    let (mut value, mut unit) = (value, "");
    for next in ["k", "M", "G", "T"] {
        // What would be shown as 10000 is ten of the next unit.
        if value < if unit.is_empty() { 9999.5 } else { 999.95 } {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    let digits = usize::from(!unit.is_empty() || value < 9.95);
    let text = format!("{value:.digits$}");
    format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_into_six_columns() {
        for (value, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (7.0, "7"),
            (4.99, "5"),
            (9.96, "10"),
            (949.4, "949"),
            (9999.0, "9999"),
            (9999.9, "10k"),
            (12_345.0, "12.3k"),
            (999_950.0, "1M"),
            (13_600_000.0, "13.6M"),
            (1.0e15, "1000T"),
        ] {
            assert_eq!(per_s(Some(value)), text);
        }
        assert_eq!((maybe(None), bytes_per_s(Some(2048.2))), ("–".to_owned(), "2 KiB/s".to_owned()));
    }
}
