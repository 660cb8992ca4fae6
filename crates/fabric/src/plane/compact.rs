//! A stream's configuration as it is kept: only what differs from a fixed base. A hundred thousand mailboxes say little
//! more than their names. The base is part of the format: it never changes, whatever defaults new streams get.

use serde_json::{Map, Value};
use wire::jetstream::StreamConfig;

/// What a configuration says where nothing is kept of it.
fn base() -> StreamConfig {
    StreamConfig {
        max_consumers: -1,
        max_msgs: -1,
        max_bytes: -1,
        max_msgs_per_subject: -1,
        max_msg_size: -1,
        num_replicas: 1,
        duplicate_window: 120_000_000_000,
        ..StreamConfig::default()
    }
}

fn object(config: &StreamConfig) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// What is kept of a configuration. What the server says of itself in the metadata is not.
pub(crate) fn fold(config: &StreamConfig) -> Map<String, Value> {
    let mut plain = config.clone();
    plain.metadata.retain(|key, _| !key.starts_with("_nats."));
    let (base, mut all) = (object(&base()), object(&plain));
    // What the base says and this does not is told as nothing.
    let unsaid: Vec<String> = base.keys().filter(|key| !all.contains_key(*key)).cloned().collect();
    all.extend(unsaid.into_iter().map(|key| (key, Value::Null)));
    all.retain(|key, value| base.get(key) != Some(value));
    all
}

/// The configuration of which that was kept.
pub(crate) fn unfold(kept: Map<String, Value>) -> Result<StreamConfig, serde_json::Error> {
    let mut all = object(&base());
    all.extend(kept);
    serde_json::from_value(Value::Object(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_kept_in_few_bytes_and_read_as_it_was() {
        let plain = StreamConfig { name: "mbox-1".into(), subjects: vec!["mbox.1".into()], ..base() };
        let kept = serde_json::to_string(&fold(&plain)).unwrap();
        assert_eq!(kept, r#"{"name":"mbox-1","subjects":["mbox.1"]}"#);
        let rich = StreamConfig {
            max_msgs: 0,
            duplicate_window: 0,
            num_replicas: 0,
            allow_direct: true,
            description: "x".into(),
            metadata: [("np.ack".to_owned(), "os".to_owned())].into(),
            ..plain.clone()
        };
        for config in [plain, rich, base(), StreamConfig::default()] {
            assert_eq!(unfold(fold(&config)).unwrap(), config);
        }
    }
}
