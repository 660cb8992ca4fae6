//! What a stream and a consumer are to be: fields, order and words as nats-server 2.15 reads and writes them. Durations
//! are nanoseconds; -1 or 0 stands for "no limit" where a limit is meant. Which values are allowed, and what stands in
//! for a missing one, is *not* decided here.

use std::collections::BTreeMap;

use super::Time;
use super::document::{document, words};

fn cannot(json: &str) -> String {
    format!("can not unmarshal {json:?}")
}

fn no_compression(_json: &str) -> String {
    "unknown compression algorithm".into()
}

fn no_priority(json: &str) -> String {
    format!("unknown priority policy: {json}")
}

words! {
    /// When a message may go.
    Retention, cannot, {
        /// When a limit says so.
        #[default] Limits = "limits",
        /// Also when every consumer that wants it has acknowledged it.
        Interest = "interest",
        /// Also when the one consumer that wants it has acknowledged it.
        WorkQueue = "workqueue",
    }
}

words! {
    /// What goes when a limit is reached.
    Discard, cannot, {
        /// The oldest message.
        #[default] Old = "old",
        /// The one that comes.
        New = "new",
    }
}

words! {
    /// Where messages live.
    StorageType, cannot, {
        /// On the disk.
        #[default] File = "file",
        /// In memory, until the process ends.
        Memory = "memory",
    }
}

words! {
    /// How stored messages are compressed.
    Compression, no_compression, {
        /// Not at all.
        #[default] None = "none",
        /// By S2; accepted, and stored as it is.
        S2 = "s2",
    }
}

words! {
    /// Whether a publisher waits for the disk.
    PersistMode, cannot, {
        /// It does.
        #[default] Default = "default" | "",
        /// It does not.
        Async = "async",
    }
}

words! {
    /// Where a consumer begins.
    DeliverPolicy, cannot, {
        /// At the first message.
        #[default] All = "all" | "undefined",
        /// At the last one.
        Last = "last",
        /// At the next one.
        New = "new",
        /// At `opt_start_seq`.
        ByStartSequence = "by_start_sequence",
        /// At `opt_start_time`.
        ByStartTime = "by_start_time",
        /// At the last of each subject.
        LastPerSubject = "last_per_subject",
    }
}

words! {
    /// What must be acknowledged. A document that says nothing says [`AckPolicy::None`].
    AckPolicy, cannot, {
        /// Nothing.
        #[default] None = "none",
        /// The last, which covers those before.
        All = "all",
        /// Each.
        Explicit = "explicit",
        /// As [`AckPolicy::All`], by the answers to flow control.
        FlowControl = "flow_control",
    }
}

words! {
    /// How fast stored messages come.
    ReplayPolicy, cannot, {
        /// At once.
        #[default] Instant = "instant",
        /// As far apart as they were stored.
        Original = "original",
    }
}

words! {
    /// Whose pull requests are served first.
    PriorityPolicy, no_priority, {
        /// In turn.
        #[default] None = "none",
        /// Those whose minimum of waiting messages is reached.
        Overflow = "overflow",
        /// Those of one client, until it goes.
        PinnedClient = "pinned_client",
        /// Those with the lowest number.
        Prioritized = "prioritized",
    }
}

document! {
    /// Limits on the consumers of a stream.
    ConsumerLimits {
        inactive_threshold?: i64,
        max_ack_pending?: i64,
    }
}

document! {
    /// Which servers of a cluster hold a stream.
    Placement {
        cluster?: String,
        tags?: Vec<String>,
        preferred?: String,
    }
}

document! {
    /// How a subject becomes another.
    SubjectTransform {
        src: String,
        dest: String,
    }
}

document! {
    /// Where stored messages are published again.
    Republish {
        src?: String,
        dest: String,
        headers_only?: bool,
    }
}

document! {
    /// A stream of another account or domain.
    ExternalStream {
        api: String,
        deliver: String,
    }
}

document! {
    /// The consumer by which a stream is copied.
    SourceConsumer {
        name?: String,
        deliver_subject?: String,
    }
}

document! {
    /// Another stream that is copied into this one.
    StreamSource {
        name: String,
        opt_start_seq?: u64,
        opt_start_time?: Option<Time>,
        filter_subject?: String,
        subject_transforms?: Vec<SubjectTransform>,
        external?: Option<ExternalStream>,
        consumer?: Option<SourceConsumer>,
    }
}

document! {
    /// A stream's configuration.
    StreamConfig {
        name: String,
        description?: String,
        subjects?: Vec<String>,
        retention: Retention,
        max_consumers: i64,
        max_msgs: i64,
        max_bytes: i64,
        max_age: i64,
        max_msgs_per_subject: i64,
        max_msg_size?: i32,
        discard: Discard,
        storage: StorageType,
        num_replicas: i64,
        no_ack?: bool,
        duplicate_window?: i64,
        placement?: Option<Placement>,
        mirror?: Option<StreamSource>,
        sources?: Vec<StreamSource>,
        compression: Compression,
        first_seq?: u64,
        subject_transform?: Option<SubjectTransform>,
        republish?: Option<Republish>,
        allow_direct: bool,
        mirror_direct: bool,
        discard_new_per_subject?: bool,
        sealed: bool,
        deny_delete: bool,
        deny_purge: bool,
        allow_rollup_hdrs: bool,
        consumer_limits: ConsumerLimits,
        allow_msg_ttl: bool,
        subject_delete_marker_ttl?: i64,
        allow_msg_counter?: bool,
        allow_atomic?: bool,
        allow_msg_schedules?: bool,
        persist_mode?: PersistMode,
        allow_batched?: bool,
        metadata?: BTreeMap<String, String>,
    }
}

document! {
    /// A consumer's configuration.
    ConsumerConfig {
        durable_name?: String,
        name?: String,
        description?: String,
        deliver_policy: DeliverPolicy,
        opt_start_seq?: u64,
        opt_start_time?: Option<Time>,
        ack_policy: AckPolicy,
        ack_wait?: i64,
        max_deliver?: i64,
        backoff?: Vec<i64>,
        filter_subject?: String,
        filter_subjects?: Vec<String>,
        replay_policy: ReplayPolicy,
        rate_limit_bps?: u64,
        sample_freq?: String,
        max_waiting?: i64,
        max_ack_pending?: i64,
        flow_control?: bool,
        headers_only?: bool,
        max_batch?: i64,
        max_expires?: i64,
        max_bytes?: i64,
        deliver_subject?: String,
        deliver_group?: String,
        idle_heartbeat?: i64,
        inactive_threshold?: i64,
        num_replicas: i64,
        mem_storage?: bool,
        direct?: bool,
        sourcing?: bool,
        metadata?: BTreeMap<String, String>,
        pause_until?: Option<Time>,
        priority_groups?: Vec<String>,
        priority_policy?: PriorityPolicy,
        priority_timeout?: i64,
    }
}

impl ConsumerConfig {
    /// A durable consumer of this name that wants an acknowledgement for each message. The default, as the protocol has
    /// it, wants none.
    pub fn durable(name: impl Into<String>) -> ConsumerConfig {
        let name = name.into();
        ConsumerConfig {
            durable_name: name.clone(),
            name,
            ack_policy: AckPolicy::Explicit,
            ..ConsumerConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::{read, write};
    use super::*;
    use proptest::prelude::*;

    /// What nats-server 2.15.1 answered, word for word.
    const STREAM: &str = r#"{"name":"B","description":"d","subjects":["x.\u003e"],"retention":"limits","max_consumers":5,"max_msgs":100,"max_bytes":100000,"max_age":5000000000,"max_msgs_per_subject":3,"max_msg_size":1000,"discard":"new","storage":"file","num_replicas":1,"no_ack":true,"duplicate_window":1000000000,"placement":{"cluster":"x"},"compression":"s2","first_seq":5,"subject_transform":{"src":"x","dest":"y"},"republish":{"src":"x","dest":"rr.x","headers_only":true},"allow_direct":true,"mirror_direct":false,"discard_new_per_subject":true,"sealed":false,"deny_delete":false,"deny_purge":false,"allow_rollup_hdrs":true,"consumer_limits":{"inactive_threshold":1000000000,"max_ack_pending":5},"allow_msg_ttl":true,"subject_delete_marker_ttl":1000000000,"allow_atomic":true,"persist_mode":"async","allow_batched":true,"metadata":{"_nats.level":"5","k":"v"}}"#;
    const PLAIN: &str = r#"{"name":"S","subjects":["S"],"retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"max_msgs_per_subject":-1,"max_msg_size":-1,"discard":"old","storage":"file","num_replicas":1,"duplicate_window":120000000000,"compression":"none","allow_direct":false,"mirror_direct":false,"sealed":false,"deny_delete":false,"deny_purge":false,"allow_rollup_hdrs":false,"consumer_limits":{},"allow_msg_ttl":false,"metadata":{"_nats.level":"5","_nats.req.level":"0","_nats.ver":"2.15.1"}}"#;
    const PULL: &str = r#"{"durable_name":"C","name":"C","deliver_policy":"all","ack_policy":"explicit","ack_wait":1000000000,"max_deliver":4,"backoff":[1000000000,2000000000],"filter_subjects":["t.a","t.b"],"replay_policy":"original","sample_freq":"100%","max_waiting":7,"max_ack_pending":3,"headers_only":true,"max_batch":5,"max_expires":1000000000,"max_bytes":1000,"inactive_threshold":10000000000,"num_replicas":1,"mem_storage":true,"metadata":{"_nats.level":"5"},"pause_until":"2030-01-01T00:00:00Z","priority_groups":["A"],"priority_policy":"pinned_client","priority_timeout":1000000000}"#;
    const PUSH: &str = r#"{"name":"P","deliver_policy":"by_start_time","opt_start_time":"2020-01-01T00:00:00.5Z","ack_policy":"all","ack_wait":30000000000,"max_deliver":-1,"filter_subject":"t.a","replay_policy":"instant","rate_limit_bps":1000,"max_ack_pending":1000,"flow_control":true,"deliver_subject":"d.x","deliver_group":"q","idle_heartbeat":1000000000,"inactive_threshold":5000000000,"num_replicas":0}"#;

    fn same<T: super::super::Document + serde::Serialize + Default>(text: &str) {
        let document: T = read(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(write(&document)).unwrap(), text);
    }

    #[test]
    fn documents_of_the_real_server_are_written_as_they_are_read() {
        same::<StreamConfig>(STREAM);
        same::<StreamConfig>(PLAIN);
        same::<ConsumerConfig>(PULL);
        same::<ConsumerConfig>(PUSH);
        same::<StreamSource>(r#"{"name":"q","opt_start_seq":3,"external":{"api":"a","deliver":"b"}}"#);
    }

    #[test]
    fn what_is_left_out_null_or_written_in_capitals_is_read() {
        let nulls = r#"{"name":"T","subjects":null,"metadata":null,"sources":null,"mirror":null,"placement":null,
            "republish":null,"subject_transform":null,"consumer_limits":null,"max_msgs":null,"no_ack":null}"#;
        let plain = StreamConfig { name: "T".into(), ..StreamConfig::default() };
        assert_eq!(read::<StreamConfig>(nulls.as_bytes()).unwrap(), plain);
        assert_eq!(read::<StreamConfig>(br#"{"NAME":"T","persist_mode":""}"#).unwrap(), plain);
        assert_eq!(read::<StreamConfig>(b" ").unwrap(), StreamConfig::default());
        let nulls = r#"{"priority_groups":null,"metadata":{"a":null},"backoff":null,"pause_until":null,
            "deliver_policy":"undefined","priority_policy":"none"}"#;
        let metadata = BTreeMap::from([("a".to_owned(), String::new())]);
        let plain = ConsumerConfig { metadata, ..ConsumerConfig::default() };
        assert_eq!(read::<ConsumerConfig>(nulls.as_bytes()).unwrap(), plain);
    }

    #[test]
    fn a_server_refuses_what_the_real_one_refuses() {
        for (body, text) in [
            (r#"{"bogus":1}"#, r#"json: unknown field "bogus""#),
            (r#"{"republish":{"dest":"z","x":1}}"#, r#"json: unknown field "x""#),
            (r#"{"retention":"x"}"#, r#"can not unmarshal "\"x\"""#),
            (r#"{"storage":null}"#, r#"can not unmarshal "null""#),
            (r#"{"discard":5}"#, r#"can not unmarshal "5""#),
            (r#"{"compression":"x"}"#, "unknown compression algorithm"),
            (r#"{"name":"T""#, "unexpected EOF"),
        ] {
            let error = read::<StreamConfig>(body.as_bytes()).unwrap_err();
            assert_eq!((error.err_code, &*error.description), (10025, &*format!("invalid JSON: {text}")));
        }
        for body in [
            r#"{"name":5}"#,
            r#"{"max_msgs":"5"}"#,
            r#"{"max_msgs":1.5}"#,
            r#"{"first_seq":-1}"#,
            "[]",
            "x",
            r#"{"max_msg_size":5000000000}"#,
            r#"{"max_age":"5s"}"#,
            r#"{"no_ack":1}"#,
            r#"{"subjects":"x"}"#,
        ] {
            assert_eq!(read::<StreamConfig>(body.as_bytes()).unwrap_err().err_code, 10025, "{body}");
        }
        let error = read::<ConsumerConfig>(br#"{"priority_policy":"x"}"#).unwrap_err();
        assert_eq!(error.description, r#"invalid JSON: unknown priority policy: "x""#);
    }

    #[test]
    fn a_client_passes_over_what_a_later_server_adds() {
        let config: StreamConfig = serde_json::from_str(r#"{"name":"S","later":{"a":1}}"#).unwrap();
        assert_eq!(config.name, "S");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (read::<StreamConfig>(&bytes), read::<ConsumerConfig>(&bytes));
        }

        #[test]
        fn what_is_written_is_read(name in "\\PC{0,9}", subjects in prop::collection::vec("[a-z.*<>&]{1,9}", 0..3),
            limits in any::<[i64; 4]>(), size in any::<i32>(), first_seq in any::<u64>(), flags in any::<[bool; 4]>(),
            time in 1..u64::MAX / 2, backoff in prop::collection::vec(any::<i64>(), 0..3))
        {
            let [max_msgs, max_bytes, max_age, duplicate_window] = limits;
            let [no_ack, sealed, allow_direct, deny_purge] = flags;
            let stream = StreamConfig { name: name.clone(), subjects: subjects.clone(), max_msgs, max_bytes, max_age,
                duplicate_window, max_msg_size: size, first_seq, no_ack, sealed, allow_direct, deny_purge,
                ..StreamConfig::default() };
            prop_assert_eq!(read::<StreamConfig>(&write(&stream)).unwrap(), stream);
            let consumer = ConsumerConfig { name, filter_subjects: subjects, backoff, opt_start_seq: first_seq,
                opt_start_time: Some(Time(time)), mem_storage: no_ack, ..ConsumerConfig::default() };
            prop_assert_eq!(read::<ConsumerConfig>(&write(&consumer)).unwrap(), consumer);
        }
    }
}
