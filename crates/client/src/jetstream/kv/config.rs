//! What a bucket is to be, as the configuration of its stream, and what is in it.

use std::time::Duration;

use super::STREAM_PREFIX;
use crate::Error;
use crate::jetstream::api::{Discard, StorageType, StreamConfig, StreamInfo};
use crate::jetstream::{names, nanos};

/// Most values that a key may keep.
const HISTORY_MAX: u8 = 64;
/// How long a stream remembers ids, unless its messages live shorter.
const DUPLICATES: Duration = Duration::from_secs(120);

/// What a bucket is to be: every field with a default, set by the method of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketConfig {
    bucket: String,
    description: String,
    history: u8,
    ttl: Duration,
    marker_ttl: Duration,
    max_bytes: i64,
    max_value_bytes: i32,
    storage: StorageType,
    replicas: i64,
}

impl BucketConfig {
    /// A bucket of this name: letters, digits, `_` and `-`.
    pub fn new(bucket: impl Into<String>) -> BucketConfig {
        BucketConfig {
            bucket: bucket.into(),
            description: String::new(),
            history: 1,
            ttl: Duration::ZERO,
            marker_ttl: Duration::ZERO,
            max_bytes: -1,
            max_value_bytes: -1,
            storage: StorageType::File,
            replicas: 1,
        }
    }

    /// What people should know of it. Default: nothing.
    pub fn description(self, text: impl Into<String>) -> BucketConfig {
        BucketConfig { description: text.into(), ..self }
    }

    /// How many values each key keeps, 1 to 64. Default: 1.
    pub fn history(self, values: u8) -> BucketConfig {
        BucketConfig { history: values.clamp(1, HISTORY_MAX), ..self }
    }

    /// How long a value lives. Default: for ever.
    pub fn ttl(self, ttl: Duration) -> BucketConfig {
        BucketConfig { ttl, ..self }
    }

    /// Lets single keys have a time to live, and says for how long the server notes that such a key is gone. Default: they
    /// have none.
    pub fn marker_ttl(self, ttl: Duration) -> BucketConfig {
        BucketConfig { marker_ttl: ttl, ..self }
    }

    /// How many bytes it may hold; what would be more is refused. Default: any number.
    pub fn max_bytes(self, bytes: u64) -> BucketConfig {
        BucketConfig { max_bytes: i64::try_from(bytes).unwrap_or(i64::MAX), ..self }
    }

    /// How many bytes one value may have. Default: as many as a message.
    pub fn max_value_bytes(self, bytes: u32) -> BucketConfig {
        BucketConfig { max_value_bytes: i32::try_from(bytes).unwrap_or(i32::MAX), ..self }
    }

    /// Where values live. Default: on the disk.
    pub fn storage(self, storage: StorageType) -> BucketConfig {
        BucketConfig { storage, ..self }
    }

    /// On how many servers. Default: 1.
    pub fn replicas(self, replicas: u8) -> BucketConfig {
        BucketConfig { replicas: replicas.into(), ..self }
    }

    /// The stream that is such a bucket.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn stream(&self) -> Result<StreamConfig, Error> {
        names::bucket(&self.bucket)?;
        let duplicates = if self.ttl.is_zero() { DUPLICATES } else { self.ttl.min(DUPLICATES) };
        Ok(StreamConfig {
            name: format!("{STREAM_PREFIX}{}", self.bucket),
            description: self.description.clone(),
            subjects: vec![format!("$KV.{}.>", self.bucket)],
            max_msgs_per_subject: self.history.into(),
            max_bytes: self.max_bytes,
            max_age: nanos(self.ttl),
            max_msg_size: self.max_value_bytes,
            max_msgs: -1,
            max_consumers: -1,
            storage: self.storage,
            num_replicas: self.replicas,
            discard: Discard::New,
            duplicate_window: nanos(duplicates),
            allow_rollup_hdrs: true,
            deny_delete: true,
            allow_direct: true,
            allow_msg_ttl: !self.marker_ttl.is_zero(),
            subject_delete_marker_ttl: nanos(self.marker_ttl),
            ..StreamConfig::default()
        })
    }
}

/// A bucket and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct BucketInfo {
    /// Its stream.
    pub stream: StreamInfo,
}

impl BucketInfo {
    /// Its name.
    pub fn bucket(&self) -> &str {
        let name = self.stream.config.name.as_str();
        name.strip_prefix(STREAM_PREFIX).unwrap_or(name)
    }

    /// How many values it holds, those that say that a key is deleted included.
    pub fn values(&self) -> u64 {
        self.stream.state.messages
    }

    /// How many values each key keeps.
    pub fn history(&self) -> i64 {
        self.stream.config.max_msgs_per_subject
    }

    /// How long a value lives; `None`: for ever.
    pub fn ttl(&self) -> Option<Duration> {
        u64::try_from(self.stream.config.max_age).ok().filter(|ns| *ns > 0).map(Duration::from_nanos)
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> u64 {
        self.stream.state.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_the_stream_that_other_clients_expect() {
        let config = BucketConfig::new("b").history(200).ttl(Duration::from_secs(60)).max_bytes(1000);
        let stream = serde_json::to_value(config.stream().unwrap()).unwrap();
        for (field, value) in [
            ("name", "KV_b".into()),
            ("subjects", serde_json::json!(["$KV.b.>"])),
            ("max_msgs_per_subject", 64.into()),
            ("max_age", 60_000_000_000u64.into()),
            ("duplicate_window", 60_000_000_000u64.into()),
            ("max_bytes", 1000.into()),
            ("discard", "new".into()),
            ("allow_rollup_hdrs", true.into()),
            ("deny_delete", true.into()),
            ("allow_direct", true.into()),
            ("storage", "file".into()),
            ("num_replicas", 1.into()),
        ] {
            assert_eq!(stream[field], value, "{field}");
        }
        assert!(stream["allow_msg_ttl"] == false);
        assert!(BucketConfig::new("a.b").stream().is_err());
    }
}
