//! What a configuration may say, each as nats-server 2.15.1 answered it.

use wire::jetstream::{Discard, PersistMode, Retention, StorageType, StreamConfig};

use super::config::{ACK_KEY, Limits, check, check_update, level};
use super::*;

fn base() -> StreamConfig {
    StreamConfig { name: "T".into(), ..StreamConfig::default() }
}

fn why(change: impl FnOnce(&mut StreamConfig)) -> String {
    let mut config = base();
    change(&mut config);
    check(config, &Limits::default()).map_or_else(|r| r.to_string(), |_| String::new())
}

fn fine(change: impl FnOnce(&mut StreamConfig)) -> StreamConfig {
    let mut config = base();
    change(&mut config);
    check(config, &Limits::default()).unwrap()
}

#[test]
fn what_is_left_out_gets_its_default() {
    let config = fine(|_| ());
    assert_eq!(config.subjects, ["T"]);
    let limits = [
        config.max_consumers,
        config.max_msgs,
        config.max_bytes,
        config.max_msgs_per_subject,
        config.max_msg_size.into(),
    ];
    assert_eq!(limits, [-1; 5]);
    assert_eq!((config.max_age, config.num_replicas, config.duplicate_window), (0, 1, 120_000_000_000));
    assert_eq!(fine(|c| c.max_age = 1_000_000_000).duplicate_window, 1_000_000_000);
    assert_eq!(fine(|c| c.max_msgs = -5).max_msgs, -1);
    assert_eq!(check(config.clone(), &Limits::default()).unwrap(), config, "checking twice changes nothing");
}

#[test]
fn what_contradicts_itself_is_refused_in_the_real_servers_words() {
    let ms = 1_000_000;
    let long = "x".repeat(200_000);
    for (text, wanted) in [
        (why(|c| c.name = "T".repeat(256)), "stream name is too long, maximum allowed is 255"),
        (why(|c| c.name = "a/b".into()), "Stream name can not contain path separators"),
        (
            why(|c| c.name = "a.b".into()),
            "stream name is required and can not contain '.', '*', '>', '\\', '/'",
        ),
        (
            why(|c| c.name = String::new()),
            "stream name is required and can not contain '.', '*', '>', '\\', '/'",
        ),
        (why(|c| c.description = long.clone()), "stream description is too long, maximum allowed is 4096"),
        (
            why(|c| drop(c.metadata.insert("a".into(), long.clone()))),
            "stream metadata exceeds maximum size of 131072 bytes",
        ),
        (why(|c| c.max_age = 50 * ms), "max age needs to be >= 100ms"),
        (why(|c| c.max_age = -1), "max age can not be negative"),
        (why(|c| c.duplicate_window = -1), "duplicates window can not be negative"),
        (why(|c| c.duplicate_window = 50 * ms), "duplicates window needs to be >= 100ms"),
        (
            why(|c| (c.max_age, c.duplicate_window) = (1000 * ms, 2000 * ms)),
            "duplicates window can not be larger then max age",
        ),
        (why(|c| c.num_replicas = 3), "replicas > 1 not supported in non-clustered mode"),
        (why(|c| c.num_replicas = 6), "maximum replicas is 5"),
        (why(|c| c.num_replicas = -1), "replicas count cannot be negative"),
        (
            why(|c| (c.deny_purge, c.allow_rollup_hdrs) = (true, true)),
            "roll-ups require the purge permission",
        ),
        (
            why(|c| c.discard_new_per_subject = true),
            "discard new per subject requires discard new policy to be set",
        ),
        (
            why(|c| (c.discard_new_per_subject, c.discard) = (true, Discard::New)),
            "discard new per subject requires max msgs per subject > 0",
        ),
        (why(|c| c.sealed = true), "stream configuration for create can not be sealed"),
        (why(|c| c.mirror_direct = true), "stream has no mirror but does have mirror direct"),
    ] {
        assert_eq!(text, wanted);
    }
}

#[test]
fn subjects_are_valid_do_not_overlap_and_leave_the_servers_own_alone() {
    let of = |subjects: &[&str]| why(|c| c.subjects = subjects.iter().map(|s| s.to_string()).collect());
    let js = "subjects that overlap with jetstream api require no-ack to be true";
    let system = "subjects that overlap with system api require no-ack to be true";
    for (subjects, wanted) in [
        (&["a.>", "b.*"][..], ""),
        (&["a..b"], "invalid subject"),
        (&["a.>.b"], "invalid subject"),
        (&["a b"], "invalid subject"),
        (&[""], "invalid subject"),
        (&["a", "a"], "subject \"a\" overlaps with \"a\""),
        (&["a.*", "a.b"], "subject \"a.*\" overlaps with \"a.b\""),
        (&[">"], "capturing all subjects requires no-ack to be true"),
        (&["*"], ""),
        (&["*.>"], js),
        (&["$JS.>"], js),
        (&["$JS.API.x"], js),
        (&["$JS.EVENT.>"], ""),
        (&["$SYS.x"], system),
        (&["$SYS.ACCOUNT.>"], ""),
        (&["$NP.x"], system),
    ] {
        assert_eq!(of(subjects), wanted, "{subjects:?}");
    }
    let silent = |s: &str| why(|c| (c.subjects, c.no_ack) = (vec![s.into()], true));
    assert_eq!((silent(">"), silent("*.>")), (String::new(), String::new()));
}

#[test]
fn what_this_server_does_not_have_is_refused() {
    assert!(why(|c| c.mirror = Some(Default::default())).contains("mirrors"));
    assert!(
        why(|c| (c.mirror, c.subjects) = (Some(Default::default()), vec!["a".into()]))
            .contains("can not contain subjects")
    );
    assert!(why(|c| c.sources = vec![Default::default()]).contains("sources"));
    assert!(why(|c| c.subject_transform = Some(Default::default())).contains("transforms"));
    assert!(why(|c| c.republish = Some(Default::default())).contains("republish"));
    assert!(why(|c| c.placement = Some(Default::default())).contains("placement"));
    assert!(why(|c| c.allow_msg_counter = true).contains("counters"));
    assert!(why(|c| c.allow_atomic = true).contains("batches"));
    assert!(why(|c| c.allow_msg_schedules = true).contains("schedules"));
}

#[test]
fn durability_is_disk_unless_the_metadata_says_otherwise() {
    let of = |word: &str| fine(|c| drop(c.metadata.insert(ACK_KEY.into(), word.into())));
    assert_eq!(level(&fine(|_| ())), Ok(Level::Disk));
    assert_eq!(level(&fine(|c| c.persist_mode = PersistMode::Async)), Ok(Level::Os));
    assert_eq!(level(&of("os")), Ok(Level::Os));
    assert_eq!(level(&of("mem")), Ok(Level::Mem));
    assert_eq!(level(&fine(|c| c.storage = StorageType::Memory)), Ok(Level::Mem));
    let bad = why(|c| drop(c.metadata.insert(ACK_KEY.into(), "quorum".into())));
    assert_eq!(bad, "np.ack must be mem, os or disk");
}

#[test]
fn a_stream_does_not_reserve_more_than_there_is() {
    let limits = Limits { file_bytes_max: 10, memory_bytes_max: 5, ..Limits::default() };
    let of = |storage, max_bytes| check(StreamConfig { storage, max_bytes, ..base() }, &limits).map(|_| ());
    assert_eq!(of(StorageType::File, 10), Ok(()));
    assert_eq!(of(StorageType::File, 11), Err(Refusal::InsufficientStorage));
    assert_eq!(of(StorageType::Memory, 6), Err(Refusal::InsufficientMemory));
}

#[test]
fn an_update_keeps_what_must_stay() {
    let limits = Limits::default();
    let old = fine(|c| (c.deny_delete, c.allow_msg_ttl) = (true, true));
    let update = |change: fn(&mut StreamConfig)| {
        let mut new = old.clone();
        change(&mut new);
        check_update(&old, new, &limits).map_or_else(|r| r.to_string(), |_| String::new())
    };
    for (text, wanted) in [
        (update(|c| c.max_msgs = 5), ""),
        (update(|c| c.max_consumers = 5), ""),
        (update(|c| c.retention = Retention::Interest), ""),
        (update(|c| c.name = "U".into()), "stream configuration name must match original"),
        (
            update(|c| c.storage = StorageType::Memory),
            "stream configuration update can not change storage type",
        ),
        (
            update(|c| c.retention = Retention::WorkQueue),
            "stream configuration update can not change retention policy to/from workqueue",
        ),
        (
            update(|c| c.deny_delete = false),
            "stream configuration update can not cancel deny message deletes",
        ),
        (update(|c| c.allow_msg_ttl = false), "message TTL status can not be disabled"),
        (update(|c| c.mirror = Some(Default::default())), "stream mirror configuration can not be updated"),
    ] {
        assert_eq!(text, wanted);
    }
    let sealed = StreamConfig { sealed: true, max_age: 200_000_000_000, ..old.clone() };
    let sealed = check_update(&old, sealed, &limits).unwrap();
    assert_eq!((sealed.max_age, sealed.deny_delete, sealed.deny_purge), (0, true, true));
    let open = StreamConfig { sealed: false, ..sealed.clone() };
    assert!(check_update(&sealed, open, &limits).unwrap_err().to_string().contains("unseal"));
}

#[test]
fn delete_markers_bring_what_they_need() {
    let config = StreamConfig {
        name: "T".into(),
        subject_delete_marker_ttl: 1_000_000_000,
        deny_purge: true,
        ..StreamConfig::default()
    };
    let c = check(config.clone(), &Limits::default()).unwrap();
    assert!(c.allow_msg_ttl && c.allow_rollup_hdrs && !c.deny_purge);
    let pedantic = |c: &StreamConfig| check_pedantic(c).unwrap_err().to_string();
    assert!(pedantic(&config).contains("message TTLs are disabled"));
    assert!(pedantic(&StreamConfig { allow_msg_ttl: true, ..config.clone() }).contains("roll-ups"));
    assert_eq!(check_pedantic(&c), Ok(()), "what was filled in is what a pedantic client writes");
    let short = StreamConfig { subject_delete_marker_ttl: 999_999_999, ..config };
    assert!(check(short, &Limits::default()).is_err());
}

#[test]
fn a_limit_that_makes_no_sense_is_told_to_whoever_wants_to_know() {
    let config = StreamConfig { max_msgs: -5, ..StreamConfig::default() };
    let told = check_pedantic(&config).unwrap_err().api();
    assert_eq!((told.err_code, &*told.description), (10157, "pedantic mode: max_msgs must be set to -1"));
    assert_eq!(check_pedantic(&StreamConfig::default()), Ok(()));
}
