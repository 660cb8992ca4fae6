//! Why a stream says no. Each refusal carries what its answer names and leaves the stream as it was. The answer itself
//! is in [`Refusal::api`], and the table it comes from is *not* here.

use std::borrow::Cow;
use std::fmt;

use kernel::Code;
use wire::jetstream::{ApiError, Fault};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The stream is sealed for ever.
    Sealed,
    /// The publisher meant another stream.
    OtherStream,
    /// The last sequence, of the stream or of a subject, is not the one that was expected.
    WrongLastSequence {
        /// What it is; 0: none.
        last: u64,
    },
    /// A subject was named for an expected sequence, and no sequence.
    SequenceMissing,
    /// The last message id is not the one that was expected.
    WrongLastId {
        /// What it is; empty: the last message has none.
        last: String,
    },
    /// Roll-ups are not allowed.
    RollupForbidden,
    /// A roll-up of something that there is not.
    RollupInvalid {
        /// What was asked for, in lower case.
        word: String,
    },
    /// Messages with a time to live are not allowed.
    TtlDisabled,
    /// The time to live cannot be read or is less than a second.
    TtlInvalid,
    /// The delay cannot be read or is longer than a year.
    DelayInvalid,
    /// The message would be gone before its delay is over.
    DelayTooLong,
    /// How safe it must be cannot be read.
    AckInvalid,
    /// It must be safer than a stream in memory can make it.
    AckTooHigh,
    /// Headers and payload are larger than the stream allows.
    MessageTooLarge,
    /// The headers alone are too large.
    HeadersTooLarge,
    /// There are no scheduled messages.
    SchedulesDisabled,
    /// There are no counters.
    CountersDisabled,
    /// There are no atomic batches.
    AtomicDisabled,
    /// The stream has as many messages as it may and discards new ones.
    MaxMessages,
    /// The stream has as many bytes as it may and discards new ones.
    MaxBytes,
    /// The subject has as many messages as it may and the stream discards new ones.
    MaxMessagesPerSubject,
    /// The headers that number a producer's message are incomplete or no numbers.
    ProducerInvalid,
    /// A newer life of the producer was here.
    Fenced {
        /// The producer's newest epoch.
        epoch: u64,
    },
    /// The producer's sequence was used for other content.
    SequenceReused,
    /// The producer's sequence is so far back that nobody knows whether it was stored.
    SequenceForgotten {
        /// The lowest sequence that is still known.
        known: u64,
    },
    /// Messages must not be deleted one by one.
    DeleteForbidden,
    /// The stream must not be purged.
    PurgeForbidden,
    /// No message of that sequence is there.
    NotFound {
        /// What was asked for.
        seq: u64,
    },
    /// The request contradicts itself.
    BadRequest,
    /// More answers than the request may have.
    TooMany,
    /// The stream's name is none.
    Name(ApiError),
    /// The configuration makes no sense, or asks for what this server does not have.
    ConfigInvalid(Cow<'static, str>),
    /// The client wants to be told what would be put right.
    Pedantic(&'static str),
    /// A stream lives on one node.
    Replicas,
    /// Fewer than no replicas.
    ReplicasNegative,
    /// A mirror has no subjects of its own.
    MirrorWithSubjects,
    /// What a stream mirrors stays as it is.
    MirrorFixed,
    /// The disk that streams may use is not large enough.
    InsufficientStorage,
    /// The memory that streams may use is not large enough.
    InsufficientMemory,
}

impl Refusal {
    /// The answer in JetStream's words. What that does not know, a producer's sequence, has our own code's number.
    pub fn api(&self) -> ApiError {
        match self {
            Refusal::Sealed => Fault::StreamSealed.into(),
            Refusal::OtherStream => Fault::StreamNotMatch.into(),
            Refusal::WrongLastSequence { last } => Fault::WrongLastSequence.with(last),
            Refusal::SequenceMissing => Fault::ExpectedSubjectSequenceMissing.into(),
            Refusal::WrongLastId { last } => Fault::WrongLastMsgId.with(last),
            Refusal::RollupForbidden => Fault::RollupFailed.with("rollup not permitted"),
            Refusal::RollupInvalid { word } => {
                Fault::RollupFailed.with(format_args!("rollup value invalid: {word:?}"))
            }
            Refusal::TtlDisabled => Fault::TtlDisabled.into(),
            Refusal::TtlInvalid => Fault::TtlInvalid.into(),
            Refusal::MessageTooLarge => Fault::MessageTooLarge.into(),
            Refusal::HeadersTooLarge => Fault::HeaderTooLarge.into(),
            Refusal::SchedulesDisabled => Fault::SchedulesDisabled.into(),
            Refusal::CountersDisabled => Fault::CountersDisabled.into(),
            Refusal::AtomicDisabled => Fault::AtomicDisabled.into(),
            Refusal::MaxMessages => Fault::StoreFailed.with("maximum messages exceeded"),
            Refusal::MaxBytes => Fault::StoreFailed.with("maximum bytes exceeded"),
            Refusal::MaxMessagesPerSubject => {
                Fault::StoreFailed.with("maximum messages per subject exceeded")
            }
            Refusal::DeleteForbidden => Fault::MsgDeleteFailed.with("message delete not permitted"),
            Refusal::PurgeForbidden => Fault::PurgeFailed.with("stream purge not permitted"),
            Refusal::NotFound { seq } => Fault::SequenceNotFound.with(seq),
            Refusal::BadRequest => Fault::BadRequest.into(),
            Refusal::TooMany => ours(413, Code::LimitExceeded, "too many results"),
            Refusal::Name(error) => error.clone(),
            Refusal::ConfigInvalid(why) => Fault::StreamInvalidConfig.with(why),
            Refusal::Pedantic(why) => Fault::Pedantic.with(why),
            Refusal::Replicas => Fault::ReplicasNotSupported.into(),
            Refusal::ReplicasNegative => Fault::ReplicasNegative.into(),
            Refusal::MirrorWithSubjects => Fault::MirrorWithSubjects.into(),
            Refusal::MirrorFixed => Fault::MirrorNotUpdatable.into(),
            Refusal::InsufficientStorage => Fault::StorageResources.into(),
            Refusal::InsufficientMemory => Fault::MemoryResources.into(),
            Refusal::DelayInvalid => {
                ours(400, self.code(), "Np-Delay is milliseconds or a duration, at most a year")
            }
            Refusal::DelayTooLong => ours(400, self.code(), "Np-Delay is not shorter than the message lives"),
            Refusal::AckInvalid => ours(400, self.code(), "Np-Ack must be mem, os or disk"),
            Refusal::AckTooHigh => {
                ours(400, self.code(), "the stream is in memory: nothing in it can be safer than mem")
            }
            Refusal::ProducerInvalid => {
                ours(400, self.code(), "Np-Producer, Np-Epoch and Np-Sequence belong together")
            }
            Refusal::Fenced { epoch } => {
                ours(409, self.code(), format!("producer is fenced by epoch {epoch}"))
            }
            Refusal::SequenceReused => {
                ours(409, self.code(), "producer sequence was used before, for other content")
            }
            Refusal::SequenceForgotten { known } => {
                ours(409, self.code(), format!("producer sequence is forgotten: known from {known}"))
            }
        }
    }

    /// Our own code for it.
    pub fn code(&self) -> Code {
        match self {
            Refusal::SequenceReused => Code::DuplicateMismatch,
            Refusal::Fenced { .. } => Code::StaleLease,
            Refusal::DelayInvalid
            | Refusal::DelayTooLong
            | Refusal::AckInvalid
            | Refusal::AckTooHigh
            | Refusal::ProducerInvalid
            | Refusal::SequenceForgotten { .. } => Code::InvalidRequest,
            Refusal::TooMany => Code::LimitExceeded,
            other => other.api().kernel_code(),
        }
    }
}

fn ours(status: u16, code: Code, description: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError { code: status, err_code: code.number(), description: description.into() }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.api().description)
    }
}

impl std::error::Error for Refusal {}
