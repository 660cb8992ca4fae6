//! What a bucket of objects is to be, as the configuration of its stream.

use std::time::Duration;

use super::STREAM_PREFIX;
use crate::Error;
use crate::jetstream::api::{Discard, StorageType, StreamConfig, StreamInfo};
use crate::jetstream::{names, nanos};

/// What a bucket of objects is to be: every field with a default, set by the method of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    bucket: String,
    description: String,
    ttl: Duration,
    max_bytes: i64,
    storage: StorageType,
    replicas: i64,
}

impl StoreConfig {
    /// A bucket of this name: letters, digits, `_` and `-`.
    pub fn new(bucket: impl Into<String>) -> StoreConfig {
        StoreConfig {
            bucket: bucket.into(),
            description: String::new(),
            ttl: Duration::ZERO,
            max_bytes: -1,
            storage: StorageType::File,
            replicas: 1,
        }
    }

    /// What people should know of it. Default: nothing.
    pub fn description(self, text: impl Into<String>) -> StoreConfig {
        StoreConfig { description: text.into(), ..self }
    }

    /// How long an object lives. Default: for ever.
    pub fn ttl(self, ttl: Duration) -> StoreConfig {
        StoreConfig { ttl, ..self }
    }

    /// How many bytes it may hold; what would be more is refused. Default: any number.
    pub fn max_bytes(self, bytes: u64) -> StoreConfig {
        StoreConfig { max_bytes: i64::try_from(bytes).unwrap_or(i64::MAX), ..self }
    }

    /// Where objects live. Default: on the disk.
    pub fn storage(self, storage: StorageType) -> StoreConfig {
        StoreConfig { storage, ..self }
    }

    /// On how many servers. Default: 1.
    pub fn replicas(self, replicas: u8) -> StoreConfig {
        StoreConfig { replicas: replicas.into(), ..self }
    }

    /// The stream that is such a bucket.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn stream(&self) -> Result<StreamConfig, Error> {
        names::bucket(&self.bucket)?;
        Ok(StreamConfig {
            name: format!("{STREAM_PREFIX}{}", self.bucket),
            description: self.description.clone(),
            subjects: vec![format!("$O.{}.C.>", self.bucket), format!("$O.{}.M.>", self.bucket)],
            max_age: nanos(self.ttl),
            max_bytes: self.max_bytes,
            max_msgs: -1,
            max_msgs_per_subject: -1,
            max_msg_size: -1,
            max_consumers: -1,
            storage: self.storage,
            num_replicas: self.replicas,
            discard: Discard::New,
            allow_rollup_hdrs: true,
            allow_direct: true,
            ..StreamConfig::default()
        })
    }
}

/// A bucket of objects and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreInfo {
    /// Its stream.
    pub stream: StreamInfo,
}

impl StoreInfo {
    /// Its name.
    pub fn bucket(&self) -> &str {
        let name = self.stream.config.name.as_str();
        name.strip_prefix(STREAM_PREFIX).unwrap_or(name)
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
        let stream = serde_json::to_value(StoreConfig::new("b").stream().unwrap()).unwrap();
        assert_eq!(stream["name"], "OBJ_b");
        assert_eq!(stream["subjects"], serde_json::json!(["$O.b.C.>", "$O.b.M.>"]));
        for (field, value) in [("discard", "new".into()), ("allow_rollup_hdrs", serde_json::json!(true))] {
            assert_eq!(stream[field], value, "{field}");
        }
        assert!(stream["deny_delete"] == false, "chunks are purged");
        assert!(StoreConfig::new("").stream().is_err());
    }
}
