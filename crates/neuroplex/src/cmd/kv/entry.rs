//! An entry as people and programs read it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use client::jetstream::kv::{Entry, Operation};
use serde_json::{Value, json};

use crate::streams::moment;
use crate::text::{payload, plain};

/// One line: when, which revision, what happened to which key.
pub(super) fn human(entry: &Entry) -> String {
    let what = match entry.operation {
        Operation::Put => payload(&entry.value),
        Operation::Delete => "(deleted)".into(),
        Operation::Purge => "(deleted with its history)".into(),
    };
    format!("{} #{} {} {what}", moment(entry.created), entry.revision, plain(&entry.key))
}

/// One line of JSON. A value that is no text stands in `valueBase64`.
pub(super) fn json(bucket: &str, entry: &Entry) -> String {
    let mut line = json!({
        "bucket": bucket,
        "key": entry.key,
        "revision": entry.revision,
        "created": entry.created,
        "operation": entry.operation.as_str(),
    });
    if entry.operation == Operation::Put {
        match std::str::from_utf8(&entry.value) {
            Ok(text) => line["value"] = Value::from(text),
            Err(_) => line["valueBase64"] = Value::from(BASE64.encode(&entry.value)),
        }
    }
    line.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use client::jetstream::Time;

    #[test]
    fn an_entry_is_one_line() {
        let mut entry = Entry {
            key: "a.b".into(),
            value: "blue".into(),
            revision: 7,
            created: Time(1_714_557_600_000_000_000),
            delta: 0,
            operation: Operation::Put,
        };
        assert_eq!(human(&entry), "2024-05-01 10:00:00 UTC #7 a.b blue");
        let line: Value = serde_json::from_str(&json("b", &entry)).unwrap();
        assert_eq!((&line["value"], &line["created"]), (&"blue".into(), &"2024-05-01T10:00:00Z".into()));
        entry.value = (&b"\xff"[..]).into();
        let line: Value = serde_json::from_str(&json("b", &entry)).unwrap();
        assert_eq!((line.get("value"), &line["valueBase64"]), (None, &"/w==".into()));
        entry.operation = Operation::Delete;
        assert!(human(&entry).ends_with("a.b (deleted)"));
    }
}
