//! What servers answer: the state of streams and consumers, acknowledgements, errors, pages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ConsumerConfig, StreamConfig, Time};

/// Why the server did not do what was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiError {
    /// The family, as HTTP has it: 400, 404, 503.
    pub code: u16,
    /// Exactly what, such as 10059.
    pub err_code: u32,
    /// In words.
    pub description: String,
}

/// A stream: what it is to be, and what is in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct StreamInfo {
    pub config: StreamConfig,
    pub created: Time,
    pub state: StreamState,
    /// When this was said.
    pub ts: Time,
    /// Everything else.
    #[serde(flatten)]
    pub others: BTreeMap<String, serde_json::Value>,
}

/// What is in a stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct StreamState {
    pub messages: u64,
    pub bytes: u64,
    pub first_seq: u64,
    pub first_ts: Time,
    pub last_seq: u64,
    pub last_ts: Time,
    pub num_subjects: u64,
    pub num_deleted: u64,
    /// Messages of each subject, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subjects: Option<BTreeMap<String, u64>>,
    pub consumer_count: u64,
}

/// How far a consumer is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct Reached {
    pub consumer_seq: u64,
    pub stream_seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_active: Option<Time>,
}

/// A consumer: what it is to be, and how far it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct ConsumerInfo {
    pub stream_name: String,
    pub name: String,
    pub created: Time,
    pub config: ConsumerConfig,
    pub delivered: Reached,
    pub ack_floor: Reached,
    pub num_ack_pending: u64,
    pub num_redelivered: u64,
    pub num_waiting: u64,
    pub num_pending: u64,
    pub paused: bool,
    /// In nanoseconds.
    pub pause_remaining: i64,
    /// When this was said.
    pub ts: Time,
    /// Everything else.
    #[serde(flatten)]
    pub others: BTreeMap<String, serde_json::Value>,
}

/// A message was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PubAck {
    /// Where.
    pub stream: String,
    /// Under which number.
    pub seq: u64,
    /// Whether a message with its id had been stored before; that one's number is `seq`, and nothing was added.
    pub duplicate: bool,
    /// The server's domain; empty: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
}

/// Which messages to remove; without a field: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// Only those whose subject this pattern hears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Only those below this number; not together with `keep`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// All but the last so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<u64>,
}

/// Whether a consumer pauses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct Paused {
    pub paused: bool,
    pub pause_until: Time,
    /// In nanoseconds.
    pub pause_remaining: i64,
}

#[derive(Deserialize)]
pub(crate) struct Purged {
    pub(crate) purged: u64,
}

#[derive(Deserialize)]
pub(crate) struct Done {
    #[serde(default)]
    pub(crate) success: bool,
}

#[derive(Deserialize)]
pub(crate) struct RawAnswer {
    pub(crate) message: Raw,
}

/// A stored message; bytes are in base64.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Raw {
    pub(crate) subject: String,
    pub(crate) seq: u64,
    pub(crate) hdrs: String,
    pub(crate) data: String,
    pub(crate) time: Time,
}

/// Part of a list. Servers write an empty one as `null`.
pub(crate) trait Page {
    type Item;
    fn total(&self) -> u64;
    fn items(self) -> Vec<Self::Item>;
}

macro_rules! page {
    ($type:ident, $field:ident, $item:ty) => {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        pub(crate) struct $type {
            total: u64,
            $field: Option<Vec<$item>>,
        }

        impl Page for $type {
            type Item = $item;
            fn total(&self) -> u64 {
                self.total
            }
            fn items(self) -> Vec<$item> {
                self.$field.unwrap_or_default()
            }
        }
    };
}

page!(StreamPage, streams, StreamInfo);
page!(ConsumerPage, consumers, ConsumerInfo);

/// Names of streams or of consumers.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct NamePage {
    total: u64,
    streams: Option<Vec<String>>,
    consumers: Option<Vec<String>>,
}

impl Page for NamePage {
    type Item = String;
    fn total(&self) -> u64 {
        self.total
    }
    fn items(self) -> Vec<String> {
        self.streams.or(self.consumers).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_may_be_null() {
        let page: StreamPage = serde_json::from_str(r#"{"total":0,"offset":0,"streams":null}"#).unwrap();
        assert_eq!((page.total(), page.items().len()), (0, 0));
        let page: NamePage = serde_json::from_str(r#"{"total":2,"consumers":["a","b"]}"#).unwrap();
        assert_eq!((page.total(), page.items()), (2, vec!["a".to_owned(), "b".into()]));
    }
}
