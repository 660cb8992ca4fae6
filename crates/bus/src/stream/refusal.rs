//! Why a stream says no. Each refusal carries the numbers that its answer names and leaves the stream as it was. It is
//! *not* the answer itself: doors have their own forms for that.

use std::borrow::Cow;

use kernel::Code;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The stream is sealed for ever.
    #[error("invalid operation on sealed stream")]
    Sealed,
    /// The publisher meant another stream.
    #[error("expected stream does not match")]
    OtherStream,
    /// The last sequence, of the stream or of a subject, is not the one that was expected.
    #[error("wrong last sequence: {last}")]
    WrongLastSequence {
        /// What it is; 0: none.
        last: u64,
    },
    /// A subject was named for an expected sequence, and no sequence.
    #[error("missing sequence for expected last sequence per subject")]
    SequenceMissing,
    /// The last message id is not the one that was expected.
    #[error("wrong last msg ID: {last}")]
    WrongLastId {
        /// What it is; empty: the last message has none.
        last: String,
    },
    /// Roll-ups are not allowed.
    #[error("rollup not permitted")]
    RollupForbidden,
    /// A roll-up of something that there is not.
    #[error("rollup value invalid: {word:?}")]
    RollupInvalid {
        /// What was asked for, in lower case.
        word: String,
    },
    /// Messages with a time to live are not allowed.
    #[error("per-message TTL is disabled")]
    TtlDisabled,
    /// The time to live cannot be read or is less than a second.
    #[error("invalid per-message TTL")]
    TtlInvalid,
    /// Headers and payload are larger than the stream allows.
    #[error("message size exceeds maximum allowed")]
    MessageTooLarge,
    /// The headers alone are too large.
    #[error("header size exceeds maximum allowed of 64k")]
    HeadersTooLarge,
    /// There are no scheduled messages.
    #[error("message schedules is disabled")]
    SchedulesDisabled,
    /// There are no counters.
    #[error("message counters is disabled")]
    CountersDisabled,
    /// There are no atomic batches.
    #[error("atomic publish is disabled")]
    AtomicDisabled,
    /// The stream has as many messages as it may and discards new ones.
    #[error("maximum messages exceeded")]
    MaxMessages,
    /// The stream has as many bytes as it may and discards new ones.
    #[error("maximum bytes exceeded")]
    MaxBytes,
    /// The subject has as many messages as it may and the stream discards new ones.
    #[error("maximum messages per subject exceeded")]
    MaxMessagesPerSubject,
    /// The headers that name the producer are incomplete or no numbers.
    #[error(
        "invalid producer headers: Np-Producer and Np-Sequence belong together, Np-Epoch and Np-Sequence are numbers"
    )]
    ProducerInvalid,
    /// A newer life of the producer was here.
    #[error("producer is fenced by epoch {epoch}")]
    Fenced {
        /// The producer's newest epoch.
        epoch: u64,
    },
    /// The producer's sequence was used for other content.
    #[error("producer sequence was used before, for other content")]
    SequenceReused,
    /// The producer's sequence is so far back that nobody knows whether it was stored.
    #[error("producer sequence is no longer remembered: known from {known}")]
    SequenceForgotten {
        /// The lowest sequence that is still known.
        known: u64,
    },
    /// Messages must not be deleted one by one.
    #[error("message delete not permitted")]
    DeleteForbidden,
    /// The stream must not be purged.
    #[error("stream purge not permitted")]
    PurgeForbidden,
    /// No message of that sequence is there.
    #[error("sequence {seq} not found")]
    NotFound {
        /// What was asked for.
        seq: u64,
    },
    /// The request contradicts itself.
    #[error("bad request")]
    BadRequest,
    /// More answers than the request may have.
    #[error("too many results")]
    TooMany,
    /// The configuration makes no sense, or asks for what this server does not have.
    #[error("{0}")]
    ConfigInvalid(Cow<'static, str>),
    /// A stream lives on one node.
    #[error("replicas > 1 not supported in non-clustered mode")]
    Replicas,
    /// Fewer than no replicas.
    #[error("replicas count cannot be negative")]
    ReplicasNegative,
    /// The name would be a path.
    #[error("Stream name can not contain path separators")]
    NameIsPath,
    /// A mirror has no subjects of its own.
    #[error("stream mirrors can not contain subjects")]
    MirrorWithSubjects,
    /// What a stream mirrors stays as it is.
    #[error("stream mirror configuration can not be updated")]
    MirrorFixed,
    /// The disk that streams may use is not large enough.
    #[error("insufficient storage resources available")]
    InsufficientStorage,
    /// The memory that streams may use is not large enough.
    #[error("insufficient memory resources available")]
    InsufficientMemory,
}

impl Refusal {
    /// The error's number in the JetStream API, as nats-server 2.15 numbers it. Where that has no such error it is the
    /// one of a message that could not be stored.
    pub fn err_code(&self) -> u16 {
        match self {
            Refusal::BadRequest | Refusal::TooMany => 10003,
            Refusal::MirrorWithSubjects => 10034,
            Refusal::NotFound { .. } => 10043,
            Refusal::InsufficientMemory => 10028,
            Refusal::InsufficientStorage => 10047,
            Refusal::ConfigInvalid(_) => 10052,
            Refusal::MessageTooLarge => 10054,
            Refusal::MirrorFixed => 10055,
            Refusal::DeleteForbidden => 10057,
            Refusal::OtherStream => 10060,
            Refusal::WrongLastId { .. } => 10070,
            Refusal::WrongLastSequence { .. } => 10071,
            Refusal::Replicas => 10074,
            Refusal::MaxMessages | Refusal::MaxBytes | Refusal::MaxMessagesPerSubject => 10077,
            Refusal::ProducerInvalid
            | Refusal::Fenced { .. }
            | Refusal::SequenceReused
            | Refusal::SequenceForgotten { .. } => 10077,
            Refusal::HeadersTooLarge => 10097,
            Refusal::Sealed => 10109,
            Refusal::PurgeForbidden => 10110,
            Refusal::RollupForbidden | Refusal::RollupInvalid { .. } => 10111,
            Refusal::NameIsPath => 10128,
            Refusal::ReplicasNegative => 10133,
            Refusal::TtlInvalid => 10165,
            Refusal::TtlDisabled => 10166,
            Refusal::CountersDisabled => 10168,
            Refusal::AtomicDisabled => 10174,
            Refusal::SchedulesDisabled => 10188,
            Refusal::SequenceMissing => 10193,
        }
    }

    /// The status that goes with [`Refusal::err_code`].
    pub fn status(&self) -> u16 {
        match self {
            Refusal::NotFound { .. } => 400,
            Refusal::MaxMessages | Refusal::MaxBytes | Refusal::MaxMessagesPerSubject => 503,
            Refusal::Sealed
            | Refusal::ConfigInvalid(_)
            | Refusal::DeleteForbidden
            | Refusal::PurgeForbidden
            | Refusal::RollupForbidden
            | Refusal::RollupInvalid { .. }
            | Refusal::InsufficientStorage
            | Refusal::InsufficientMemory
            | Refusal::Replicas => 500,
            _ => 400,
        }
    }

    /// Our own code for it.
    pub fn code(&self) -> Code {
        match self {
            Refusal::SequenceReused => Code::DuplicateMismatch,
            Refusal::Fenced { .. } => Code::StaleLease,
            Refusal::MessageTooLarge | Refusal::HeadersTooLarge => Code::PayloadTooLarge,
            Refusal::MaxMessages
            | Refusal::MaxBytes
            | Refusal::MaxMessagesPerSubject
            | Refusal::InsufficientMemory
            | Refusal::InsufficientStorage => Code::LimitExceeded,
            Refusal::Sealed
            | Refusal::DeleteForbidden
            | Refusal::PurgeForbidden
            | Refusal::RollupForbidden => Code::PermissionDenied,
            _ => Code::InvalidRequest,
        }
    }
}
