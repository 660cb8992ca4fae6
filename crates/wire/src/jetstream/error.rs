//! The one table of JetStream's errors that our subset can meet: number, HTTP-like code, our own code, and the text as
//! nats-server 2.15 has it. Who refuses what is *not* decided here.

use std::borrow::Cow;
use std::fmt;

use kernel::Code;
use serde::{Deserialize, Serialize};

/// An error as it stands in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiError {
    /// As in HTTP: 400, 404, 500, 503 …
    pub code: u16,
    /// Which error it is; 0 when the server did not say.
    #[serde(skip_serializing_if = "super::document::is_default")]
    pub err_code: u16,
    /// What a person reads.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: Cow<'static, str>,
}

impl ApiError {
    /// The row of the table, if it has one.
    pub fn fault(&self) -> Option<Fault> {
        Fault::from_number(self.err_code)
    }

    /// Our own code for it: that of its row, else what the HTTP-like code says.
    pub fn kernel_code(&self) -> Code {
        match (self.fault(), self.code) {
            (Some(fault), _) => fault.code(),
            (None, 401) => Code::AuthFailed,
            (None, 403) => Code::PermissionDenied,
            (None, 404) => Code::NotFound,
            (None, 408 | 504) => Code::Timeout,
            (None, 409) => Code::Conflict,
            (None, 413) => Code::PayloadTooLarge,
            (None, 429) => Code::RateLimited,
            (None, 503) => Code::ServiceUnavailable,
            (None, 500..) => Code::InternalError,
            _ => Code::InvalidRequest,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.description, self.err_code)
    }
}

impl std::error::Error for ApiError {}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> ApiError {
        let row = fault.row();
        ApiError { code: row.http, err_code: fault as u16, description: Cow::Borrowed(row.text) }
    }
}

struct Row {
    http: u16,
    code: Code,
    text: &'static str,
}

macro_rules! faults {
    ($($number:literal $http:literal $code:ident $variant:ident $text:literal)*) => {
        /// An error of JetStream. `{…}` in its text stands for what [`Fault::with`] puts there.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Fault { $(#[doc = $text] $variant = $number,)* }

        impl Fault {
            /// Every row, by number.
            pub const ALL: &[Fault] = &[$(Fault::$variant),*];

            fn row(self) -> &'static Row {
                match self { $(Fault::$variant => &Row { http: $http, code: Code::$code, text: $text },)* }
            }
        }
    };
}

impl Fault {
    /// The number, such as 10059.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The HTTP-like code, such as 404.
    pub fn http(self) -> u16 {
        self.row().http
    }

    /// Our own code for it.
    pub fn code(self) -> Code {
        self.row().code
    }

    /// The text, with its place for an argument if it has one.
    pub fn text(self) -> &'static str {
        self.row().text
    }

    /// The row with this number.
    pub fn from_number(number: u16) -> Option<Fault> {
        let at = Fault::ALL.binary_search_by_key(&number, |fault| fault.number()).ok()?;
        Fault::ALL.get(at).copied()
    }

    /// The error, with `argument` in the place that the text has for it.
    pub fn with(self, argument: impl fmt::Display) -> ApiError {
        let text = self.text();
        let filled = text.split_once('{').and_then(|(head, rest)| Some((head, rest.split_once('}')?.1)));
        match filled {
            Some((head, tail)) => {
                ApiError { description: Cow::Owned(format!("{head}{argument}{tail}")), ..self.into() }
            }
            None => self.into(),
        }
    }
}

faults! {
    10002 400 LimitExceeded AccountResources "resource limits exceeded for account"
    10003 400 InvalidRequest BadRequest "bad request"
    10004 503 ServiceUnavailable ClusterIncomplete "incomplete results"
    10008 503 ServiceUnavailable NotAvailable "JetStream system temporarily unavailable"
    10010 503 InvalidRequest ClusterRequired "JetStream clustering support required"
    10011 400 InvalidRequest TagsPlacement "tags placement not supported for operation"
    10012 500 InvalidRequest ConsumerCreate "{err}"
    10013 400 InvalidRequest ConsumerNameExists "consumer name already in use"
    10014 404 NotFound ConsumerNotFound "consumer not found"
    10015 400 InvalidRequest SnapshotDeliverSubject "deliver subject not valid"
    10016 400 InvalidRequest DurableNameNotInSubject "consumer expected to be durable but no durable name set in subject"
    10017 400 InvalidRequest DurableNameNotMatchSubject "consumer name in subject does not match durable name in request"
    10018 400 InvalidRequest DurableNameNotSet "consumer expected to be durable but a durable name was not set"
    10019 400 InvalidRequest EphemeralWithDurableInSubject "consumer expected to be ephemeral but detected a durable name set in subject"
    10020 400 InvalidRequest EphemeralWithDurableName "consumer expected to be ephemeral but a durable name was set in request"
    10023 503 Backpressure InsufficientResources "insufficient resources"
    10025 400 InvalidRequest InvalidJson "invalid JSON: {err}"
    10026 400 LimitExceeded MaxConsumers "maximum consumers limit reached"
    10027 400 LimitExceeded MaxStreams "maximum number of streams reached"
    10028 500 LimitExceeded MemoryResources "insufficient memory resources available"
    10029 500 InternalError MirrorConsumerSetup "{err}"
    10031 400 InvalidRequest MirrorWithSources "stream mirrors can not also contain other sources"
    10032 400 InvalidRequest MirrorWithStartSeqAndTime "stream mirrors can not have both start seq and start time configured"
    10033 400 InvalidRequest MirrorWithSubjectFilters "stream mirrors can not contain filtered subjects"
    10034 400 InvalidRequest MirrorWithSubjects "stream mirrors can not contain subjects"
    10035 503 ServiceUnavailable NoAccount "account not found"
    10036 503 InvalidRequest ClusterUnsupported "not currently supported in clustered mode"
    10037 404 NotFound NoMessageFound "no message found"
    10038 400 InvalidRequest NotEmptyRequest "expected an empty request payload"
    10039 503 ServiceUnavailable NotEnabledForAccount "JetStream not enabled for account"
    10043 400 NotFound SequenceNotFound "sequence {seq} not found"
    10047 500 LimitExceeded StorageResources "insufficient storage resources available"
    10049 500 InternalError StreamCreate "{err}"
    10050 500 InternalError StreamDelete "{err}"
    10051 500 InternalError StreamGeneral "{err}"
    10052 500 InvalidRequest StreamInvalidConfig "{err}"
    10053 500 LimitExceeded StreamLimits "{err}"
    10054 400 PayloadTooLarge MessageTooLarge "message size exceeds maximum allowed"
    10055 400 InvalidRequest MirrorNotUpdatable "stream mirror configuration can not be updated"
    10056 400 InvalidRequest StreamMismatch "stream name in subject does not match request"
    10057 500 InvalidRequest MsgDeleteFailed "{err}"
    10058 400 Conflict StreamNameExists "stream name already in use with a different configuration"
    10059 404 StreamNotFound StreamNotFound "stream not found"
    10060 400 InvalidRequest StreamNotMatch "expected stream does not match"
    10061 400 InvalidRequest ReplicasNotUpdatable "Replicas configuration can not be updated"
    10062 500 InternalError StreamRestore "restore failed: {err}"
    10063 503 InvalidRequest StreamSequenceNotMatch "expected stream sequence does not match"
    10064 500 InternalError StreamSnapshot "snapshot failed: {err}"
    10065 400 InvalidRequest SubjectOverlap "subjects overlap with an existing stream"
    10069 500 InternalError StreamUpdate "{err}"
    10070 400 Conflict WrongLastMsgId "wrong last msg ID: {id}"
    10071 400 Conflict WrongLastSequence "wrong last sequence: {seq}"
    10074 500 InvalidRequest ReplicasNotSupported "replicas > 1 not supported in non-clustered mode"
    10076 503 ServiceUnavailable NotEnabled "JetStream not enabled"
    10077 503 Backpressure StoreFailed "{err}"
    10078 400 InvalidRequest ConsumerConfigRequired "consumer config required"
    10079 400 InvalidRequest DeliverToWildcards "consumer deliver subject has wildcards"
    10080 400 InvalidRequest PushMaxWaiting "consumer in push mode can not set max waiting"
    10081 400 InvalidRequest DeliverCycle "consumer deliver subject forms a cycle"
    10082 400 InvalidRequest MaxPendingAckPolicyRequired "consumer requires ack policy for max ack pending"
    10083 400 InvalidRequest SmallHeartbeat "consumer idle heartbeat needs to be >= 100ms"
    10084 400 InvalidRequest PullRequiresAck "consumer in pull mode requires explicit ack policy on workqueue stream"
    10085 400 InvalidRequest PullNotDurable "consumer in pull mode requires a durable name"
    10086 400 InvalidRequest PullWithRateLimit "consumer in pull mode can not have rate limit set"
    10087 400 InvalidRequest MaxWaitingNegative "consumer max waiting needs to be positive"
    10088 400 InvalidRequest HeartbeatRequiresPush "consumer idle heartbeat requires a push based consumer"
    10089 400 InvalidRequest FlowControlRequiresPush "consumer flow control requires a push based consumer"
    10090 400 InvalidRequest DirectRequiresPush "consumer direct requires a push based consumer"
    10091 400 InvalidRequest DirectRequiresEphemeral "consumer direct requires an ephemeral consumer"
    10092 400 InvalidRequest OnMapped "consumer direct on a mapped consumer"
    10093 400 InvalidRequest FilterNotSubset "consumer filter subject is not a valid subset of the interest subjects"
    10094 400 InvalidRequest InvalidPolicy "{err}"
    10095 400 InvalidRequest InvalidSampling "failed to parse consumer sampling configuration: {err}"
    10096 500 InternalError StreamInvalid "stream not valid"
    10097 400 PayloadTooLarge HeaderTooLarge "header size exceeds maximum allowed of 64k"
    10098 400 InvalidRequest WorkQueueRequiresExplicitAck "workqueue stream requires explicit ack"
    10099 400 InvalidRequest WorkQueueMultipleUnfiltered "multiple non-filtered consumers not allowed on workqueue stream"
    10100 400 InvalidRequest WorkQueueNotUnique "filtered consumer not unique on workqueue stream"
    10101 400 InvalidRequest WorkQueueNotDeliverAll "consumer must be deliver all on workqueue stream"
    10102 400 InvalidRequest ConsumerNameTooLong "consumer name is too long, maximum allowed is {max}"
    10103 400 InvalidRequest BadDurableName "durable name can not contain '.', '*', '>'"
    10104 500 InternalError ConsumerStoreFailed "error creating store for consumer: {err}"
    10105 400 InvalidRequest ConsumerExistingActive "consumer already exists and is still active"
    10106 400 InvalidRequest ConsumerReplacementDiffers "consumer replacement durable config not the same"
    10107 400 InvalidRequest ConsumerDescriptionTooLong "consumer description is too long, maximum allowed is {max}"
    10108 400 InvalidRequest FlowControlNeedsHeartbeats "consumer with flow control also needs heartbeats"
    10109 400 InvalidRequest StreamSealed "invalid operation on sealed stream"
    10110 500 InvalidRequest PurgeFailed "{err}"
    10111 500 InvalidRequest RollupFailed "{err}"
    10112 400 InvalidRequest InvalidDeliverSubject "invalid push consumer deliver subject"
    10113 400 InvalidRequest MaxBytesRequired "account requires a stream config to have max bytes set"
    10114 400 InvalidRequest MaxRequestBatchNegative "consumer max request batch needs to be > 0"
    10115 400 InvalidRequest MaxRequestExpiresTooSmall "consumer max request expires needs to be >= 1ms"
    10116 400 InvalidRequest MaxDeliverBackoff "max deliver is required to be > length of backoff values"
    10117 500 LimitExceeded TooManySubjects "subject details would exceed maximum allowed"
    10118 500 ServiceUnavailable StreamOffline "stream is offline"
    10119 500 ServiceUnavailable ConsumerOffline "consumer is offline"
    10120 400 InvalidRequest NoLimits "no JetStream default or applicable tiered limit present"
    10121 400 InvalidRequest MaxAckPendingExcess "consumer max ack pending exceeds system limit of {limit}"
    10122 400 InvalidRequest MaxStreamBytesExceeded "stream max bytes exceeds account limit max stream bytes"
    10125 400 InvalidRequest MaxRequestBatchExceeded "consumer max request batch exceeds server limit of {limit}"
    10126 400 InvalidRequest ConsumerReplicasExceedStream "consumer config replica count exceeds parent stream"
    10127 400 InvalidRequest ConsumerNamePathSeparators "Consumer name can not contain path separators"
    10128 400 InvalidRequest StreamNamePathSeparators "Stream name can not contain path separators"
    10131 400 InvalidRequest CreateFilterMismatch "Consumer create request did not match filtered subject from create subject"
    10132 400 InvalidRequest DurableAndNameMismatch "Consumer Durable and Name have to be equal if both are provided"
    10133 400 InvalidRequest ReplicasNegative "replicas count cannot be negative"
    10134 400 InvalidRequest ConsumerReplicasMatchStream "consumer config replicas must match interest retention stream's replicas"
    10135 400 InvalidRequest ConsumerMetadataTooLong "consumer metadata exceeds maximum size of {limit}"
    10136 400 InvalidRequest DuplicateFilterSubjects "consumer cannot have both FilterSubject and FilterSubjects specified"
    10137 400 InvalidRequest MultipleFiltersNotAllowed "consumer with multiple subject filters cannot use subject based API"
    10138 400 InvalidRequest OverlappingFilters "consumer subject filters cannot overlap"
    10139 400 InvalidRequest EmptyFilter "consumer filter in FilterSubjects cannot be empty"
    10140 400 InvalidRequest DuplicateSource "duplicate source configuration detected"
    10141 400 InvalidRequest SourceInvalidName "sourced stream name is invalid"
    10142 400 InvalidRequest MirrorInvalidName "mirrored stream name is invalid"
    10143 400 InvalidRequest MirrorWithFirstSeq "stream mirrors can not have first sequence configured"
    10144 400 InvalidRequest SourceMultipleFilters "source with multiple subject transforms cannot also have a single subject filter"
    10145 400 InvalidRequest SourceInvalidFilter "source transform source: {err}"
    10146 400 InvalidRequest SourceInvalidDestination "source transform: {err}"
    10147 400 InvalidRequest SourceOverlappingFilters "source filters can not overlap"
    10148 400 Conflict ConsumerExists "consumer already exists"
    10149 400 NotFound ConsumerDoesNotExist "consumer does not exist"
    10150 400 InvalidRequest MirrorMultipleFilters "mirror with multiple subject transforms cannot also have a single subject filter"
    10151 400 InvalidRequest MirrorInvalidFilter "mirror transform source: {err}"
    10152 400 InvalidRequest MirrorOverlappingFilters "mirror subject filters can not overlap"
    10153 400 InvalidRequest InactiveThresholdExcess "consumer inactive threshold exceeds system limit of {limit}"
    10154 400 InvalidRequest MirrorInvalidDestination "mirror transform: {err}"
    10155 400 InvalidRequest TransformInvalidSource "stream transform source: {err}"
    10156 400 InvalidRequest TransformInvalidDestination "stream transform: {err}"
    10157 400 InvalidRequest Pedantic "pedantic mode: {err}"
    10158 409 ServiceUnavailable DuplicateInProcess "duplicate message id is in process"
    10159 400 InvalidRequest PriorityPolicyWithoutGroup "Setting PriorityPolicy requires at least one PriorityGroup to be set"
    10160 400 InvalidRequest InvalidPriorityGroup "Provided priority group does not exist for this consumer"
    10161 400 InvalidRequest EmptyGroupName "Group name cannot be an empty string"
    10162 400 InvalidRequest InvalidGroupName "Valid priority group name must match A-Z, a-z, 0-9, -_/=)+ and may not exceed 16 characters"
    10163 503 ServiceUnavailable ExpectedSubjectSequenceNotReady "expected last sequence per subject temporarily unavailable"
    10164 400 Conflict WrongLastSequenceUnknown "wrong last sequence"
    10165 400 InvalidRequest TtlInvalid "invalid per-message TTL"
    10166 400 InvalidRequest TtlDisabled "per-message TTL is disabled"
    10167 429 Backpressure TooManyRequests "too many requests"
    10168 400 InvalidRequest CountersDisabled "message counters is disabled"
    10169 400 InvalidRequest IncrementMissing "message counter increment is missing"
    10170 400 InvalidRequest CounterPayload "message counter has payload"
    10171 400 InvalidRequest IncrementInvalid "message counter increment is invalid"
    10172 400 InvalidRequest CounterBroken "message counter is broken"
    10173 400 InvalidRequest MirrorWithCounters "stream mirrors can not also calculate counters"
    10174 400 InvalidRequest AtomicDisabled "atomic publish is disabled"
    10175 400 InvalidRequest AtomicMissingSequence "atomic publish sequence is missing"
    10176 400 InvalidRequest AtomicIncomplete "atomic publish batch is incomplete"
    10177 400 InvalidRequest AtomicUnsupportedHeader "atomic publish unsupported header used: {header}"
    10178 400 InvalidRequest PushWithPriorityGroup "priority groups can not be used with push consumers"
    10179 400 InvalidRequest AtomicInvalidId "atomic publish batch ID is invalid"
    10180 412 InvalidRequest MinLastSequence "min last sequence"
    10181 400 InvalidRequest AckPolicyInvalid "consumer ack policy invalid"
    10182 400 InvalidRequest ReplayPolicyInvalid "consumer replay policy invalid"
    10183 400 InvalidRequest AckWaitNegative "consumer ack wait needs to be positive"
    10184 400 InvalidRequest BackoffNegative "consumer backoff needs to be positive"
    10185 412 InvalidRequest RequiredApiLevel "JetStream minimum api level required"
    10186 400 InvalidRequest MirrorWithSchedules "stream mirrors can not also schedule messages"
    10187 400 InvalidRequest SourceWithSchedules "stream source can not also schedule messages"
    10188 400 InvalidRequest SchedulesDisabled "message schedules is disabled"
    10189 400 InvalidRequest SchedulePatternInvalid "message schedules pattern is invalid"
    10190 400 InvalidRequest ScheduleTargetInvalid "message schedules target is invalid"
    10191 400 InvalidRequest ScheduleTtlInvalid "message schedules invalid per-message TTL"
    10192 400 InvalidRequest ScheduleRollupInvalid "message schedules invalid rollup"
    10193 400 InvalidRequest ExpectedSubjectSequenceMissing "missing sequence for expected last sequence per subject"
    10194 500 ServiceUnavailable StreamOfflineReason "stream is offline: {err}"
    10195 500 ServiceUnavailable ConsumerOfflineReason "consumer is offline: {err}"
    10196 400 InvalidRequest PriorityGroupWithPolicyNone "consumer can not have priority groups when policy is none"
    10197 400 InvalidRequest PinnedTtlWithPolicyNone "PinnedTTL cannot be set when PriorityPolicy is none"
    10198 400 InvalidRequest MirrorWithAtomic "stream mirrors can not also use atomic publishing"
    10199 400 LimitExceeded AtomicTooLarge "atomic publish batch is too large: {size}"
    10200 400 InvalidRequest AtomicInvalidCommit "atomic publish batch commit is invalid"
    10201 400 InvalidRequest AtomicDuplicate "atomic publish batch contains duplicate message id"
    10204 400 InvalidRequest InvalidReset "invalid reset: {err}"
    10205 400 InvalidRequest BatchDisabled "batch publish is disabled"
    10206 400 InvalidRequest BatchInvalidPattern "batch publish pattern is invalid"
    10207 400 InvalidRequest BatchInvalidId "batch publish ID is invalid"
    10208 400 InvalidRequest BatchUnknownId "batch publish ID unknown"
    10209 400 InvalidRequest MirrorWithBatch "stream mirrors can not also use batch publishing"
    10210 429 RateLimited AtomicTooManyInflight "atomic publish too many inflight"
    10211 429 RateLimited BatchTooManyInflight "batch publish too many inflight"
    10218 400 InvalidRequest AckFlowControlRequiresPush "flow control ack policy requires a push based consumer"
    10219 400 InvalidRequest AckFlowControlRequiresFlowControl "flow control ack policy requires flow control"
    10220 400 InvalidRequest AckFlowControlRequiresMaxAckPending "flow control ack policy requires max ack pending"
    10221 400 InvalidRequest AckFlowControlRequiresNoAckWait "flow control ack policy requires unset ack wait"
    10222 400 InvalidRequest AckFlowControlRequiresNoMaxDeliver "flow control ack policy requires unset max deliver"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_found_by_number() {
        for pair in Fault::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number(), "{pair:?}");
        }
        for fault in Fault::ALL {
            assert_eq!(Fault::from_number(fault.number()), Some(*fault));
            assert!(fault.text().matches('{').count() <= 1, "{fault:?}: one argument at most");
        }
        assert_eq!(Fault::from_number(9), None);
    }

    #[test]
    fn an_error_reads_as_the_real_server_writes_it() {
        let wrong = Fault::WrongLastSequence.with(12);
        let text = r#"{"code":400,"err_code":10071,"description":"wrong last sequence: 12"}"#;
        assert_eq!(serde_json::to_string(&wrong).unwrap(), text);
        assert_eq!(serde_json::from_str::<ApiError>(text).unwrap(), wrong);
        assert_eq!(ApiError::from(Fault::StreamNotFound).kernel_code(), Code::StreamNotFound);
        assert_eq!(Fault::StreamNotFound.with("x").description, "stream not found");
        let later = ApiError { code: 503, err_code: 19999, ..ApiError::default() };
        assert_eq!((later.fault(), later.kernel_code()), (None, Code::ServiceUnavailable));
    }
}
