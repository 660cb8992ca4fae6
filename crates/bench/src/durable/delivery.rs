//! What a consumer's delivery says beside its content: the place in the stream, or that it is no message at all.

use crate::caller::digits;
use kernel::{Headers, Msg};

/// A delivery, looked at closely enough to count it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery<'a> {
    /// The message at this place of the stream.
    Message {
        /// Its sequence in the stream.
        seq: u64,
    },
    /// Something must be published to this subject for the server to go on.
    FlowControl(&'a [u8]),
    /// The server lives, and nothing else.
    Heartbeat,
    /// A pull request ended with so many messages not sent.
    PullEnded {
        /// Messages asked for that it will not send; `None`: it did not say.
        missing: Option<usize>,
        /// Its number: 404, 408, 409 …
        status: u16,
    },
}

impl<'a> Delivery<'a> {
    pub(super) fn of(msg: &Msg<'a>) -> Self {
        if msg.payload.is_empty() && !msg.headers.is_empty() {
            let headers = Headers::new(msg.headers);
            match headers.status() {
                Some(100) if !msg.reply.is_empty() => return Self::FlowControl(msg.reply),
                Some(100) => {
                    let stalled = headers.first("Nats-Consumer-Stalled").map(str::as_bytes);
                    return stalled.map_or(Self::Heartbeat, Self::FlowControl);
                }
                Some(status) => {
                    let missing = headers.first("Nats-Pending-Messages").and_then(|n| n.parse().ok());
                    return Self::PullEnded { missing, status };
                }
                None => {}
            }
        }
        Self::Message { seq: stream_sequence(msg.reply) }
    }
}

/// The stream's sequence in a reply subject: `$JS.ACK.stream.consumer.deliveries.SEQ.…`, or with a domain and an account
/// before the stream. 0 where there is none.
fn stream_sequence(reply: &[u8]) -> u64 {
    const SHORT_TOKENS: usize = 9;
    let dots = reply.iter().filter(|b| **b == b'.').count();
    let place = if dots + 1 > SHORT_TOKENS { 7 } else { 5 };
    reply.split(|b| *b == b'.').nth(place).map_or(0, digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(reply: &'a str, headers: &'a str, payload: &'a str) -> Delivery<'a> {
        let (reply, headers, payload) = (reply.as_bytes(), headers.as_bytes(), payload.as_bytes());
        Delivery::of(&Msg { reply, headers, payload, ..Msg::default() })
    }

    #[test]
    fn a_message_says_its_place_in_both_forms() {
        assert_eq!(of("$JS.ACK.S.c.1.77.5.1700000000.0", "", "x"), Delivery::Message { seq: 77 });
        assert_eq!(of("$JS.ACK._.hash.S.c.1.78.5.1700000000.0.r", "", "x"), Delivery::Message { seq: 78 });
        assert_eq!(
            of("$JS.ACK.S.c.1.9.5.17.0", "NATS/1.0\r\nA: b\r\n\r\n", ""),
            Delivery::Message { seq: 9 }
        );
    }

    #[test]
    fn what_is_no_message_is_known() {
        let flow = of("$JS.FC.x", "NATS/1.0 100 FlowControl Request\r\n\r\n", "");
        assert_eq!(flow, Delivery::FlowControl(b"$JS.FC.x"));
        let stalled = "NATS/1.0 100 Idle Heartbeat\r\nNats-Consumer-Stalled: $JS.FC.y\r\n\r\n";
        assert_eq!(of("", stalled, ""), Delivery::FlowControl(b"$JS.FC.y"));
        assert_eq!(of("", "NATS/1.0 100 Idle Heartbeat\r\n\r\n", ""), Delivery::Heartbeat);
        let over = "NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 12\r\n\r\n";
        assert_eq!(of("", over, ""), Delivery::PullEnded { missing: Some(12), status: 408 });
    }
}
