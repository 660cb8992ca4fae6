//! A moment in RFC 3339, to the nanosecond, as JetStream's documents carry it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Nanoseconds since 1970. 0 stands for "no time", which is written as the year 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

const NONE: &str = "0001-01-01T00:00:00Z";

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_nanosecond(self.0.into()) {
            Ok(moment) if self.0 != 0 => moment.fmt(f),
            _ => f.write_str(NONE),
        }
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Time, jiff::Error> {
        let moment: Timestamp = text.parse()?;
        Ok(Time(u64::try_from(moment.as_nanosecond()).unwrap_or(0)))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Time, D::Error> {
        Cow::<'de, str>::deserialize(input)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_servers_and_clients_write_it() {
        for (text, ns) in [
            ("\"2024-05-01T10:00:00.123456789Z\"", 1_714_557_600_123_456_789),
            ("\"2024-05-01T12:00:00.123456789+02:00\"", 1_714_557_600_123_456_789),
            ("\"0001-01-01T00:00:00Z\"", 0),
        ] {
            assert_eq!(serde_json::from_str::<Time>(text).unwrap(), Time(ns), "{text}");
        }
        assert_eq!(Time(1_714_557_600_123_456_789).to_string(), "2024-05-01T10:00:00.123456789Z");
        assert_eq!(Time(0).to_string(), NONE);
    }
}
