//! Publishing to a stream: with an acknowledgement that the message is stored, one by one or many on their way at once.

use std::collections::VecDeque;
use std::time::Duration;

use kernel::{Message, Msg};
use tokio::time::timeout;
use wire::jetstream::api::PubAnswer;

use super::Context;
use super::api::PubAck;
use super::refusal::error_of;
use crate::client::Asked;
use crate::open::ms;
use crate::{AsMsg, Error, Headers, headers};

/// What is asked of the stream along with a message: every field with a default, set by the method of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishOptions {
    pairs: Vec<(&'static str, String)>,
}

impl PublishOptions {
    /// The message's identity: within the stream's `duplicate_window` it is stored once, however often it is published.
    pub fn id(self, id: impl Into<String>) -> PublishOptions {
        self.with("Nats-Msg-Id", id.into())
    }

    /// Store it in this stream or not at all.
    pub fn expect_stream(self, stream: impl Into<String>) -> PublishOptions {
        self.with("Nats-Expected-Stream", stream.into())
    }

    /// Store it if the stream's last message has this number; 0: if there is none.
    pub fn expect_last_sequence(self, seq: u64) -> PublishOptions {
        self.with("Nats-Expected-Last-Sequence", seq.to_string())
    }

    /// Store it if the last message of its subject has this number; 0: if there is none.
    pub fn expect_last_subject_sequence(self, seq: u64) -> PublishOptions {
        self.with("Nats-Expected-Last-Subject-Sequence", seq.to_string())
    }

    /// Store it if the stream's last message has this identity.
    pub fn expect_last_id(self, id: impl Into<String>) -> PublishOptions {
        self.with("Nats-Expected-Last-Msg-Id", id.into())
    }

    /// Remove it after so long, at least a second; the stream must have `allow_msg_ttl`.
    pub fn ttl(self, ttl: Duration) -> PublishOptions {
        let text = match ttl.subsec_nanos() {
            0 => format!("{}s", ttl.as_secs()),
            _ => format!("{}ms", ttl.as_millis()),
        };
        self.with("Nats-TTL", text)
    }

    /// Remove everything on its subject that was stored before; the stream must have `allow_rollup_hdrs`.
    pub fn rollup(self) -> PublishOptions {
        self.with("Nats-Rollup", "sub".into())
    }

    pub(crate) fn with(mut self, name: &'static str, value: String) -> PublishOptions {
        self.pairs.push((name, value));
        self
    }

    /// The message's own headers and ours behind them.
    fn block(&self, own: &[u8]) -> Result<Vec<u8>, Error> {
        if self.pairs.is_empty() {
            return Ok(own.to_vec());
        }
        if !own.is_empty() {
            Headers::check(own).map_err(|_| Error::Headers)?;
        }
        let own = Headers::new(own).iter().filter(|h| !h.name.is_empty()).map(|h| (h.name, h.value));
        let ours = self.pairs.iter().map(|(name, value)| (*name, value.as_str()));
        headers::block(own.chain(ours)).map_err(|_| Error::Headers)
    }
}

impl Context {
    /// Publishes and waits until the message is stored.
    ///
    /// # Errors
    /// [`Error::NoStream`] when no stream takes the subject; [`Error::Api`] when the stream refuses;
    /// [`Error::Timeout`] when nobody knows: publish it again with the same id. And those of
    /// [`crate::Client::publish`].
    pub async fn publish(&self, message: impl AsMsg) -> Result<PubAck, Error> {
        self.publish_with(message, &PublishOptions::default()).await
    }

    /// [`Context::publish`], with what is asked of the stream.
    ///
    /// # Errors
    /// Those of [`Context::publish`].
    pub async fn publish_with(&self, message: impl AsMsg, options: &PublishOptions) -> Result<PubAck, Error> {
        let view = message.view();
        let block = options.block(view.headers)?;
        let answer = self.client().request(Msg { headers: &block, ..view }, self.answer_timeout()).await;
        acknowledged(answer)
    }

    /// Publishes with up to `in_flight_max` messages on their way at once.
    pub fn pipeline(&self, in_flight_max: usize) -> Pipeline {
        Pipeline { context: self.clone(), in_flight_max: in_flight_max.max(1), in_flight: VecDeque::new() }
    }
}

/// Messages on their way to a stream, in the order in which they were published. Their acknowledgements come in the
/// same order.
pub struct Pipeline {
    context: Context,
    in_flight_max: usize,
    in_flight: VecDeque<Asked>,
}

impl Pipeline {
    /// Publishes. When as many as may be are on their way, it first waits for the oldest one's acknowledgement and gives
    /// that.
    ///
    /// # Errors
    /// Those of [`Context::publish`], about the oldest one on its way: then this message was not sent.
    pub async fn publish(
        &mut self,
        message: impl AsMsg,
        options: &PublishOptions,
    ) -> Result<Option<PubAck>, Error> {
        let view = message.view();
        let block = options.block(view.headers)?;
        let oldest = match self.in_flight.len() < self.in_flight_max {
            true => None,
            false => self.next_ack().await?,
        };
        self.in_flight.push_back(self.context.client().ask(&Msg { headers: &block, ..view }).await?);
        Ok(oldest)
    }

    /// Waits for the oldest one's acknowledgement; `None`: nothing is on its way. A call that is dropped in the middle
    /// loses nothing.
    ///
    /// # Errors
    /// Those of [`Context::publish`], about the oldest one.
    pub async fn next_ack(&mut self) -> Result<Option<PubAck>, Error> {
        let Some(oldest) = self.in_flight.front_mut() else { return Ok(None) };
        let wait = self.context.answer_timeout();
        let answer = timeout(wait, oldest.answer()).await;
        let subject = self.in_flight.pop_front().map(|asked| asked.subject()).unwrap_or_default();
        let answer = answer.unwrap_or_else(|_| Err(Error::Timeout { subject, timeout_ms: ms(wait) }));
        acknowledged(answer).map(Some)
    }

    /// Waits until everything is stored; the last acknowledgement.
    ///
    /// # Errors
    /// The first of [`Pipeline::next_ack`].
    pub async fn finish(mut self) -> Result<Option<PubAck>, Error> {
        let mut last = None;
        while let Some(ack) = self.next_ack().await? {
            last = Some(ack);
        }
        Ok(last)
    }

    /// How many are on their way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("in_flight", &self.in_flight.len()).finish_non_exhaustive()
    }
}

fn acknowledged(answer: Result<Message, Error>) -> Result<PubAck, Error> {
    let answer = match answer {
        Err(Error::NoResponders { subject }) => return Err(Error::NoStream { subject }),
        answer => answer?,
    };
    match PubAnswer::of_stream(&answer.headers, &answer.payload) {
        Some(said) => said.map_err(|error| error_of(error, &Headers::new(&answer.headers))),
        None => {
            Err(Error::Protocol("somebody answered, but no stream: the message was not acknowledged".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_of_the_stream_stands_behind_the_messages_own_headers() {
        let options = PublishOptions::default()
            .id("m1")
            .expect_stream("S")
            .expect_last_sequence(7)
            .expect_last_subject_sequence(0)
            .expect_last_id("m0")
            .ttl(Duration::from_secs(90))
            .rollup();
        let own = headers::block([("Color", "blue")]).unwrap();
        let text = String::from_utf8(options.block(&own).unwrap()).unwrap();
        let lines: Vec<&str> = text.trim_end().split("\r\n").collect();
        assert_eq!(
            lines,
            [
                "NATS/1.0",
                "Color: blue",
                "Nats-Msg-Id: m1",
                "Nats-Expected-Stream: S",
                "Nats-Expected-Last-Sequence: 7",
                "Nats-Expected-Last-Subject-Sequence: 0",
                "Nats-Expected-Last-Msg-Id: m0",
                "Nats-TTL: 90s",
                "Nats-Rollup: sub",
            ]
        );
        assert_eq!(PublishOptions::default().block(b"").unwrap(), b"");
        assert_eq!(PublishOptions::default().id("a\r\nB: c").block(b""), Err(Error::Headers));
        let short = PublishOptions::default().ttl(Duration::from_millis(1500));
        assert_eq!(short.pairs, [("Nats-TTL", "1500ms".to_owned())]);
    }

    #[test]
    fn only_a_streams_acknowledgement_is_one() {
        let says =
            |text: &str| acknowledged(Ok(Message { payload: text.to_owned().into(), ..Message::default() }));
        let ack = says(r#"{"stream":"S","seq":7,"duplicate":true}"#).unwrap();
        assert_eq!((ack.stream.as_str(), ack.seq, ack.duplicate), ("S", 7, true));
        assert!(matches!(says("pong"), Err(Error::Protocol(_))));
        assert!(matches!(says("{}"), Err(Error::Protocol(_))));
        let refused =
            says(r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 9"}}"#);
        assert_eq!(refused.unwrap_err().err_code(), Some(10071));
        let nobody = acknowledged(Err(Error::NoResponders { subject: "a".into() }));
        assert_eq!(nobody, Err(Error::NoStream { subject: "a".into() }));
    }
}
