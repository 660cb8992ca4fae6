//! One stream: its state, its messages, its consumers.

use std::sync::Arc;

use wire::jetstream::api::{
    ConsumerList, ConsumerNames, CreateAction, CreateConsumerRequest, Message, MsgDeleteRequest,
    MsgGetRequest, Purged, StoredMessage, StreamInfoRequest,
};

use super::api::{ConsumerConfig, ConsumerInfo, DeliverPolicy, Purge, StreamInfo};
use super::consumer::Consumer;
use super::context::{Context, done};
use super::message::Stored;
use super::ordered::{Ordered, OrderedOptions};
use super::refusal::refused;
use super::{message, names};
use crate::{Error, Msg, random};

/// A stream of a [`Context`]. Clones are cheap; whether the stream exists shows when it is asked something.
#[derive(Clone, Debug)]
pub struct Stream {
    context: Context,
    name: Arc<str>,
}

impl Stream {
    pub(crate) fn new(context: Context, name: &str) -> Stream {
        Stream { context, name: name.into() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// What it is to be, and what is in it.
    ///
    /// # Errors
    /// Those of [`Context::api`].
    pub async fn info(&self) -> Result<StreamInfo, Error> {
        self.context.api(&format!("STREAM.INFO.{}", self.name), &()).await
    }

    /// [`Stream::info`] with the number of messages of every subject that `filter` hears, as many as the server tells
    /// at once (100,000 of nats-server).
    ///
    /// # Errors
    /// Those of [`Context::api`].
    pub async fn info_with_subjects(&self, filter: &str) -> Result<StreamInfo, Error> {
        let which = StreamInfoRequest { subjects_filter: filter.into(), ..StreamInfoRequest::default() };
        self.context.api(&format!("STREAM.INFO.{}", self.name), &which).await
    }

    /// Removes messages; how many. The stream, its numbers and its consumers stay.
    ///
    /// # Errors
    /// Those of [`Context::api`].
    pub async fn purge(&self, which: &Purge) -> Result<u64, Error> {
        let purged: Purged = self.context.api(&format!("STREAM.PURGE.{}", self.name), which).await?;
        Ok(purged.purged)
    }

    /// The message with this number.
    ///
    /// # Errors
    /// Those of [`Context::api`]; 404 when there is none.
    pub async fn message(&self, seq: u64) -> Result<Stored, Error> {
        self.stored(MsgGetRequest { seq, ..MsgGetRequest::default() }).await
    }

    /// The last message that was stored on a subject.
    ///
    /// # Errors
    /// Those of [`Context::api`]; 404 when there is none.
    pub async fn last_message(&self, subject: &str) -> Result<Stored, Error> {
        self.stored(MsgGetRequest { last_by_subj: subject.into(), ..MsgGetRequest::default() }).await
    }

    /// Like [`Stream::message`], from whichever server has it, for streams that allow it (`allow_direct`): quicker, and
    /// on a cluster possibly a moment old.
    ///
    /// # Errors
    /// Those of [`Context::api`]; 404 when there is none.
    pub async fn direct_message(&self, seq: u64) -> Result<Stored, Error> {
        let body = wire::jetstream::write(&MsgGetRequest { seq, ..MsgGetRequest::default() });
        self.direct(&format!("DIRECT.GET.{}", self.name), &body).await
    }

    /// Like [`Stream::last_message`], from whichever server has it.
    ///
    /// # Errors
    /// Those of [`Context::api`]; 404 when there is none.
    pub async fn direct_last_message(&self, subject: &str) -> Result<Stored, Error> {
        self.direct(&format!("DIRECT.GET.{}.{subject}", self.name), b"").await
    }

    /// Deletes one message; with `erase` its bytes are overwritten, too.
    ///
    /// # Errors
    /// Those of [`Context::api`].
    pub async fn delete_message(&self, seq: u64, erase: bool) -> Result<(), Error> {
        let which = MsgDeleteRequest { seq, no_erase: !erase };
        done(self.context.api(&format!("STREAM.MSG.DELETE.{}", self.name), &which).await?)
    }

    /// The consumer of this name; whether it exists is not asked.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn consumer(&self, name: &str) -> Result<Consumer, Error> {
        names::consumer(name)?;
        Ok(Consumer::new(self.clone(), name))
    }

    /// Creates a consumer. One that exists with the same configuration is left as it is; without a name it gets one.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Context::api`]: such as when one of that name is configured differently.
    pub async fn create_consumer(&self, config: &ConsumerConfig) -> Result<ConsumerInfo, Error> {
        self.put_consumer(config, CreateAction::Create).await
    }

    /// Changes a consumer's configuration: all of it, so begin with the one that [`Consumer::info`] gives.
    ///
    /// # Errors
    /// Those of [`Stream::create_consumer`].
    pub async fn update_consumer(&self, config: &ConsumerConfig) -> Result<ConsumerInfo, Error> {
        self.put_consumer(config, CreateAction::Update).await
    }

    /// Creates a consumer, or makes one that exists what `config` says.
    ///
    /// # Errors
    /// Those of [`Stream::create_consumer`].
    pub async fn create_or_update_consumer(&self, config: &ConsumerConfig) -> Result<ConsumerInfo, Error> {
        self.put_consumer(config, CreateAction::CreateOrUpdate).await
    }

    /// Deletes a consumer. What it had not acknowledged is forgotten with it.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Context::api`].
    pub async fn delete_consumer(&self, name: &str) -> Result<(), Error> {
        names::consumer(name)?;
        done(self.context.api(&format!("CONSUMER.DELETE.{}.{name}", self.name), &()).await?)
    }

    /// Every consumer, by name.
    ///
    /// # Errors
    /// Those of [`Context::api`].
    pub async fn consumers(&self) -> Result<Vec<ConsumerInfo>, Error> {
        let mut all = self.context.pages::<ConsumerList>(&format!("CONSUMER.LIST.{}", self.name), "").await?;
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The names of every consumer, in order.
    ///
    /// # Errors
    /// Those of [`Context::api`].
    pub async fn consumer_names(&self) -> Result<Vec<String>, Error> {
        let mut all =
            self.context.pages::<ConsumerNames>(&format!("CONSUMER.NAMES.{}", self.name), "").await?;
        all.sort();
        Ok(all)
    }

    /// Reads messages in order and without a gap, with a consumer of its own that is made again when it must be.
    ///
    /// # Errors
    /// Those of [`Stream::create_consumer`].
    pub async fn ordered(&self, options: OrderedOptions) -> Result<Ordered, Error> {
        Ordered::open(self.clone(), options).await
    }

    async fn put_consumer(
        &self,
        config: &ConsumerConfig,
        action: CreateAction,
    ) -> Result<ConsumerInfo, Error> {
        let mut config = config.clone();
        if config.name.is_empty() {
            config.name =
                if config.durable_name.is_empty() { random::token()? } else { config.durable_name.clone() };
        }
        names::consumer(&config.name)?;
        // Servers want to hear a filter with it, even one that lets everything through.
        let each = config.deliver_policy == DeliverPolicy::LastPerSubject;
        if each && config.filter_subject.is_empty() && config.filter_subjects.is_empty() {
            config.filter_subject = ">".into();
        }
        let verb = consumer_verb(&self.name, &config);
        let stream_name = self.name.to_string();
        let request = CreateConsumerRequest { stream_name, config, action, ..Default::default() };
        self.context.api(&verb, &request).await
    }

    async fn stored(&self, which: MsgGetRequest) -> Result<Stored, Error> {
        let answer: Message = self.context.api(&format!("STREAM.MSG.GET.{}", self.name), &which).await?;
        let nothing = || Error::Protocol("the stream API answers without the message".into());
        answer.message.map(stored).ok_or_else(nothing)
    }

    async fn direct(&self, verb: &str, body: &[u8]) -> Result<Stored, Error> {
        let subject = self.context.subject(verb);
        let question = Msg { subject: subject.as_bytes(), payload: body, ..Msg::default() };
        let answer = match self.context.client().request(question, self.context.answer_timeout()).await {
            Err(Error::NoResponders { .. }) => {
                return Err(Error::Absent(format!("stream `{}` that allows direct reads", self.name)));
            }
            answer => answer?,
        };
        // A stored message may look like anything, so only the status in its first line can refuse.
        match message::status(&answer) {
            Some(_) => Err(refused(&answer)
                .unwrap_or_else(|| Error::Protocol("a direct read answered with an unknown status".into()))),
            None => message::direct(answer),
        }
    }
}

/// Names and a single filter stand in the subject, so that permissions can be given for them.
fn consumer_verb(stream: &str, config: &ConsumerConfig) -> String {
    let filter = config.filter_subject.as_str();
    match filter.is_empty() {
        true => format!("CONSUMER.CREATE.{stream}.{}", config.name),
        false => format!("CONSUMER.CREATE.{stream}.{}.{filter}", config.name),
    }
}

fn stored(raw: StoredMessage) -> Stored {
    Stored {
        seq: raw.seq,
        time: raw.time,
        message: crate::Message {
            subject: raw.subject.into(),
            headers: raw.hdrs.0.into(),
            payload: raw.data.0.into(),
            ..crate::Message::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumers_name_and_only_filter_stand_in_the_subject() {
        let mut config = ConsumerConfig { name: "c".into(), ..ConsumerConfig::default() };
        assert_eq!(consumer_verb("S", &config), "CONSUMER.CREATE.S.c");
        config.filter_subject = "a.>".into();
        assert_eq!(consumer_verb("S", &config), "CONSUMER.CREATE.S.c.a.>");
    }

    #[test]
    fn a_stored_message_is_read_from_base64() {
        let json = r#"{"message":{"subject":"a","seq":3,"hdrs":"TkFUUy8xLjANCkE6IDENCg0K","data":"aGk=",
            "time":"2024-05-01T10:00:00Z"}}"#;
        let answer: Message = serde_json::from_str(json).unwrap();
        let m = stored(answer.message.unwrap());
        assert_eq!((m.seq, &m.message.payload[..]), (3, &b"hi"[..]));
        assert_eq!(crate::Headers::new(&m.message.headers).first("a"), Some("1"));
        assert!(serde_json::from_str::<Message>(r#"{"message":{"data":"!"}}"#).is_err());
    }
}
