//! One bucket of objects: its entries, and deleting.

use kernel::{Msg, headers};
use wire::jetstream::Fault;

use super::STREAM_PREFIX;
use super::config::{StoreConfig, StoreInfo};
use super::info::Info;
use crate::Error;
use crate::jetstream::api::Time;
use crate::jetstream::{Context, OrderedOptions, Pull, Purge, Stored, Stream, names};

/// How many entries may be on their way.
const LIST_BATCH: u64 = 256;

/// A bucket of objects. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) stream: Stream,
    pub(super) name: String,
    direct: bool,
}

impl Store {
    /// Creates a bucket. One that exists with the same configuration is left as it is.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Context::create_stream`].
    pub async fn create(context: &Context, config: &StoreConfig) -> Result<Store, Error> {
        let info = context.create_stream(&config.stream()?).await?;
        Store::of(context, StoreInfo { stream: info })
    }

    /// A bucket that exists.
    ///
    /// # Errors
    /// [`Error::Name`]; [`Error::Absent`]; those of [`Context::api`].
    pub async fn open(context: &Context, name: &str) -> Result<Store, Error> {
        names::bucket(name)?;
        let info = context.stream(&format!("{STREAM_PREFIX}{name}"))?.info().await;
        Store::of(context, StoreInfo { stream: absent(info, name)? })
    }

    /// Deletes a bucket and everything in it.
    ///
    /// # Errors
    /// [`Error::Name`]; [`Error::Absent`]; those of [`Context::api`].
    pub async fn remove(context: &Context, name: &str) -> Result<(), Error> {
        names::bucket(name)?;
        absent(context.delete_stream(&format!("{STREAM_PREFIX}{name}")).await, name)
    }

    /// Every bucket of objects, by name.
    ///
    /// # Errors
    /// Those of [`Context::api`].
    pub async fn buckets(context: &Context) -> Result<Vec<StoreInfo>, Error> {
        let streams = context.streams(Some("$O.*.C.>")).await?;
        let buckets = streams.into_iter().filter(|s| s.config.name.starts_with(STREAM_PREFIX));
        Ok(buckets.map(|stream| StoreInfo { stream }).collect())
    }

    fn of(context: &Context, info: StoreInfo) -> Result<Store, Error> {
        Ok(Store {
            stream: context.stream(&info.stream.config.name)?,
            name: info.bucket().into(),
            direct: info.stream.config.allow_direct,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An object's entry; `None`: there is no such object, or it was deleted.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Context::api`].
    pub async fn info(&self, name: &str) -> Result<Option<Info>, Error> {
        Ok(self.entry(name).await?.filter(|info| !info.deleted))
    }

    /// The entries of every object, by name.
    ///
    /// # Errors
    /// Those of [`Stream::ordered`].
    pub async fn list(&self) -> Result<Vec<Info>, Error> {
        let options = OrderedOptions::default()
            .filter(format!("$O.{}.M.>", self.name))
            .last_of_each_subject()
            .pull(Pull::default().batch(LIST_BATCH));
        let mut ordered = self.stream.ordered(options).await?;
        let mut all = Vec::new();
        while let Some(delivery) = ordered.next_waiting().await? {
            all.push(read(&delivery.message.payload, delivery.position().time)?);
        }
        ordered.close().await;
        all.retain(|info| !info.deleted);
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Deletes an object. Its entry stays and says so.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none; [`Error::Name`], and those of [`Context::publish`].
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let mut info = self.info(name).await?.ok_or_else(|| self.no_object(name))?;
        (info.deleted, info.size, info.chunks, info.digest) = (true, 0, 0, String::new());
        self.put_entry(&info).await?;
        self.purge_chunks(&info.nuid).await
    }

    /// What was written last of an object, that it was deleted included.
    pub(super) async fn entry(&self, name: &str) -> Result<Option<Info>, Error> {
        let subject = self.entry_subject(name)?;
        let found = match self.direct {
            true => self.stream.direct_last_message(&subject).await,
            false => self.stream.last_message(&subject).await,
        };
        match found {
            Ok(Stored { message, time, .. }) => read(&message.payload, time).map(Some),
            Err(e) if e.fault() == Some(Fault::StreamNotFound) => Err(no_bucket(&self.name)),
            Err(Error::Api { status: 404, .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Writes an entry in place of what was there.
    pub(super) async fn put_entry(&self, info: &Info) -> Result<(), Error> {
        let subject = self.entry_subject(&info.name)?;
        let body = serde_json::to_vec(info).map_err(|e| Error::Protocol(e.to_string()))?;
        let rollup = headers::block([("Nats-Rollup", "sub")]).map_err(|_| Error::Headers)?;
        let message = Msg { subject: subject.as_bytes(), headers: &rollup, payload: &body, ..Msg::default() };
        self.stream.context().publish(message).await.map(drop)
    }

    pub(super) async fn purge_chunks(&self, nuid: &str) -> Result<(), Error> {
        let which = Purge { filter: self.chunk_subject(nuid), ..Purge::default() };
        self.stream.purge(&which).await.map(drop)
    }

    pub(super) fn chunk_subject(&self, nuid: &str) -> String {
        format!("$O.{}.C.{nuid}", self.name)
    }

    fn entry_subject(&self, name: &str) -> Result<String, Error> {
        Ok(format!("$O.{}.M.{}", self.name, names::object(name)?))
    }

    pub(super) fn no_object(&self, name: &str) -> Error {
        Error::Absent(format!("object `{name}` in bucket `{}`", self.name))
    }
}

fn read(entry: &[u8], time: Time) -> Result<Info, Error> {
    let wrong = |e| Error::Protocol(format!("an object's entry: {e}"));
    let info: Info = serde_json::from_slice(entry).map_err(wrong)?;
    Ok(Info { mtime: time, ..info })
}

fn absent<T>(answer: Result<T, Error>, name: &str) -> Result<T, Error> {
    match answer {
        Err(e) if e.fault() == Some(Fault::StreamNotFound) => Err(no_bucket(name)),
        answer => answer,
    }
}

fn no_bucket(name: &str) -> Error {
    Error::Absent(format!("bucket `{name}` of objects"))
}
