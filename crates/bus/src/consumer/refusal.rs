//! Why a consumer cannot be as somebody wants it, and the JetStream fault that tells a client so. Who refuses what is
//! decided in [`super::config`].

use std::borrow::Cow;
use std::fmt;

use wire::jetstream::{ApiError, Fault};

use super::action::spelled;

macro_rules! refusals {
    ($($variant:ident = $fault:ident $(with $argument:literal)? $doc:literal)*) => {
        /// A reason to refuse a consumer, or a change of it.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $(#[doc = $doc] $variant,)*
            /// More messages without acknowledgement than the stream allows, which is this number.
            MaxAckPendingExceeds(i64),
            /// It would stay longer without use than the stream allows, which is this many nanoseconds.
            InactiveThresholdExceeds(u64),
            /// The deliver policy contradicts where to start.
            DeliverPolicy(String),
            /// The sampling cannot be read.
            Sampling(String),
            /// This cannot be changed.
            Fixed(&'static str),
            /// The client wants to be told what would be put right.
            Pedantic(&'static str),
            /// This is not offered.
            Unsupported(&'static str),
        }

        impl From<&Refusal> for ApiError {
            fn from(refusal: &Refusal) -> ApiError {
                match refusal {
                    $(Refusal::$variant => error(Fault::$fault, &[$($argument)?]),)*
                    Refusal::MaxAckPendingExceeds(most) => Fault::MaxAckPendingExcess.with(most),
                    Refusal::InactiveThresholdExceeds(ns) => Fault::InactiveThresholdExcess.with(spelled(*ns)),
                    Refusal::DeliverPolicy(why) => Fault::InvalidPolicy.with(why),
                    Refusal::Sampling(why) => Fault::InvalidSampling.with(why),
                    Refusal::Fixed(what) => Fault::ConsumerCreate.with(format_args!("{what} can not be updated")),
                    Refusal::Pedantic(why) => Fault::Pedantic.with(why),
                    Refusal::Unsupported(what) => Fault::ConsumerCreate.with(format_args!("{what} are not supported")),
                }
            }
        }
    };
}

refusals! {
    AckWaitNegative = AckWaitNegative "The ack wait is negative."
    BackoffNegative = BackoffNegative "A step of the backoff is negative."
    BackoffTooLong = MaxDeliverBackoff "The backoff has more steps than there are deliveries."
    BothFilters = DuplicateFilterSubjects "One filter and a list of filters are given."
    DeliverCycle = DeliverCycle "The stream captures the deliver subject."
    DeliverInvalid = InvalidDeliverSubject "The deliver subject is none."
    DeliverSubjectInUse = ConsumerNameExists "Somebody hears the deliver subject that would change."
    DeliverWildcards = DeliverToWildcards "The deliver subject has wildcards."
    DescriptionTooLong = ConsumerDescriptionTooLong with "4096" "The description is too long."
    DoesNotExist = ConsumerDoesNotExist "A consumer that is not there cannot be changed."
    DurableDirect = DirectRequiresEphemeral "A durable consumer cannot be direct."
    DurableNameInvalid = StreamInvalidConfig with "consumer durable name can not contain '.', '*', '>', '\\', '/'"
        "The durable name has a character that no name has."
    Exists = ConsumerExists "The name is taken by a consumer of another configuration."
    FilterEmpty = EmptyFilter "A filter of the list is empty."
    FilterInvalid = StreamInvalidConfig with "invalid subject" "A filter is no pattern of subjects."
    FiltersOverlap = OverlappingFilters "A filter covers another one."
    FlowControlWithoutHeartbeat = FlowControlNeedsHeartbeats "Flow control needs signs of life."
    GroupWithoutPriority = PriorityGroupWithPolicyNone "Priority groups need a policy."
    HeartbeatTooSmall = SmallHeartbeat "Signs of life would come too often."
    MaxAckPendingWithoutAck = MaxPendingAckPolicyRequired "A limit on what is not acknowledged, without acknowledgements."
    MaxExpiresTooSmall = MaxRequestExpiresTooSmall "Requests could not wait for even a millisecond."
    MetadataTooLong = ConsumerMetadataTooLong with "128KB" "The metadata is too long."
    NameInvalid = StreamInvalidConfig with "consumer name can not contain '.', '*', '>', '\\', '/'"
        "The name has a character that no name has."
    NameTooLong = ConsumerNameTooLong with "255" "The name is too long."
    NamesDiffer = DurableAndNameMismatch "Name and durable name differ."
    PinnedWithoutPriority = PinnedTtlWithPolicyNone "A time for pinned clients needs a policy."
    PriorityWithoutGroup = PriorityPolicyWithoutGroup "A priority policy needs a group."
    PullAckFlowControl = AckFlowControlRequiresPush "Nothing flows that is asked for."
    PullDirect = DirectRequiresPush "A consumer that is asked cannot be direct."
    PullFlowControl = FlowControlRequiresPush "A consumer that is asked needs no flow control."
    PullHeartbeat = HeartbeatRequiresPush "A consumer that is asked gives signs of life to requests alone."
    PullRateLimit = PullWithRateLimit "A consumer that is asked has no rate."
    PullToPush = ConsumerCreate with "can not update pull consumer to push based" "It cannot begin to send on its own."
    PullWithoutAck = PullRequiresAck "A work queue that is asked needs acknowledgements."
    PushMaxWaiting = PushMaxWaiting "No requests wait where none are taken."
    PushToPull = ConsumerCreate with "can not update push consumer to pull based" "It cannot cease to send on its own."
    Replicas = ReplicasNotSupported "There is one replica."
    ReplicasNegative = ReplicasNegative "The number of replicas is negative."
    TooManyConsumers = MaxConsumers "The stream has as many consumers as it may."
    WorkQueueNotAll = WorkQueueNotDeliverAll "A consumer of a work queue begins at its first message."
    WorkQueueNotUnique = WorkQueueNotUnique "Another consumer of the work queue hears some of the subjects."
    WorkQueueUnfiltered = WorkQueueMultipleUnfiltered "A second consumer of a work queue needs a filter."
    WorkQueueWithoutAck = WorkQueueRequiresExplicitAck "A work queue needs an acknowledgement of each message."
}

fn error(fault: Fault, argument: &[&str]) -> ApiError {
    argument.first().map_or_else(|| fault.into(), |argument| fault.with(argument))
}

impl Refusal {
    /// The number that clients know it by.
    pub fn number(&self) -> u16 {
        ApiError::from(self).err_code
    }

    /// The code as in HTTP.
    pub fn http(&self) -> u16 {
        ApiError::from(self).code
    }

    /// The text that clients know it by.
    pub fn text(&self) -> Cow<'static, str> {
        ApiError::from(self).description
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl std::error::Error for Refusal {}
