//! What a stream and a consumer are to be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Time;

macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $type { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)* }

        impl $type {
            /// The word that stands for it.
            pub fn as_str(self) -> &'static str {
                match self { $($type::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// When a message may go.
    Retention {
        /// When a limit says so.
        #[default] Limits = "limits",
        /// Also when every consumer that wants it has acknowledged it.
        Interest = "interest",
        /// Also when the one consumer that wants it has acknowledged it.
        WorkQueue = "workqueue",
    }
}

words! {
    /// What goes when a limit is reached.
    Discard {
        /// The oldest message.
        #[default] Old = "old",
        /// The one that comes.
        New = "new",
    }
}

words! {
    /// Where messages live.
    StorageType {
        /// On the disk.
        #[default] File = "file",
        /// In memory, until the process ends.
        Memory = "memory",
    }
}

words! {
    /// Where a consumer begins.
    DeliverPolicy {
        /// At the first message.
        #[default] All = "all",
        /// At the last one.
        Last = "last",
        /// At the next one.
        New = "new",
        /// At `opt_start_seq`.
        ByStartSequence = "by_start_sequence",
        /// At `opt_start_time`.
        ByStartTime = "by_start_time",
        /// At the last of each subject.
        LastPerSubject = "last_per_subject",
    }
}

words! {
    /// What must be acknowledged.
    AckPolicy {
        /// Nothing.
        None = "none",
        /// The last, which covers those before.
        All = "all",
        /// Each.
        #[default] Explicit = "explicit",
    }
}

words! {
    /// How fast stored messages come.
    ReplayPolicy {
        /// At once.
        #[default] Instant = "instant",
        /// As far apart as they were stored.
        Original = "original",
    }
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Limits on the consumers of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct ConsumerLimits {
    #[serde(skip_serializing_if = "is_zero")]
    pub inactive_threshold: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max_ack_pending: i64,
}

/// A stream's configuration. What this client has no field for stays in `others`, so that an update loses nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct StreamConfig {
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    pub retention: Retention,
    pub max_consumers: i64,
    pub max_msgs: i64,
    pub max_bytes: i64,
    pub max_age: i64,
    pub max_msgs_per_subject: i64,
    pub max_msg_size: i64,
    pub discard: Discard,
    #[serde(skip_serializing_if = "is_false")]
    pub discard_new_per_subject: bool,
    pub storage: StorageType,
    pub num_replicas: i64,
    #[serde(skip_serializing_if = "is_false")]
    pub no_ack: bool,
    #[serde(skip_serializing_if = "is_zero")]
    pub duplicate_window: i64,
    #[serde(skip_serializing_if = "is_false")]
    pub sealed: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub deny_delete: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub deny_purge: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub allow_rollup_hdrs: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub allow_direct: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_false")]
    pub allow_msg_ttl: bool,
    #[serde(skip_serializing_if = "is_zero")]
    pub subject_delete_marker_ttl: i64,
    /// Everything else.
    #[serde(flatten)]
    pub others: BTreeMap<String, serde_json::Value>,
}

/// A consumer's configuration. What this client has no field for stays in `others`, so that an update loses nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct ConsumerConfig {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub durable_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub deliver_policy: DeliverPolicy,
    #[serde(skip_serializing_if = "is_zero")]
    pub opt_start_seq: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opt_start_time: Option<Time>,
    pub ack_policy: AckPolicy,
    #[serde(skip_serializing_if = "is_zero")]
    pub ack_wait: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max_deliver: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backoff: Vec<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filter_subject: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filter_subjects: Vec<String>,
    pub replay_policy: ReplayPolicy,
    #[serde(skip_serializing_if = "is_zero")]
    pub max_waiting: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max_ack_pending: i64,
    #[serde(skip_serializing_if = "is_false")]
    pub headers_only: bool,
    #[serde(skip_serializing_if = "is_zero")]
    pub max_batch: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max_expires: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max_bytes: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deliver_subject: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub inactive_threshold: i64,
    pub num_replicas: i64,
    #[serde(skip_serializing_if = "is_false")]
    pub mem_storage: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_until: Option<Time>,
    /// Everything else.
    #[serde(flatten)]
    pub others: BTreeMap<String, serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_does_not_know_goes_there_and_back() {
        let theirs = serde_json::json!({
            "name": "S", "subjects": ["a.>"], "retention": "workqueue", "max_consumers": -1, "max_msgs": -1,
            "max_bytes": -1, "max_age": 0, "max_msgs_per_subject": -1, "max_msg_size": -1, "discard": "new",
            "storage": "memory", "num_replicas": 1, "consumer_limits": {}, "mirror_direct": true,
            "placement": {"tags": ["ssd"]},
        });
        let config: StreamConfig = serde_json::from_value(theirs.clone()).unwrap();
        assert_eq!((config.retention, config.others.len()), (Retention::WorkQueue, 3));
        assert_eq!(serde_json::to_value(&config).unwrap(), theirs);
    }

    #[test]
    fn a_consumer_needs_few_words() {
        let config = ConsumerConfig { durable_name: "c".into(), ..ConsumerConfig::default() };
        assert_eq!(
            serde_json::to_string(&config).unwrap(),
            r#"{"durable_name":"c","deliver_policy":"all","ack_policy":"explicit","replay_policy":"instant","num_replicas":0}"#
        );
    }
}
