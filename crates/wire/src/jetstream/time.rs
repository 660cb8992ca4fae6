//! A moment in RFC 3339, to the nanosecond, as JetStream's documents carry it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Nanoseconds since 1970. 0 stands for "no time", which is written as the year 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

const NONE: &str = "0001-01-01T00:00:00Z";

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::from_nanosecond(self.0.into()) {
            Ok(moment) if self.0 != 0 => out.collect_str(&moment),
            _ => out.serialize_str(NONE),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Time, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
        let moment: jiff::Timestamp = text.parse().map_err(de::Error::custom)?;
        Ok(Time(u64::try_from(moment.as_nanosecond()).unwrap_or(0)))
    }
}
