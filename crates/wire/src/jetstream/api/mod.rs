//! What is asked below `$JS.API.` and what is answered. Server, client and command line share these documents; the
//! subjects that they travel on are in [`super::subject`].
//!
//! A request is read by [`super::read`] (or [`super::read_optional`], where its body may be left out), an answer by
//! `serde_json`. An answer that is an error keeps the fields that are never left out, as the real server's does.

mod account;
mod consumer;
mod message;
mod stream;

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

use super::ApiError;
use super::document::document;

pub use account::{AccountInfo, AccountLimits, ApiStats};
pub use consumer::{
    ConsumerInfo, ConsumerList, ConsumerNames, ConsumerReset, ConsumersRequest, CreateAction,
    CreateConsumerRequest, PauseRequest, Paused, PriorityGroupState, ResetRequest, SequenceInfo,
    UnpinRequest,
};
pub use message::{
    Blob, Message, MsgDeleteRequest, MsgGetRequest, PubAck, PubAnswer, StoredMessage, busy, unkept,
};
pub use stream::{
    ClusterInfo, LostMessages, PeerInfo, PurgeRequest, Purged, SourceInfo, StreamAlternate, StreamCreated,
    StreamInfo, StreamInfoPage, StreamInfoRequest, StreamList, StreamNames, StreamRequest, StreamState,
    StreamsRequest,
};

/// How many names stand in one answer.
pub const NAMES_MAX: u64 = 1024;
/// How many streams or consumers, with configuration and state, stand in one answer.
pub const LIST_MAX: u64 = 256;
/// How many subjects of a stream stand in one answer.
pub const SUBJECTS_MAX: u64 = 100_000;
/// The level of the API that we speak.
pub const API_LEVEL: u64 = 5;

/// An answer: its type, an error or none, and its body. Where the real server leaves the whole body out of an error,
/// `T` is a [`Whole`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Read<T>", bound(deserialize = "T: Default + Deserialize<'de>"))]
pub struct Answer<T> {
    /// `io.nats.jetstream.api.v1.…`, as [`super::Call::answer_type`] has it.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// Why nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ApiError>,
    /// What was done or found; the default in an error.
    #[serde(flatten)]
    pub body: T,
}

#[derive(Deserialize)]
struct Read<T> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    error: Option<ApiError>,
    #[serde(flatten)]
    body: T,
}

impl<T: Default> From<Read<T>> for Answer<T> {
    fn from(read: Read<T>) -> Answer<T> {
        let body = if read.error.is_some() { T::default() } else { read.body };
        Answer { kind: read.kind.into(), error: read.error, body }
    }
}

impl<T> Answer<T> {
    /// An answer without error.
    pub fn done(kind: &'static str, body: T) -> Answer<T> {
        Answer { kind: kind.into(), error: None, body }
    }

    /// An answer that says why nothing was done.
    pub fn refused(kind: &'static str, error: impl Into<ApiError>) -> Answer<T>
    where
        T: Default,
    {
        Answer { kind: kind.into(), error: Some(error.into()), body: T::default() }
    }

    /// The body, or the error.
    pub fn into_result(self) -> Result<T, ApiError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.body),
        }
    }
}

impl<T: Serialize> Answer<T> {
    /// The answer as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        super::write(self)
    }
}

impl<'a, T: Default + Deserialize<'a>> Answer<T> {
    /// Reads an answer.
    pub fn parse(bytes: &'a [u8]) -> Result<Answer<T>, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// A body that an error leaves out as a whole. There is one in every answer that is no error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Whole<T>(pub Option<T>);

impl<T> From<T> for Whole<T> {
    fn from(body: T) -> Whole<T> {
        Whole(Some(body))
    }
}

impl<T: Default> Whole<T> {
    /// The body; the default in an error.
    pub fn into_inner(self) -> T {
        self.0.unwrap_or_default()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Whole<T>, D::Error> {
        // Not as an `Option`: what is flattened and cannot be read would silently be none.
        T::deserialize(input).map(Whole::from)
    }
}

document! {
    /// What is answered when something went away.
    Success {
        success?: bool,
    }
}

document! {
    /// What is answered when there is nothing to say.
    Nothing {}
}

#[cfg(test)]
mod tests;
