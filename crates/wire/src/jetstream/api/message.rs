//! Single messages: stored, read, deleted.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kernel::Headers;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::jetstream::document::{Document, document};
use crate::jetstream::{ApiError, Fault, Time};
use crate::nats::encode::decimal;

/// Bytes, in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Blob, D::Error> {
        let text = Cow::<'de, str>::deserialize(input)?;
        BASE64.decode(text.as_bytes()).map(Blob).map_err(de::Error::custom)
    }
}

impl Document for Blob {}

document! {
    /// Which message is wanted, or, read directly, which messages.
    MsgGetRequest {
        seq?: u64,
        last_by_subj?: String,
        next_by_subj?: String,
        batch?: i64,
        max_bytes?: i64,
        start_time?: Option<Time>,
        multi_last?: Vec<String>,
        up_to_seq?: u64,
        up_to_time?: Option<Time>,
        no_hdr?: bool,
    }
}

impl MsgGetRequest {
    /// Reads the body of a direct request, which passes over unknown fields. `None` is a malformed one; an empty one
    /// asks for nothing.
    pub fn parse_direct(body: &[u8]) -> Option<MsgGetRequest> {
        match body.trim_ascii() {
            b"" | b"null" => Some(MsgGetRequest::default()),
            // A list would be read as the fields in their order.
            body @ [b'{', ..] => serde_json::from_slice(body).ok(),
            _ => None,
        }
    }
}

document! {
    /// The message that goes; `no_erase` lets its bytes be.
    MsgDeleteRequest {
        seq: u64,
        no_erase?: bool,
    }
}

document! {
    /// A stored message.
    StoredMessage {
        subject: String,
        seq: u64,
        hdrs?: Blob,
        data?: Blob,
        time: Time,
    }
}

document! {
    /// A message that was asked for.
    Message {
        message?: Option<StoredMessage>,
    }
}

document! {
    /// That a message was stored, and where.
    PubAck {
        stream: String,
        seq: u64,
        domain?: String,
        duplicate?: bool,
        val?: String,
        batch?: String,
        count?: u64,
    }
}

/// What a publisher is answered: an acknowledgement, or an error beside the stream's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct PubAnswer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ApiError>,
    #[serde(flatten)]
    pub ack: PubAck,
}

impl PubAnswer {
    /// Reads an answer.
    pub fn parse(bytes: &[u8]) -> Result<PubAnswer, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// What a stream says on the reply subject of a message that it is to keep. `None`: no stream says this. Whoever hears a
    /// subject may answer there, so that the question is still open. That nobody was there is a stream that is gone.
    pub fn of_stream(headers: &[u8], payload: &[u8]) -> Option<Result<PubAck, ApiError>> {
        if payload.is_empty() {
            return (Headers::new(headers).status() == Some(503)).then(|| Err(Fault::StreamNotFound.into()));
        }
        match PubAnswer::parse(payload).ok()?.into_result() {
            Ok(ack) => (!ack.stream.is_empty() && ack.seq > 0).then_some(Ok(ack)),
            // Every refusal of a stream has its number.
            Err(error) => (error.err_code > 0).then_some(Err(error)),
        }
    }

    /// The acknowledgement, or the error.
    pub fn into_result(self) -> Result<PubAck, ApiError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.ack),
        }
    }
}

impl PubAck {
    /// Writes the acknowledgement of one message, byte for byte as the real server does.
    pub fn write(out: &mut Vec<u8>, stream: &str, seq: u64, duplicate: bool) {
        out.extend_from_slice(b"{\"stream\":");
        string(out, stream);
        out.extend_from_slice(b",\"seq\":");
        decimal(out, seq);
        out.extend_from_slice(if duplicate { b",\"duplicate\": true}" } else { b"}" });
    }

    /// Writes why a message was not stored.
    pub fn write_error(out: &mut Vec<u8>, stream: &str, error: &ApiError) {
        out.extend_from_slice(b"{\"error\":");
        out.extend_from_slice(&crate::jetstream::write(error));
        out.extend_from_slice(b",\"stream\":");
        string(out, stream);
        out.extend_from_slice(b",\"seq\":0}");
    }
}

/// What whoever publishes or asks is told when there is no room for it now.
pub mod busy {
    /// The error that clients of JetStream know ([`TooManyRequests`](crate::jetstream::Fault::TooManyRequests)).
    pub const ANSWER: &[u8] =
        br#"{"error":{"code":429,"err_code":10167,"description":"too many requests"},"stream":"","seq":0}"#;
    /// How long to wait.
    pub const HEADERS: &[u8] = b"NATS/1.0\r\nNp-Code: 6003\r\nRetry-After-Ms: 100\r\n\r\n";
}

/// What whoever publishes is told when a message must be kept and no stream captures its subject.
pub mod unkept {
    /// The error that clients of JetStream know ([`StreamNotFound`](crate::jetstream::Fault::StreamNotFound)).
    pub const ANSWER: &[u8] =
        br#"{"error":{"code":404,"err_code":10059,"description":"stream not found"},"stream":"","seq":0}"#;
    /// Our own code for it.
    pub const HEADERS: &[u8] = b"NATS/1.0\r\nNp-Code: 6002\r\n\r\n";
}

/// A JSON string; most names need no escape.
fn string(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(&crate::jetstream::write(&text));
    }
}
