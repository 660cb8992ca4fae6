//! An answer as lines that two servers can be compared by. This is the one list of what is taken out:
//!
//! | what | written as |
//! |---|---|
//! | fields `cluster`, `domain`, `server`, `client` | left out: clusters and domains are not ours, names are a server's own |
//! | times but the zero time, and header `Nats-Time-Stamp` | `<time>` |
//! | `id` of an advisory | `<id>` |
//! | `api.total`, `api.errors`, `pause_remaining`, `ack_time` | `<number>` |
//! | `api.level`, `_nats.level`, `_nats.ver` | `<level>`, `<version>` |
//! | the time in a reply subject of an acknowledgement | `<time>` |
//! | the last token of a flow control subject | `<id>` |
//! | a consumer's name that the server made | `<name>` |
//! | what a parser says: after `invalid JSON: `, `400 Bad Request - ` and in errors 10095 and 10156 | `<why>` |
//! | order of fields, of `streams`, `consumers` and `deleted` | sorted |
//! | inboxes | `<inbox>` |

use serde_json::{Map, Value};

use super::wire::Message;

/// Fields that are left out.
const LEFT_OUT: [&str; 4] = ["cluster", "domain", "server", "client"];
/// Fields whose value is only said to be there.
const ONLY_THERE: [(&str, &str); 7] = [
    ("pause_remaining", "<number>"),
    ("ack_time", "<number>"),
    ("api.total", "<number>"),
    ("api.errors", "<number>"),
    ("api.level", "<level>"),
    ("metadata._nats.level", "<level>"),
    ("metadata._nats.ver", "<version>"),
];
/// Texts after `400 Bad Request - ` that are the protocol's own, not a parser's.
const OWN_WORDS: [&str; 1] = ["heartbeat value too large"];
/// Errors whose description ends in words of a parser.
const PARSERS: [(u64, &str); 3] = [
    (10025, "invalid JSON: "),
    (10095, "failed to parse consumer sampling configuration: "),
    (10156, "stream transform: "),
];

/// Writes answers down, remembering the names that a server made up.
#[derive(Default)]
pub(crate) struct Reader {
    made: Vec<String>,
}

impl Reader {
    /// The lines of one message.
    pub(crate) fn read(&mut self, message: &Message) -> Vec<String> {
        let mut first = match message.subject.starts_with("_INBOX.peers.") {
            true => "<inbox>".to_owned(),
            false => message.subject.clone(),
        };
        if let Some(reply) = &message.reply {
            first += &format!(" reply={}", reply_subject(reply));
        }
        for line in message.headers.split("\r\n").filter(|line| !line.is_empty()) {
            first += &format!(" | {}", header(line));
        }
        let mut lines = vec![first];
        match serde_json::from_slice::<Value>(&message.body) {
            Ok(value @ Value::Object(_)) => {
                self.learn(&value);
                let from = lines.len();
                flatten("", &value, &mut lines);
                if let Some(fields) = lines.get_mut(from..) {
                    fields.sort();
                }
            }
            _ if message.body.is_empty() => {}
            _ => lines.push(format!("  {}", shortened(&String::from_utf8_lossy(&message.body)))),
        }
        lines.iter().map(|line| self.without_made_names(line)).collect()
    }

    fn learn(&mut self, answer: &Value) {
        let made = answer.pointer("/config").is_some()
            && answer.pointer("/stream_name").is_some()
            && answer.pointer("/config/name").is_none()
            && answer.pointer("/config/durable_name").is_none();
        if let Some(name) = answer.pointer("/name").and_then(Value::as_str).filter(|_| made) {
            self.made.push(name.into());
        }
    }

    fn without_made_names(&self, line: &str) -> String {
        self.made.iter().fold(line.to_owned(), |line, name| line.replace(name.as_str(), "<name>"))
    }
}

fn header(line: &str) -> String {
    if let Some(why) = line.strip_prefix("NATS/1.0 400 Bad Request - ") {
        return format!(
            "NATS/1.0 400 Bad Request - {}",
            if OWN_WORDS.contains(&why) { why } else { "<why>" }
        );
    }
    match line.split_once(": ") {
        Some(("Nats-Time-Stamp", time)) if is_time(time) => "Nats-Time-Stamp: <time>".into(),
        Some(("Nats-Consumer-Stalled", subject)) => {
            format!("Nats-Consumer-Stalled: {}", reply_subject(subject))
        }
        _ => line.into(),
    }
}

/// `$JS.ACK.S.C.1.1.1.<time>.0`, `$JS.FC.S.P.<id>`, anything else as it is.
fn reply_subject(subject: &str) -> String {
    let mut tokens: Vec<&str> = subject.split('.').collect();
    match tokens.as_slice() {
        ["$JS", "ACK", _, _, _, _, _, _, _] => tokens[7] = "<time>",
        ["$JS", "FC", _, _, _] => tokens[4] = "<id>",
        _ => {}
    }
    tokens.join(".")
}

fn is_time(text: &str) -> bool {
    let shape: String = text.chars().take(20).map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    (shape == "9999-99-99T99:99:99Z" || shape == "9999-99-99T99:99:99.") && text.ends_with('Z')
}

/// One line for each field: `  path = value`.
fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields.iter().filter(|(key, _)| !LEFT_OUT.contains(&key.as_str())) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, &field(&path, value, fields), lines);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let mut items: Vec<&Value> = items.iter().collect();
            if ["streams", "consumers", "deleted"].iter().any(|list| path.ends_with(list)) {
                items.sort_by_key(|item| item.to_string());
            }
            for (at, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{at}]"), item, lines);
            }
        }
        // an advisory quotes requests and answers
        Value::String(text) if text.starts_with('{') => match serde_json::from_str::<Value>(text) {
            Ok(quoted) => flatten(path, &quoted, lines),
            Err(_) => lines.push(format!("  {path} = {value}")),
        },
        Value::String(text) => lines.push(format!("  {path} = \"{}\"", shortened(text))),
        _ => lines.push(format!("  {path} = {value}")),
    }
}

/// The value of a field without what no two servers share.
fn field(path: &str, value: &Value, beside: &Map<String, Value>) -> Value {
    if let Some((_, there)) =
        ONLY_THERE.iter().find(|(end, _)| path == *end || path.ends_with(&format!(".{end}")))
    {
        return Value::from(*there);
    }
    let Some(text) = value.as_str() else { return value.clone() };
    if path == "id" {
        return Value::from("<id>");
    }
    if is_time(text) && text != "0001-01-01T00:00:00Z" {
        return Value::from("<time>");
    }
    let code = beside.get("err_code").and_then(Value::as_u64);
    let parser = PARSERS.iter().find(|(number, before)| code == Some(*number) && text.starts_with(before));
    match parser {
        Some((_, before)) if path.ends_with("description") => Value::from(format!("{before}<why>")),
        _ => value.clone(),
    }
}

fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= 200 {
        text.into()
    } else {
        format!("{}… ({count})", text.chars().take(100).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reader: &mut Reader, reply: Option<&str>, headers: &str, body: &str) -> Vec<String> {
        let reply = reply.map(String::from);
        let body = body.as_bytes().to_vec();
        reader.read(&Message {
            subject: "_INBOX.peers.1".into(),
            sid: 1,
            reply,
            headers: headers.into(),
            body,
        })
    }

    #[test]
    fn what_no_two_servers_share_is_taken_out() {
        let lines = read(
            &mut Reader::default(),
            Some("$JS.ACK.S.C.1.2.3.1795251010258675961.4"),
            "NATS/1.0 100 Idle Heartbeat\r\nNats-Time-Stamp: 2026-11-21T08:44:49.19Z\r\n\r\n",
            r#"{"cluster":{"leader":"x"},"created":"2026-11-21T08:44:49.19Z","zero":"0001-01-01T00:00:00Z","api":{"total":5}}"#,
        );
        assert_eq!(
            lines,
            [
                "<inbox> reply=$JS.ACK.S.C.1.2.3.<time>.4 | NATS/1.0 100 Idle Heartbeat | Nats-Time-Stamp: <time>",
                "  api.total = \"<number>\"",
                "  created = \"<time>\"",
                "  zero = \"0001-01-01T00:00:00Z\"",
            ]
        );
    }

    #[test]
    fn errors_are_compared_but_not_a_parsers_words() {
        let one = r#"{"error":{"code":400,"err_code":10025,"description":"invalid JSON: unexpected x"}}"#;
        let two = r#"{"error":{"description":"invalid JSON: expected y","err_code":10025,"code":400}}"#;
        let other = r#"{"error":{"code":400,"err_code":10003,"description":"invalid JSON: unexpected x"}}"#;
        let mut reader = Reader::default();
        assert_eq!(read(&mut reader, None, "", one), read(&mut reader, None, "", two));
        assert_ne!(read(&mut reader, None, "", one), read(&mut reader, None, "", other));
        let status = |line| header(&format!("NATS/1.0 400 Bad Request - {line}"));
        assert_eq!(status("unexpected x"), status("expected y"));
        assert_ne!(status("heartbeat value too large"), status("expected y"));
    }

    #[test]
    fn a_name_that_the_server_made_is_forgotten_everywhere() {
        let mut reader = Reader::default();
        let made = r#"{"stream_name":"S","name":"pUh1ZYWO","config":{"ack_policy":"none"}}"#;
        assert!(read(&mut reader, None, "", made).contains(&"  name = \"<name>\"".to_owned()));
        assert!(
            read(&mut reader, None, "", r#"{"consumers":["pUh1ZYWO"]}"#)
                .contains(&"  consumers[0] = \"<name>\"".to_owned())
        );
        let given = r#"{"stream_name":"S","name":"C","config":{"name":"C"}}"#;
        assert!(read(&mut reader, None, "", given).contains(&"  name = \"C\"".to_owned()));
    }
}
