//! Which configurations a stream may have, and what stands for what was left out: as nats-server 2.15 decides it, less
//! what this server does not have. Whether two streams want the same subject is *not* known here.

use kernel::journal::Level;
use kernel::{Code, SubjectPattern};
use wire::jetstream::{Discard, PersistMode, Retention, StorageType, StreamConfig, StreamName};

use super::{Refusal, SEQUENCE_MAX};

/// The key in a stream's metadata that names its durability: `mem`, `os` or `disk`.
pub const ACK_KEY: &str = "np.ack";

const DESCRIPTION_BYTES_MAX: usize = 4096;
const METADATA_BYTES_MAX: usize = 128 * 1024;
const REPLICAS_MAX: i64 = 5;
/// Each is compared with each.
const SUBJECTS_MAX: usize = 1024;
const NS_PER_S: i64 = 1_000_000_000;
const DURATION_NS_MIN: i64 = 100_000_000;
const DUPLICATE_WINDOW_NS: i64 = 120_000_000_000;

/// What the node leaves to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that a stream on the disk may reserve by `max_bytes`.
    pub file_bytes_max: u64,
    /// Bytes that a stream in memory may reserve by `max_bytes`.
    pub memory_bytes_max: u64,
    /// Longest duplicate window, in nanoseconds.
    pub duplicate_window_ns_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { file_bytes_max: u64::MAX, memory_bytes_max: u64::MAX, duplicate_window_ns_max: u64::MAX }
    }
}

/// Checks a configuration and fills in what was left out. The name's form comes first, then everything else in the
/// order of the fields.
pub fn check(config: StreamConfig, limits: &Limits) -> Result<StreamConfig, Refusal> {
    if config.sealed {
        return invalid("stream configuration for create can not be sealed");
    }
    checked(config, limits)
}

/// Checks a configuration that is to stand for another.
pub fn check_update(old: &StreamConfig, new: StreamConfig, limits: &Limits) -> Result<StreamConfig, Refusal> {
    if new.mirror.is_some() {
        return Err(Refusal::MirrorFixed);
    }
    let mut new = checked(new, limits)?;
    let work_queue = |c: &StreamConfig| c.retention == Retention::WorkQueue;
    for (wrong, why) in [
        (new.name != old.name, "stream configuration name must match original"),
        (new.storage != old.storage, "stream configuration update can not change storage type"),
        (
            work_queue(&new) != work_queue(old),
            "stream configuration update can not change retention policy to/from workqueue",
        ),
        (old.sealed && !new.sealed, "stream configuration update can not unseal a sealed stream"),
        (
            old.deny_delete && !new.deny_delete,
            "stream configuration update can not cancel deny message deletes",
        ),
        (old.deny_purge && !new.deny_purge, "stream configuration update can not cancel deny purge"),
        (old.allow_msg_ttl && !new.allow_msg_ttl, "message TTL status can not be disabled"),
    ] {
        if wrong {
            return invalid(why);
        }
    }
    if new.sealed {
        new.max_age = 0;
        new.discard = Discard::New;
        (new.deny_delete, new.deny_purge, new.allow_rollup_hdrs) = (true, true, false);
    }
    Ok(new)
}

/// How safe a stream's messages are before they are acknowledged: what [`ACK_KEY`] says; without it the disk, or the
/// operating system where publishers do not wait for the disk.
pub fn level(config: &StreamConfig) -> Result<Level, Refusal> {
    match (config.metadata.get(ACK_KEY).map(String::as_str), config.storage) {
        (Some("mem"), _) => Ok(Level::Mem),
        (Some("os"), StorageType::File) => Ok(Level::Os),
        (Some("disk"), StorageType::File) => Ok(Level::Disk),
        (None, StorageType::File) => Ok(match config.persist_mode {
            PersistMode::Default => Level::Disk,
            PersistMode::Async => Level::Os,
        }),
        (None, StorageType::Memory) => Ok(Level::Mem),
        (Some("os" | "disk"), StorageType::Memory) => invalid("np.ack of a stream in memory can only be mem"),
        (Some(_), _) => invalid("np.ack must be mem, os or disk"),
    }
}

fn invalid<T>(why: &'static str) -> Result<T, Refusal> {
    Err(Refusal::ConfigInvalid(why.into()))
}

fn checked(mut config: StreamConfig, limits: &Limits) -> Result<StreamConfig, Refusal> {
    name(&config)?;
    texts(&config)?;
    missing(&config)?;
    fill(&mut config, limits);
    ages(&config, limits)?;
    permissions(&config)?;
    subjects(&mut config)?;
    sizes(&config, limits)?;
    level(&config)?;
    Ok(config)
}

fn name(config: &StreamConfig) -> Result<(), Refusal> {
    StreamName::parse(&config.name).map(drop).map_err(Refusal::Name)
}

fn texts(config: &StreamConfig) -> Result<(), Refusal> {
    if config.description.len() > DESCRIPTION_BYTES_MAX {
        let why = format!("stream description is too long, maximum allowed is {DESCRIPTION_BYTES_MAX}");
        return Err(Refusal::ConfigInvalid(why.into()));
    }
    let metadata: usize = config.metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
    if metadata > METADATA_BYTES_MAX {
        let why = format!("stream metadata exceeds maximum size of {METADATA_BYTES_MAX} bytes");
        return Err(Refusal::ConfigInvalid(why.into()));
    }
    Ok(())
}

/// Refuses what this server does not have.
fn missing(config: &StreamConfig) -> Result<(), Refusal> {
    if config.num_replicas > REPLICAS_MAX {
        let why = format!("maximum replicas is {REPLICAS_MAX}");
        return Err(Refusal::ConfigInvalid(why.into()));
    }
    if config.num_replicas < 0 {
        return Err(Refusal::ReplicasNegative);
    }
    if config.num_replicas > 1 {
        return Err(Refusal::Replicas);
    }
    if config.mirror.is_some() && !config.subjects.is_empty() {
        return Err(Refusal::MirrorWithSubjects);
    }
    for (asked, why) in [
        (config.mirror.is_some(), "stream mirrors are not supported"),
        (!config.sources.is_empty(), "stream sources are not supported"),
        (config.subject_transform.is_some(), "stream subject transforms are not supported"),
        (config.republish.is_some(), "stream republish is not supported"),
        (config.placement.is_some(), "stream placement is not supported"),
        (config.allow_msg_counter, "message counters are not supported"),
        (config.allow_atomic || config.allow_batched, "batches are not supported"),
        (config.allow_msg_schedules, "message schedules are not supported"),
        (config.subject_delete_marker_ttl < 0, "subject delete marker TTL must not be negative"),
        (
            (1..NS_PER_S).contains(&config.subject_delete_marker_ttl),
            "subject delete marker TTL must be at least 1 second",
        ),
        (config.mirror_direct, "stream has no mirror but does have mirror direct"),
        (config.subjects.len() > SUBJECTS_MAX, "too many subjects: at most 1024"),
        (config.first_seq > SEQUENCE_MAX / 2, "first sequence is too large"),
    ] {
        if asked {
            return invalid(why);
        }
    }
    Ok(())
}

/// Gives every limit that was left out, or makes no sense, its default.
fn fill(config: &mut StreamConfig, limits: &Limits) {
    for limit in [
        &mut config.max_consumers,
        &mut config.max_msgs,
        &mut config.max_bytes,
        &mut config.max_msgs_per_subject,
    ] {
        if *limit <= 0 {
            *limit = -1;
        }
    }
    if config.max_msg_size <= 0 {
        config.max_msg_size = -1;
    }
    config.num_replicas = 1;
    if config.subject_delete_marker_ttl > 0 {
        // A marker has a time to live, and stands for what was there before.
        (config.allow_msg_ttl, config.allow_rollup_hdrs, config.deny_purge) = (true, true, false);
    }
    if config.duplicate_window == 0 {
        let longest = i64::try_from(limits.duplicate_window_ns_max).unwrap_or(i64::MAX);
        let window = DUPLICATE_WINDOW_NS.min(longest);
        config.duplicate_window = if config.max_age > 0 { window.min(config.max_age) } else { window };
    }
}

fn ages(config: &StreamConfig, limits: &Limits) -> Result<(), Refusal> {
    let (age, window) = (config.max_age, config.duplicate_window);
    for (wrong, why) in [
        (age < 0, "max age can not be negative"),
        (age > 0 && age < DURATION_NS_MIN, "max age needs to be >= 100ms"),
        (window < 0, "duplicates window can not be negative"),
        (age > 0 && window > age, "duplicates window can not be larger then max age"),
        (
            u64::try_from(window).is_ok_and(|w| w > limits.duplicate_window_ns_max),
            "duplicates window can not be larger then server limit",
        ),
        (window < DURATION_NS_MIN, "duplicates window needs to be >= 100ms"),
    ] {
        if wrong {
            return invalid(why);
        }
    }
    Ok(())
}

fn permissions(config: &StreamConfig) -> Result<(), Refusal> {
    let per_subject = config.discard_new_per_subject;
    for (wrong, why) in [
        (config.deny_purge && config.allow_rollup_hdrs, "roll-ups require the purge permission"),
        (
            per_subject && config.discard != Discard::New,
            "discard new per subject requires discard new policy to be set",
        ),
        (
            per_subject && config.max_msgs_per_subject <= 0,
            "discard new per subject requires max msgs per subject > 0",
        ),
    ] {
        if wrong {
            return invalid(why);
        }
    }
    Ok(())
}

fn subjects(config: &mut StreamConfig) -> Result<(), Refusal> {
    if config.subjects.is_empty() {
        config.subjects.push(config.name.clone());
    }
    let parsed: Result<Vec<_>, Code> =
        config.subjects.iter().map(|s| SubjectPattern::parse(s.as_bytes())).collect();
    let Ok(parsed) = parsed else { return invalid("invalid subject") };
    for (at, subject) in parsed.iter().enumerate() {
        if !config.no_ack {
            reserved(subject)?;
        }
        if let Some(other) = parsed.iter().skip(at + 1).find(|other| other.overlaps(subject)) {
            let why = format!("subject {:?} overlaps with {:?}", subject.as_str(), other.as_str());
            return Err(Refusal::ConfigInvalid(why.into()));
        }
    }
    Ok(())
}

/// Refuses subjects on which the server itself speaks: a stream's acknowledgements would meet its answers.
fn reserved(subject: &SubjectPattern) -> Result<(), Refusal> {
    const JETSTREAM: &str = "subjects that overlap with jetstream api require no-ack to be true";
    const SYSTEM: &str = "subjects that overlap with system api require no-ack to be true";
    if subject.as_str() == ">" {
        return invalid("capturing all subjects requires no-ack to be true");
    }
    for (taken, but, why) in [
        ("$JS.>", Some("$JS.EVENT.>"), JETSTREAM),
        ("$JSC.>", None, JETSTREAM),
        ("$NRG.>", None, JETSTREAM),
        ("$SYS.>", Some("$SYS.ACCOUNT.>"), SYSTEM),
        ("$NP.>", None, SYSTEM),
    ] {
        let hears = |pattern: &str| SubjectPattern::parse(pattern.as_bytes());
        let overlaps = hears(taken).is_ok_and(|taken| taken.overlaps(subject));
        let allowed = but.is_some_and(|but| hears(but).is_ok_and(|but| but.covers(subject)));
        if overlaps && !allowed {
            return invalid(why);
        }
    }
    Ok(())
}

fn sizes(config: &StreamConfig, limits: &Limits) -> Result<(), Refusal> {
    let bytes = u64::try_from(config.max_bytes).unwrap_or(0);
    match config.storage {
        StorageType::File if bytes > limits.file_bytes_max => Err(Refusal::InsufficientStorage),
        StorageType::Memory if bytes > limits.memory_bytes_max => Err(Refusal::InsufficientMemory),
        _ => Ok(()),
    }
}
