//! The few metrics of `/metrics` that are shown, read from the text form of Prometheus. Other lines are passed over.

use std::collections::BTreeMap;

/// What a stream comes to, as far as metrics tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StreamFigures {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) last_seq: u64,
    pub(super) consumers: u64,
    /// Messages that wait for their first delivery, over all consumers that are in memory.
    pub(super) pending: u64,
    /// Messages that were delivered and not acknowledged.
    pub(super) ack_pending: u64,
}

/// The numbers that only `/metrics` has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) http_requests: u64,
    pub(super) http_connections: u64,
    pub(super) pending_bytes: u64,
    pub(super) streams_total: u64,
    /// By name: the first 100 streams of a node. One whose name two accounts use is left out.
    pub(super) streams: BTreeMap<String, StreamFigures>,
}

impl Figures {
    pub(super) fn read(text: &str) -> Figures {
        let mut figures = Figures::default();
        let mut accounts: BTreeMap<String, String> = BTreeMap::new();
        let mut twice = Vec::new();
        for (name, labels, value) in text.lines().filter_map(line) {
            let whole = value as u64;
            match name {
                "neuroplex_http_requests_total" => figures.http_requests = whole,
                "neuroplex_http_connections" => figures.http_connections = whole,
                "neuroplex_outbox_pending_bytes" => figures.pending_bytes = whole,
                "neuroplex_streams" => figures.streams_total = whole,
                "neuroplex_stream_messages"
                | "neuroplex_stream_bytes"
                | "neuroplex_stream_last_sequence"
                | "neuroplex_consumer_ack_pending"
                | "message_queue_depth" => {
                    let Some(stream) = stream(&labels) else { continue };
                    let account = label(&labels, "account").unwrap_or_default();
                    let first = accounts.entry(stream.to_owned()).or_insert_with(|| account.to_owned());
                    if first != account {
                        twice.push(stream.to_owned());
                    }
                    let row = figures.streams.entry(stream.to_owned()).or_default();
                    match name {
                        "neuroplex_stream_messages" => row.messages = whole,
                        "neuroplex_stream_bytes" => row.bytes = whole,
                        "neuroplex_stream_last_sequence" => row.last_seq = whole,
                        "neuroplex_consumer_ack_pending" => row.ack_pending += whole,
                        // The same messages, split by priority, may stand beside.
                        _ if label(&labels, "priority") == Some("all") => {
                            row.consumers += 1;
                            row.pending += whole;
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        twice.iter().for_each(|stream| _ = figures.streams.remove(stream));
        figures
    }
}

type Labels<'a> = Vec<(&'a str, String)>;

fn label<'a>(labels: &'a Labels<'_>, name: &str) -> Option<&'a str> {
    labels.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
}

/// The stream that a row is of; no name of a stream has a slash.
fn stream<'a>(labels: &'a Labels<'_>) -> Option<&'a str> {
    label(labels, "stream").or_else(|| label(labels, "queue_name")?.split_once('/').map(|(stream, _)| stream))
}

/// `name{label="value",…} number`
fn line(text: &str) -> Option<(&str, Labels<'_>, f64)> {
    if text.starts_with('#') {
        return None;
    }
    let end = text.find(['{', ' '])?;
    let (name, mut rest) = text.split_at(end);
    let mut labels = Labels::new();
    while let Some(inner) = rest.strip_prefix(['{', ',']) {
        let (label, quoted) = inner.split_once("=\"")?;
        let (value, behind) = unquoted(quoted)?;
        labels.push((label, value));
        rest = behind;
    }
    let number = rest.trim_start_matches('}').trim().split(' ').next()?.parse().ok()?;
    Some((name, labels, number))
}

/// A label's value, whose opening quote is gone, and what stands behind its closing one.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_found_among_the_rest() {
        let figures = Figures::read(
            "# HELP neuroplex_http_requests_total Requests.\n\
             neuroplex_http_requests_total 12\n\
             http_requests_total{method=\"GET\",path=\"/a\\\"b\\\\ c\",status=\"200\"} 1\n\
             neuroplex_outbox_pending_bytes 7\n\
             neuroplex_streams 2\n\
             neuroplex_stream_messages{stream=\"T\"} 5\n\
             neuroplex_stream_last_sequence{stream=\"T\"} 9\n\
             message_queue_depth{queue_name=\"T/a\",priority=\"all\"} 3\n\
             message_queue_depth{queue_name=\"T/a\",priority=\"high\"} 1\n\
             message_queue_depth{queue_name=\"T/b\",priority=\"all\"} 4\n\
             neuroplex_consumer_ack_pending{stream=\"T\",consumer=\"a\"} 2\n",
        );
        let stream =
            StreamFigures { messages: 5, bytes: 0, last_seq: 9, consumers: 2, pending: 7, ack_pending: 2 };
        assert_eq!((figures.http_requests, figures.pending_bytes, figures.streams_total), (12, 7, 2));
        assert_eq!(figures.streams, BTreeMap::from([("T".into(), stream)]));
    }

    #[test]
    fn a_name_of_two_accounts_is_nobodys() {
        let text = "neuroplex_stream_messages{stream=\"T\",account=\"a\"} 5\n\
             neuroplex_stream_messages{stream=\"T\",account=\"b\"} 6\n\
             neuroplex_stream_messages{stream=\"U\",account=\"b\"} 1\n";
        assert_eq!(Figures::read(text).streams.keys().collect::<Vec<_>>(), ["U"]);
    }

    #[test]
    fn lines_that_are_none_are_passed_over() {
        for odd in ["", "{", "a", "a{b} 1", "a{b=\"c} 1", "a{b=\"c\\", "a x", "neuroplex_stream_messages 1"] {
            assert_eq!(Figures::read(odd), Figures::default(), "{odd:?}");
        }
    }
}
