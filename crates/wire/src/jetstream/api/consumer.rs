//! Requests about consumers, and their answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ClusterInfo, Whole};
use crate::jetstream::document::{document, words};
use crate::jetstream::{ConsumerConfig, Time};

fn no_action(json: &str) -> String {
    format!("unknown consumer action: {json}")
}

words! {
    /// What is to happen if the consumer is there already, or not.
    CreateAction, no_action, {
        /// Create it or change it.
        #[default] CreateOrUpdate = "",
        /// Only create it.
        Create = "create",
        /// Only change it.
        Update = "update",
    }
}

document! {
    /// Create or change a consumer.
    CreateConsumerRequest {
        stream_name: String,
        config: ConsumerConfig,
        action: CreateAction,
        pedantic?: bool,
    }
}

document! {
    /// Which consumers are wanted: from the `offset`th on.
    ConsumersRequest {
        offset: i64,
    }
}

document! {
    /// Until when nothing is delivered; none, or a time gone by, goes on.
    PauseRequest {
        pause_until?: Option<Time>,
    }
}

document! {
    /// Where to begin again; 0 is behind the acknowledgement floor.
    ResetRequest {
        seq?: u64,
    }
}

document! {
    /// The priority group whose client is let go.
    UnpinRequest {
        group: String,
    }
}

document! {
    /// How far a consumer is.
    SequenceInfo {
        consumer_seq: u64,
        stream_seq: u64,
        last_active?: Option<Time>,
    }
}

document! {
    /// The client that a priority group is pinned to.
    PriorityGroupState {
        group: String,
        pinned_client_id?: String,
        pinned_ts: Time,
    }
}

document! {
    /// A consumer's configuration and state.
    ConsumerInfo {
        stream_name: String,
        name: String,
        created: Time,
        config: ConsumerConfig,
        delivered: SequenceInfo,
        ack_floor: SequenceInfo,
        num_ack_pending: u64,
        num_redelivered: u64,
        num_waiting: u64,
        num_pending: u64,
        cluster?: Option<ClusterInfo>,
        push_bound?: bool,
        paused?: bool,
        pause_remaining?: i64,
        ts: Time,
        priority_groups?: Vec<PriorityGroupState>,
    }
}

document! {
    /// Names of consumers.
    ConsumerNames {
        total: u64,
        offset: u64,
        limit: u64,
        consumers: Vec<String>,
    }
}

document! {
    /// Consumers.
    ConsumerList {
        total: u64,
        offset: u64,
        limit: u64,
        consumers: Vec<ConsumerInfo>,
        missing?: Vec<String>,
        offline?: BTreeMap<String, String>,
    }
}

document! {
    /// Whether a consumer rests, until when, and for how many nanoseconds from now.
    Paused {
        paused: bool,
        pause_until: Time,
        pause_remaining?: i64,
    }
}

/// A consumer that began again, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct ConsumerReset {
    #[serde(flatten)]
    pub info: Whole<ConsumerInfo>,
    #[serde(default)]
    pub reset_seq: u64,
}
