//! What a consumer may be: missing values are filled in and contradictions refused, exactly as nats-server 2.15 does.
//! Whether a name is taken, and by whom, is *not* known here.

use kernel::{Subject, SubjectPattern};
use wire::jetstream::{AckPolicy, ConsumerConfig, DeliverPolicy, PriorityPolicy, Retention, StreamConfig};

use super::filter::subjects;
use super::refusal::Refusal;

pub use super::pedantic::check_pedantic;

const ACK_WAIT_NS: i64 = 30_000_000_000;
const ACK_PENDING: i64 = 1_000;
const WAITING: i64 = 512;
const INACTIVE_NS: i64 = 5_000_000_000;
const NAME_BYTES_MAX: usize = 255;
const DESCRIPTION_BYTES_MAX: usize = 4_096;
const METADATA_BYTES_MAX: usize = 128 * 1_024;
const HEARTBEAT_NS_MIN: i64 = 100_000_000;
const EXPIRES_NS_MIN: i64 = 1_000_000;

/// Fills in what is missing, and refuses what cannot be. This is the first thing to do with a configuration that came
/// in, whether the consumer is there already or not.
pub fn check(config: ConsumerConfig, stream: &StreamConfig) -> Result<ConsumerConfig, Refusal> {
    let c = filled(config, stream);
    check_names(&c)?;
    check_waits(&c)?;
    check_delivery(&c, stream)?;
    let limits = &stream.consumer_limits;
    if limits.max_ack_pending > 0 && c.max_ack_pending > limits.max_ack_pending {
        return Err(Refusal::MaxAckPendingExceeds(limits.max_ack_pending));
    }
    if limits.inactive_threshold > 0 && c.inactive_threshold > limits.inactive_threshold {
        return Err(Refusal::InactiveThresholdExceeds(super::positive(limits.inactive_threshold)));
    }
    match (c.direct, c.deliver_subject.is_empty(), c.durable_name.is_empty()) {
        (true, true, _) => return Err(Refusal::PullDirect),
        (true, _, false) => return Err(Refusal::DurableDirect),
        _ => {}
    }
    check_filters(&c)?;
    check_start(&c)?;
    check_sampling(&c.sample_freq)?;
    if c.flow_control && c.idle_heartbeat == 0 {
        return Err(Refusal::FlowControlWithoutHeartbeat);
    }
    if !c.durable_name.is_empty() && c.name != c.durable_name {
        return Err(Refusal::NamesDiffer);
    }
    let metadata: usize = c.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if metadata > METADATA_BYTES_MAX {
        return Err(Refusal::MetadataTooLong);
    }
    check_priority(&c)?;
    match c.ack_policy == AckPolicy::FlowControl {
        true if c.deliver_subject.is_empty() => Err(Refusal::PullAckFlowControl),
        true => Err(Refusal::Unsupported("flow control acknowledgements")),
        false => Ok(c),
    }
}

/// Whether a consumer that [`check`] has passed may stand beside those that the stream has already (without the
/// `direct` ones).
pub fn check_new<'c>(
    new: &ConsumerConfig,
    stream: &StreamConfig,
    existing: impl Iterator<Item = &'c ConsumerConfig> + Clone,
) -> Result<(), Refusal> {
    let most = usize::try_from(stream.max_consumers).unwrap_or(0);
    if most > 0 && !new.direct && existing.clone().count() >= most {
        return Err(Refusal::TooManyConsumers);
    }
    if stream.retention != Retention::WorkQueue || new.direct {
        return Ok(());
    }
    if new.ack_policy != AckPolicy::Explicit {
        return Err(Refusal::WorkQueueWithoutAck);
    }
    if new.deliver_policy != DeliverPolicy::All {
        return Err(Refusal::WorkQueueNotAll);
    }
    match existing.clone().next().is_some() && subjects(new).next().is_none() {
        true => Err(Refusal::WorkQueueUnfiltered),
        false => check_unique(new, existing),
    }
}

/// Whether a consumer may change so. Both configurations have passed [`check`]; `others` are the stream's other
/// consumers; `is_heard`: whether somebody hears the old deliver subject.
pub fn check_update<'c>(
    old: &ConsumerConfig,
    new: &ConsumerConfig,
    stream: &StreamConfig,
    others: impl Iterator<Item = &'c ConsumerConfig> + Clone,
    is_heard: bool,
) -> Result<(), Refusal> {
    if stream.retention == Retention::WorkQueue {
        check_unique(new, others)?;
    }
    let fixed = [
        (old.deliver_policy == new.deliver_policy, "deliver policy"),
        (old.mem_storage == new.mem_storage, "storage type"),
        (old.direct == new.direct, "direct"),
        (old.opt_start_seq == new.opt_start_seq, "start sequence"),
        (old.opt_start_time == new.opt_start_time, "start time"),
        (old.ack_policy == new.ack_policy, "ack policy"),
        (old.replay_policy == new.replay_policy, "replay policy"),
        (old.idle_heartbeat == new.idle_heartbeat, "heart beats"),
        (old.flow_control == new.flow_control, "flow control"),
    ];
    if let Some((_, what)) = fixed.iter().find(|(same, _)| !same) {
        return Err(Refusal::Fixed(what));
    }
    match (old.deliver_subject.as_str(), new.deliver_subject.as_str()) {
        (before, after) if before == after => {}
        ("", _) => return Err(Refusal::PullToPush),
        (_, "") => return Err(Refusal::PushToPull),
        _ if is_heard => return Err(Refusal::DeliverSubjectInUse),
        _ => {}
    }
    match old.max_waiting == new.max_waiting {
        true => Ok(()),
        false => Err(Refusal::Fixed("max waiting")),
    }
}

/// How long a consumer that is changed may be left unused, when the change does not say: as long as is usual for what it
/// was before, durable or not.
pub fn kept_threshold(old: &ConsumerConfig, stream: &StreamConfig) -> i64 {
    match (stream.consumer_limits.inactive_threshold, old.durable_name.is_empty()) {
        (1.., _) => stream.consumer_limits.inactive_threshold,
        (_, true) => INACTIVE_NS,
        (_, false) => 0,
    }
}

/// Whether the filters meet none of the others'.
fn check_unique<'c>(
    new: &ConsumerConfig,
    mut others: impl Iterator<Item = &'c ConsumerConfig>,
) -> Result<(), Refusal> {
    let ours = patterns(new)?;
    let meets = |other: &ConsumerConfig| {
        let theirs = patterns(other).unwrap_or_default();
        ours.is_empty() || theirs.is_empty() || ours.iter().any(|o| theirs.iter().any(|t| t.overlaps(o)))
    };
    match others.any(meets) {
        true => Err(Refusal::WorkQueueNotUnique),
        false => Ok(()),
    }
}

/// With defaults where nothing, or nothing sensible, was said.
fn filled(mut c: ConsumerConfig, stream: &StreamConfig) -> ConsumerConfig {
    let is_push = !c.deliver_subject.is_empty();
    let is_acked = c.ack_policy != AckPolicy::None;
    if c.max_deliver < 1 {
        c.max_deliver = -1;
    }
    for number in [
        &mut c.max_waiting,
        &mut c.max_batch,
        &mut c.max_expires,
        &mut c.max_bytes,
        &mut c.idle_heartbeat,
        &mut c.inactive_threshold,
    ] {
        *number = (*number).max(0);
    }
    c.max_ack_pending = c.max_ack_pending.max(-1);
    if !is_push && c.max_waiting == 0 {
        c.max_waiting = WAITING;
    }
    if c.ack_wait == 0 && is_acked {
        c.ack_wait = ACK_WAIT_NS;
    }
    if let Some(first) = c.backoff.first() {
        c.ack_wait = *first;
    }
    if c.max_ack_pending == 0 {
        c.max_ack_pending = stream.consumer_limits.max_ack_pending;
    }
    if c.max_ack_pending == 0 && is_acked {
        c.max_ack_pending = ACK_PENDING;
    }
    if c.inactive_threshold == 0 {
        c.inactive_threshold = stream.consumer_limits.inactive_threshold;
    }
    if c.inactive_threshold <= 0 && c.durable_name.is_empty() {
        c.inactive_threshold = INACTIVE_NS;
    }
    if c.name.is_empty() {
        c.name.clone_from(&c.durable_name);
    }
    c
}

fn check_names(c: &ConsumerConfig) -> Result<(), Refusal> {
    let is_name = |name: &str| !name.contains(['.', '*', '>', '\\', '/', ' ', '\t', '\r', '\n', '\x0c']);
    if !is_name(&c.name) && c.durable_name.is_empty() {
        return Err(Refusal::NameInvalid);
    }
    if !is_name(&c.durable_name) {
        return Err(Refusal::DurableNameInvalid);
    }
    if c.name.len() > NAME_BYTES_MAX || c.durable_name.len() > NAME_BYTES_MAX {
        return Err(Refusal::NameTooLong);
    }
    match c.num_replicas {
        ..0 => Err(Refusal::ReplicasNegative),
        0..=1 => Ok(()),
        _ => Err(Refusal::Replicas),
    }
}

fn check_waits(c: &ConsumerConfig) -> Result<(), Refusal> {
    if c.backoff.iter().any(|wait| *wait < 0) {
        return Err(Refusal::BackoffNegative);
    }
    if c.ack_wait < 0 {
        return Err(Refusal::AckWaitNegative);
    }
    if c.max_deliver > 0 && c.backoff.len() as u64 > super::positive(c.max_deliver) {
        return Err(Refusal::BackoffTooLong);
    }
    match c.description.len() > DESCRIPTION_BYTES_MAX {
        true => Err(Refusal::DescriptionTooLong),
        false => Ok(()),
    }
}

fn check_delivery(c: &ConsumerConfig, stream: &StreamConfig) -> Result<(), Refusal> {
    let is_none = c.ack_policy == AckPolicy::None;
    if c.deliver_subject.is_empty() {
        let rules = [
            (is_none && stream.retention == Retention::WorkQueue, Refusal::PullWithoutAck),
            (c.rate_limit_bps > 0, Refusal::PullRateLimit),
            (c.idle_heartbeat > 0, Refusal::PullHeartbeat),
            (c.flow_control, Refusal::PullFlowControl),
            (c.max_expires > 0 && c.max_expires < EXPIRES_NS_MIN, Refusal::MaxExpiresTooSmall),
        ];
        return first_broken(rules);
    }
    let to = c.deliver_subject.as_bytes();
    let is_wild = to.split(|b| *b == b'.').any(|token| token == b"*" || token == b">");
    let mut captured = stream.subjects.iter().filter_map(|s| SubjectPattern::parse(s.as_bytes()).ok());
    first_broken([
        (is_wild, Refusal::DeliverWildcards),
        (Subject::parse(to).is_err(), Refusal::DeliverInvalid),
        (captured.any(|pattern| pattern.matches(to)), Refusal::DeliverCycle),
        (c.max_waiting != 0, Refusal::PushMaxWaiting),
        (c.max_ack_pending > 0 && is_none, Refusal::MaxAckPendingWithoutAck),
        (c.idle_heartbeat > 0 && c.idle_heartbeat < HEARTBEAT_NS_MIN, Refusal::HeartbeatTooSmall),
    ])
}

/// Most filters of one consumer: each is compared with each.
const FILTERS_MAX: usize = 256;

fn check_filters(c: &ConsumerConfig) -> Result<(), Refusal> {
    if !c.filter_subject.is_empty() && !c.filter_subjects.is_empty() {
        return Err(Refusal::BothFilters);
    }
    if c.filter_subjects.iter().any(String::is_empty) {
        return Err(Refusal::FilterEmpty);
    }
    if c.filter_subjects.len() > FILTERS_MAX {
        return Err(Refusal::Unsupported("more than 256 filter subjects"));
    }
    let patterns = patterns(c)?;
    let covers_another = |(at, pattern): (usize, &SubjectPattern)| {
        patterns.iter().enumerate().any(|(other, theirs)| other != at && pattern.covers(theirs))
    };
    match patterns.iter().enumerate().any(covers_another) {
        true => Err(Refusal::FiltersOverlap),
        false => Ok(()),
    }
}

fn check_start(c: &ConsumerConfig) -> Result<(), Refusal> {
    let (policy, wants_seq, wants_time) = match c.deliver_policy {
        DeliverPolicy::All => ("all", false, false),
        DeliverPolicy::Last => ("last", false, false),
        DeliverPolicy::LastPerSubject => ("last per subject", false, false),
        DeliverPolicy::New => ("new", false, false),
        DeliverPolicy::ByStartSequence => ("by start sequence", true, false),
        DeliverPolicy::ByStartTime => ("by start time", false, true),
    };
    let (has_seq, has_time) = (c.opt_start_seq != 0, c.opt_start_time.is_some());
    let is_last_of_each = c.deliver_policy == DeliverPolicy::LastPerSubject;
    let why = match () {
        _ if wants_seq && !has_seq => "start sequence is not set",
        _ if wants_time && !has_time => "start time is not set",
        _ if has_seq && wants_time => "start start sequence is also set",
        _ if has_seq && !wants_seq => "start sequence is also set",
        _ if has_time && !wants_time => "start time is also set",
        _ if is_last_of_each && subjects(c).next().is_none() => "filter subject is not set",
        _ => return Ok(()),
    };
    let text = format!("consumer delivery policy is deliver {policy}, but optional {why}");
    Err(Refusal::DeliverPolicy(text))
}

fn check_sampling(text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        return Ok(());
    }
    let number = text.strip_suffix('%').unwrap_or(text);
    match number.parse::<i64>() {
        Ok(0..) => Ok(()),
        Ok(_) => Err(Refusal::Sampling("<nil>".into())),
        Err(_) => Err(Refusal::Sampling(format!("strconv.Atoi: parsing {number:?}: invalid syntax"))),
    }
}

fn check_priority(c: &ConsumerConfig) -> Result<(), Refusal> {
    let has_policy = c.priority_policy != PriorityPolicy::None;
    first_broken([
        (has_policy && c.priority_groups.is_empty(), Refusal::PriorityWithoutGroup),
        (has_policy, Refusal::Unsupported("priority groups")),
        (!c.priority_groups.is_empty(), Refusal::GroupWithoutPriority),
        (c.priority_timeout > 0, Refusal::PinnedWithoutPriority),
    ])
}

fn patterns(c: &ConsumerConfig) -> Result<Vec<SubjectPattern>, Refusal> {
    let parsed = subjects(c).map(|s| SubjectPattern::parse(s.as_bytes()));
    parsed.collect::<Result<_, _>>().map_err(|_| Refusal::FilterInvalid)
}

fn first_broken(rules: impl IntoIterator<Item = (bool, Refusal)>) -> Result<(), Refusal> {
    rules.into_iter().find(|(is_broken, _)| *is_broken).map_or(Ok(()), |(_, refusal)| Err(refusal))
}
