//! Why a consumer cannot be as somebody wants it: a row each, with number and text as clients of JetStream know them.
//! Who refuses what is decided in [`super::config`].

use std::borrow::Cow;
use std::fmt;

use super::action::spelled;

macro_rules! refusals {
    ($($number:literal $http:literal $variant:ident $text:literal)*) => {
        /// A reason to refuse a consumer, or a change of it.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $(#[doc = $text] $variant,)*
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
            /// This is not offered.
            Unsupported(&'static str),
        }

        impl Refusal {
            fn row(&self) -> (u16, u16, Cow<'static, str>) {
                match self {
                    $(Refusal::$variant => ($number, $http, $text.into()),)*
                    Refusal::MaxAckPendingExceeds(most) => {
                        (10121, 400, format!("consumer max ack pending exceeds system limit of {most}").into())
                    }
                    Refusal::InactiveThresholdExceeds(ns) => {
                        let most = spelled(*ns);
                        (10153, 400, format!("consumer inactive threshold exceeds system limit of {most}").into())
                    }
                    Refusal::DeliverPolicy(text) => (10094, 400, text.clone().into()),
                    Refusal::Sampling(why) => {
                        (10095, 400, format!("failed to parse consumer sampling configuration: {why}").into())
                    }
                    Refusal::Fixed(what) => (10012, 500, format!("{what} can not be updated").into()),
                    Refusal::Unsupported(what) => (10012, 500, format!("{what} are not supported").into()),
                }
            }
        }
    };
}

refusals! {
    10012 500 PullToPush "can not update pull consumer to push based"
    10012 500 PushToPull "can not update push consumer to pull based"
    10013 400 DeliverSubjectInUse "consumer name already in use"
    10026 400 TooManyConsumers "maximum consumers limit reached"
    10052 500 NameInvalid "consumer name can not contain '.', '*', '>', '\\', '/'"
    10052 500 DurableNameInvalid "consumer durable name can not contain '.', '*', '>', '\\', '/'"
    10052 500 FilterInvalid "invalid subject"
    10074 500 Replicas "replicas > 1 not supported in non-clustered mode"
    10079 400 DeliverWildcards "consumer deliver subject has wildcards"
    10080 400 PushMaxWaiting "consumer in push mode can not set max waiting"
    10081 400 DeliverCycle "consumer deliver subject forms a cycle"
    10082 400 MaxAckPendingWithoutAck "consumer requires ack policy for max ack pending"
    10083 400 HeartbeatTooSmall "consumer idle heartbeat needs to be >= 100ms"
    10084 400 PullWithoutAck "consumer in pull mode requires explicit ack policy on workqueue stream"
    10086 400 PullRateLimit "consumer in pull mode can not have rate limit set"
    10088 400 PullHeartbeat "consumer idle heartbeat requires a push based consumer"
    10089 400 PullFlowControl "consumer flow control requires a push based consumer"
    10090 400 PullDirect "consumer direct requires a push based consumer"
    10091 400 DurableDirect "consumer direct requires an ephemeral consumer"
    10098 400 WorkQueueWithoutAck "workqueue stream requires explicit ack"
    10099 400 WorkQueueUnfiltered "multiple non-filtered consumers not allowed on workqueue stream"
    10100 400 WorkQueueNotUnique "filtered consumer not unique on workqueue stream"
    10101 400 WorkQueueNotAll "consumer must be deliver all on workqueue stream"
    10102 400 NameTooLong "consumer name is too long, maximum allowed is 255"
    10107 400 DescriptionTooLong "consumer description is too long, maximum allowed is 4096"
    10108 400 FlowControlWithoutHeartbeat "consumer with flow control also needs heartbeats"
    10112 400 DeliverInvalid "invalid push consumer deliver subject"
    10115 400 MaxExpiresTooSmall "consumer max request expires needs to be >= 1ms"
    10116 400 BackoffTooLong "max deliver is required to be > length of backoff values"
    10132 400 NamesDiffer "Consumer Durable and Name have to be equal if both are provided"
    10133 400 ReplicasNegative "replicas count cannot be negative"
    10135 400 MetadataTooLong "consumer metadata exceeds maximum size of 128KB"
    10136 400 BothFilters "consumer cannot have both FilterSubject and FilterSubjects specified"
    10138 400 FiltersOverlap "consumer subject filters cannot overlap"
    10139 400 FilterEmpty "consumer filter in FilterSubjects cannot be empty"
    10148 400 Exists "consumer already exists"
    10149 400 DoesNotExist "consumer does not exist"
    10159 400 PriorityWithoutGroup "Setting PriorityPolicy requires at least one PriorityGroup to be set"
    10183 400 AckWaitNegative "consumer ack wait needs to be positive"
    10184 400 BackoffNegative "consumer backoff needs to be positive"
    10196 400 GroupWithoutPriority "consumer can not have priority groups when policy is none"
    10197 400 PinnedWithoutPriority "PinnedTTL cannot be set when PriorityPolicy is none"
}

impl Refusal {
    /// The number that clients know it by.
    pub fn number(&self) -> u16 {
        self.row().0
    }

    /// The code as in HTTP.
    pub fn http(&self) -> u16 {
        self.row().1
    }

    /// The text that clients know it by.
    pub fn text(&self) -> Cow<'static, str> {
        self.row().2
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl std::error::Error for Refusal {}
