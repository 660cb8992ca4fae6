//! A message that a consumer delivered, and what can be said about it: done, again, still at it, never again.

use std::fmt;
use std::time::Duration;

use kernel::Message;

use super::api::Time;
use super::refusal::refused;
use super::{Context, nanos};
use crate::{Client, Error};

/// Where a delivery stands, as its reply subject says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// The consumer's name.
    pub consumer: &'a str,
    /// How often the message was delivered, this time included.
    pub delivered: u64,
    /// The message's number in the stream.
    pub stream_seq: u64,
    /// The number of this delivery.
    pub consumer_seq: u64,
    /// When the message was stored.
    pub time: Time,
    /// How many messages the consumer has still to deliver.
    pub pending: u64,
}

impl<'a> Position<'a> {
    /// Reads a reply subject; `None`: it is none of a delivery.
    pub fn parse(reply: &'a [u8]) -> Option<Position<'a>> {
        let read = wire::jetstream::Delivery::parse(reply)?;
        Some(Position {
            stream: read.stream,
            consumer: read.consumer,
            delivered: read.deliveries,
            stream_seq: read.stream_seq,
            consumer_seq: read.consumer_seq,
            time: Time(read.time_ns),
            pending: read.pending,
        })
    }
}

/// A message that a consumer delivered.
#[derive(Clone)]
pub struct Delivery {
    /// The message, as it was published; its reply subject is the consumer's.
    pub message: Message,
    context: Context,
}

impl Delivery {
    pub(crate) fn new(message: Message, context: Context) -> Delivery {
        Delivery { message, context }
    }

    /// Where it stands; every field empty when the server did not say.
    pub fn position(&self) -> Position<'_> {
        Position::parse(&self.message.reply).unwrap_or_default()
    }

    /// Done with it. It is on its way when this returns, not there yet; see [`Delivery::ack_confirmed`].
    ///
    /// # Errors
    /// Those of [`Client::publish`].
    pub async fn ack(&self) -> Result<(), Error> {
        self.say("+ACK").await
    }

    /// Done with it, and the server has stored that.
    ///
    /// # Errors
    /// Those of [`Client::request`]; [`kernel::Code::StaleLease`] when a server says that the delivery has since been
    /// given to another, and [`Error::NoResponders`] when nothing needs to be acknowledged or the consumer has gone.
    pub async fn ack_confirmed(&self) -> Result<(), Error> {
        let question = (&self.message.reply, "+ACK");
        let answer = self.client().request(question, self.context.answer_timeout()).await?;
        refused(&answer).map_or(Ok(()), Err)
    }

    /// Not done: deliver it again, at once or after `delay`.
    ///
    /// # Errors
    /// Those of [`Client::publish`].
    pub async fn nak(&self, delay: Option<Duration>) -> Result<(), Error> {
        self.say(&nak(delay)).await
    }

    /// Still at it: the time until it is delivered again begins anew.
    ///
    /// # Errors
    /// Those of [`Client::publish`].
    pub async fn progress(&self) -> Result<(), Error> {
        self.say("+WPI").await
    }

    /// Never deliver it again; operators hear of the reason.
    ///
    /// # Errors
    /// Those of [`Client::publish`].
    pub async fn term(&self, reason: Option<&str>) -> Result<(), Error> {
        self.say(&term(reason)).await
    }

    async fn say(&self, word: &str) -> Result<(), Error> {
        self.client().publish((&self.message.reply, word)).await
    }

    fn client(&self) -> &Client {
        self.context.client()
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("message", &self.message).finish_non_exhaustive()
    }
}

fn nak(delay: Option<Duration>) -> String {
    match delay {
        Some(delay) => format!("-NAK {{\"delay\":{}}}", nanos(delay)),
        None => "-NAK".into(),
    }
}

fn term(reason: Option<&str>) -> String {
    reason.map_or_else(|| "+TERM".into(), |reason| format!("+TERM {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_knows_where_it_stands_in_every_form_of_its_reply_subject() {
        let position = Position {
            stream: "S",
            consumer: "c",
            delivered: 2,
            stream_seq: 30,
            consumer_seq: 4,
            time: Time(1_714_557_600_000_000_000),
            pending: 5,
        };
        for reply in [
            "$JS.ACK.S.c.2.30.4.1714557600000000000.5",
            "$JS.ACK._.ACCHASH.S.c.2.30.4.1714557600000000000.5",
            "$JS.ACK._.ACCHASH.S.c.2.30.4.1714557600000000000.5.token",
        ] {
            assert_eq!(Position::parse(reply.as_bytes()), Some(position), "{reply}");
        }
        for bad in
            ["", "_INBOX.a", "$JS.ACK.S.c.2.30.4.5", "$JS.ACK.S.c.x.30.4.1.5", "$JS.ACK.a.b.c.d.e.f.g.h"]
        {
            assert_eq!(Position::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn acknowledgements_are_the_protocols_words() {
        assert_eq!(nak(None), "-NAK");
        assert_eq!(nak(Some(Duration::from_millis(1500))), "-NAK {\"delay\":1500000000}");
        assert_eq!((term(None).as_str(), term(Some("broken")).as_str()), ("+TERM", "+TERM broken"));
    }
}
