//! Requests about streams, and their answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Whole;
use crate::jetstream::document::{Document, document, is_default};
use crate::jetstream::{ApiError, StreamConfig, Time};

/// Create or change a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct StreamRequest {
    #[serde(flatten)]
    pub config: StreamConfig,
    #[serde(default, skip_serializing_if = "is_default")]
    pub pedantic: bool,
}

impl Document for StreamRequest {
    fn normalise(value: &mut Value) -> Result<(), String> {
        let key = |map: &serde_json::Map<String, Value>| {
            map.keys().find(|key| key.eq_ignore_ascii_case("pedantic")).cloned()
        };
        let pedantic = match value {
            Value::Object(map) => key(map).and_then(|key| map.remove(&key)).filter(|value| !value.is_null()),
            _ => None,
        };
        StreamConfig::normalise(value)?;
        if let (Value::Object(map), Some(pedantic)) = (value, pedantic) {
            map.insert("pedantic".into(), pedantic);
        }
        Ok(())
    }
}

document! {
    /// How much of a stream is wanted to be known.
    StreamInfoRequest {
        offset: i64,
        deleted_details?: bool,
        subjects_filter?: String,
    }
}

document! {
    /// Which streams are wanted: from the `offset`th on, those that hear `subject`.
    StreamsRequest {
        offset: i64,
        subject?: String,
    }
}

document! {
    /// Which messages go: those below `seq`, or all but the last `keep`, of those that `filter` matches.
    PurgeRequest {
        seq?: u64,
        filter?: String,
        keep?: u64,
    }
}

document! {
    /// Messages that the server has lost.
    LostMessages {
        msgs: Vec<u64>,
        bytes: u64,
    }
}

document! {
    /// What a stream holds.
    StreamState {
        messages: u64,
        bytes: u64,
        first_seq: u64,
        first_ts: Time,
        last_seq: u64,
        last_ts: Time,
        num_subjects?: u64,
        subjects?: BTreeMap<String, u64>,
        num_deleted?: u64,
        deleted?: Vec<u64>,
        lost?: Option<LostMessages>,
        consumer_count: u64,
    }
}

document! {
    /// Another server that holds a stream or consumer.
    PeerInfo {
        name: String,
        current: bool,
        offline?: bool,
        active: i64,
        lag?: u64,
        peer: String,
    }
}

document! {
    /// Which servers hold a stream or consumer.
    ClusterInfo {
        name?: String,
        raft_group?: String,
        leader?: String,
        leader_since?: Option<Time>,
        system_account?: bool,
        traffic_account?: String,
        replicas?: Vec<PeerInfo>,
    }
}

document! {
    /// How far a stream has been copied.
    SourceInfo {
        name: String,
        external?: Option<crate::jetstream::ExternalStream>,
        lag: u64,
        seq?: u64,
        active: i64,
        error?: Option<ApiError>,
        filter_subject?: String,
        subject_transforms?: Vec<crate::jetstream::SubjectTransform>,
    }
}

document! {
    /// Another stream that holds the same.
    StreamAlternate {
        name: String,
        domain?: String,
        cluster: String,
    }
}

document! {
    /// A stream's configuration and state.
    StreamInfo {
        config: StreamConfig,
        created: Time,
        state: StreamState,
        domain?: String,
        cluster?: Option<ClusterInfo>,
        mirror?: Option<SourceInfo>,
        sources?: Vec<SourceInfo>,
        alternates?: Vec<StreamAlternate>,
        ts: Time,
    }
}

/// What is answered when a stream was created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct StreamCreated {
    #[serde(flatten)]
    pub info: Whole<StreamInfo>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub did_create: bool,
}

/// A stream, and where its subjects stand in pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct StreamInfoPage {
    #[serde(default)]
    pub total: u64,
    #[serde(default)]
    pub offset: u64,
    #[serde(default)]
    pub limit: u64,
    #[serde(flatten)]
    pub info: Whole<StreamInfo>,
}

document! {
    /// Names of streams; none at all is `None`.
    StreamNames {
        total: u64,
        offset: u64,
        limit: u64,
        streams: Option<Vec<String>>,
    }
}

document! {
    /// Streams; `None` stands in an error.
    StreamList {
        total: u64,
        offset: u64,
        limit: u64,
        streams: Option<Vec<StreamInfo>>,
        missing?: Vec<String>,
        offline?: BTreeMap<String, String>,
    }
}

document! {
    /// How many messages went.
    Purged {
        success?: bool,
        purged: u64,
    }
}
