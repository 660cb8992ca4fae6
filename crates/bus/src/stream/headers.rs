//! What a publisher's headers ask of a stream, found in one pass over the block. Values are *not* judged here, since
//! which complaint comes first is the stream's to decide.

use kernel::headers::Headers;

/// Names of the headers that number a producer's messages.
pub mod name {
    /// Who publishes: a name that no other producer has.
    pub const PRODUCER: &str = "Np-Producer";
    /// Which life of the producer, counted up at each start; 0 when it is missing.
    pub const EPOCH: &str = "Np-Epoch";
    /// Which of the producer's messages, counted up from message to message.
    pub const SEQUENCE: &str = "Np-Sequence";
}

/// See the module. An empty value is as good as none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishHeaders<'a> {
    /// `Nats-Msg-Id`: the message's identity.
    pub id: Option<&'a str>,
    /// `Nats-Expected-Stream`.
    pub expected_stream: Option<&'a str>,
    /// `Nats-Expected-Last-Sequence`.
    pub expected_last_sequence: Option<&'a str>,
    /// `Nats-Expected-Last-Subject-Sequence`.
    pub expected_last_subject_sequence: Option<&'a str>,
    /// `Nats-Expected-Last-Subject-Sequence-Subject`: of which subject, when it is another.
    pub expected_last_subject: Option<&'a str>,
    /// `Nats-Expected-Last-Msg-Id`.
    pub expected_last_id: Option<&'a str>,
    /// `Nats-Rollup`: the message stands for all earlier ones, of its subject (`sub`) or of the stream (`all`).
    pub rollup: Option<&'a str>,
    /// `Nats-TTL`: after what time the message goes.
    pub ttl: Option<&'a str>,
    /// [`name::PRODUCER`].
    pub producer: Option<&'a str>,
    /// [`name::EPOCH`].
    pub epoch: Option<&'a str>,
    /// [`name::SEQUENCE`].
    pub sequence: Option<&'a str>,
    /// `Nats-Schedule`, which no stream here knows.
    pub schedule: Option<&'a str>,
    /// `Nats-Incr`, which no stream here knows.
    pub increment: Option<&'a str>,
    /// `Nats-Batch-Id`, which no stream here knows.
    pub batch: Option<&'a str>,
}

impl<'a> PublishHeaders<'a> {
    /// Reads a block. Of a name that comes twice the first counts.
    pub fn parse(headers: Headers<'a>) -> PublishHeaders<'a> {
        let mut found = PublishHeaders::default();
        for header in headers.iter().filter(|h| !h.value.is_empty()) {
            if let Some(place) = found.place(header.name) {
                place.get_or_insert(header.value);
            }
        }
        found
    }

    fn place(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let ours = name.get(..3).is_some_and(|p| p.eq_ignore_ascii_case("Np-"));
        if !ours && !name.get(..5).is_some_and(|p| p.eq_ignore_ascii_case("Nats-")) {
            return None;
        }
        Some(match () {
            _ if is("Nats-Msg-Id") => &mut self.id,
            _ if is("Nats-Expected-Stream") => &mut self.expected_stream,
            _ if is("Nats-Expected-Last-Sequence") => &mut self.expected_last_sequence,
            _ if is("Nats-Expected-Last-Subject-Sequence") => &mut self.expected_last_subject_sequence,
            _ if is("Nats-Expected-Last-Subject-Sequence-Subject") => &mut self.expected_last_subject,
            _ if is("Nats-Expected-Last-Msg-Id") => &mut self.expected_last_id,
            _ if is("Nats-Rollup") => &mut self.rollup,
            _ if is("Nats-TTL") => &mut self.ttl,
            _ if is(name::PRODUCER) => &mut self.producer,
            _ if is(name::EPOCH) => &mut self.epoch,
            _ if is(name::SEQUENCE) => &mut self.sequence,
            _ if is("Nats-Schedule") => &mut self.schedule,
            _ if is("Nats-Incr") => &mut self.increment,
            _ if is("Nats-Batch-Id") => &mut self.batch,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_block_asks_is_found_once() {
        let block = kernel::headers::block([
            ("X", "1"),
            ("nats-msg-id", "a"),
            ("Nats-Msg-Id", "b"),
            ("Nats-TTL", ""),
            ("Np-Producer", "p"),
            ("Nats-Else", "x"),
        ])
        .unwrap();
        let found = PublishHeaders::parse(Headers::new(&block));
        let wanted = PublishHeaders { id: Some("a"), producer: Some("p"), ..PublishHeaders::default() };
        assert_eq!(found, wanted);
        assert_eq!(PublishHeaders::parse(Headers::default()), PublishHeaders::default());
    }
}
