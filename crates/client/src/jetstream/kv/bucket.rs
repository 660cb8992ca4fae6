//! One bucket: reading and writing its keys.

use std::time::Duration;

use kernel::{Msg, headers};
use wire::jetstream::Fault;

use super::STREAM_PREFIX;
use super::config::{BucketConfig, BucketInfo};
use super::entry::{Entry, OPERATION, Operation};
use super::watch::{Watch, WatchOptions};
use crate::Error;
use crate::jetstream::{Context, PubAck, PublishOptions, Stored, Stream, names};

/// A bucket of keys. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Bucket {
    stream: Stream,
    name: String,
    /// `$KV.<bucket>.`
    prefix: String,
    /// Whether single messages can be read without asking the API.
    direct: bool,
}

impl Bucket {
    /// Creates a bucket. One that exists with the same configuration is left as it is.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Context::create_stream`].
    pub async fn create(context: &Context, config: &BucketConfig) -> Result<Bucket, Error> {
        let info = context.create_stream(&config.stream()?).await?;
        Bucket::of(context, BucketInfo { stream: info })
    }

    /// A bucket that exists.
    ///
    /// # Errors
    /// [`Error::Name`]; [`Error::Absent`]; those of [`Context::api`].
    pub async fn open(context: &Context, name: &str) -> Result<Bucket, Error> {
        names::bucket(name)?;
        let info = context.stream(&format!("{STREAM_PREFIX}{name}"))?.info().await;
        Bucket::of(context, BucketInfo { stream: absent(info, name)? })
    }

    /// Deletes a bucket and everything in it.
    ///
    /// # Errors
    /// [`Error::Name`]; [`Error::Absent`]; those of [`Context::api`].
    pub async fn remove(context: &Context, name: &str) -> Result<(), Error> {
        names::bucket(name)?;
        absent(context.delete_stream(&format!("{STREAM_PREFIX}{name}")).await, name)
    }

    /// Every bucket, by name.
    ///
    /// # Errors
    /// Those of [`Context::api`].
    pub async fn list(context: &Context) -> Result<Vec<BucketInfo>, Error> {
        let streams = context.streams(Some("$KV.*.>")).await?;
        let buckets = streams.into_iter().filter(|s| s.config.name.starts_with(STREAM_PREFIX));
        Ok(buckets.map(|stream| BucketInfo { stream }).collect())
    }

    fn of(context: &Context, info: BucketInfo) -> Result<Bucket, Error> {
        let name = info.bucket().to_owned();
        Ok(Bucket {
            stream: context.stream(&info.stream.config.name)?,
            prefix: format!("$KV.{name}."),
            direct: info.stream.config.allow_direct,
            name,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is to be, and what is in it.
    ///
    /// # Errors
    /// Those of [`Context::api`].
    pub async fn info(&self) -> Result<BucketInfo, Error> {
        Ok(BucketInfo { stream: absent(self.stream.info().await, &self.name)? })
    }

    /// A key's value; `None`: it has none, or was deleted.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Context::api`].
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        Ok(self.entry(key).await?.filter(|entry| entry.operation == Operation::Put))
    }

    /// What was written last of a key, that it was deleted included.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Context::api`].
    pub async fn entry(&self, key: &str) -> Result<Option<Entry>, Error> {
        let subject = self.subject(key)?;
        self.found(match self.direct {
            true => self.stream.direct_last_message(&subject).await,
            false => self.stream.last_message(&subject).await,
        })
    }

    /// What was written of a key as this revision; `None`: nothing, or it is no longer kept.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Context::api`].
    pub async fn entry_at(&self, key: &str, revision: u64) -> Result<Option<Entry>, Error> {
        names::key(key)?;
        let found = self.found(match self.direct {
            true => self.stream.direct_message(revision).await,
            false => self.stream.message(revision).await,
        })?;
        Ok(found.filter(|entry| entry.key == key))
    }

    /// Gives a key a value; its revision.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Context::publish`].
    pub async fn put(&self, key: &str, value: impl AsRef<[u8]>) -> Result<u64, Error> {
        Ok(self.write(key, value.as_ref(), &[], &PublishOptions::default()).await?.seq)
    }

    /// Gives a key a value if it has none; its revision. With `ttl` the key goes by itself after so long, where the bucket
    /// allows it ([`BucketConfig::marker_ttl`]).
    ///
    /// # Errors
    /// [`Error::Revision`] when it has one; [`Error::Name`], and those of [`Context::publish`].
    pub async fn create_key(
        &self,
        key: &str,
        value: impl AsRef<[u8]>,
        ttl: Option<Duration>,
    ) -> Result<u64, Error> {
        let value = value.as_ref();
        match self.write_at(key, value, 0, ttl).await {
            // It may have been deleted before: then what says so is the last revision.
            Err(Error::Revision { bucket, key }) => match self.entry(&key).await? {
                Some(entry) if entry.operation != Operation::Put => {
                    self.write_at(&key, value, entry.revision, ttl).await
                }
                _ => Err(Error::Revision { bucket, key }),
            },
            written => written,
        }
    }

    /// Gives a key a value if its last revision is this one; the new revision.
    ///
    /// # Errors
    /// [`Error::Revision`] when it is another; [`Error::Name`], and those of [`Context::publish`].
    pub async fn update(&self, key: &str, value: impl AsRef<[u8]>, revision: u64) -> Result<u64, Error> {
        self.write_at(key, value.as_ref(), revision, None).await
    }

    /// Deletes a key; earlier values stay as far as the bucket keeps them. With `revision`: only if that is its last one.
    ///
    /// # Errors
    /// [`Error::Revision`]; [`Error::Name`], and those of [`Context::publish`].
    pub async fn delete(&self, key: &str, revision: Option<u64>) -> Result<(), Error> {
        let options = expect(PublishOptions::default(), revision);
        self.write(key, b"", &[(OPERATION, Operation::Delete.as_str())], &options).await.map(drop)
    }

    /// Deletes a key and all its values. With `revision`: only if that is its last one.
    ///
    /// # Errors
    /// [`Error::Revision`]; [`Error::Name`], and those of [`Context::publish`].
    pub async fn purge(&self, key: &str, revision: Option<u64>) -> Result<(), Error> {
        let options = expect(PublishOptions::default().rollup(), revision);
        self.write(key, b"", &[(OPERATION, Operation::Purge.as_str())], &options).await.map(drop)
    }

    /// The keys that have a value and that `pattern` hears (`>`: all), in order.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Stream::ordered`].
    pub async fn keys(&self, pattern: &str) -> Result<Vec<String>, Error> {
        let all = self.gather(pattern, WatchOptions::default().keys_only()).await?;
        let there = all.into_iter().filter(|entry| entry.operation == Operation::Put);
        let mut keys: Vec<String> = there.map(|entry| entry.key).collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// Everything that is kept of a key, oldest first.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Stream::ordered`].
    pub async fn history(&self, key: &str) -> Result<Vec<Entry>, Error> {
        names::key(key)?;
        self.gather(key, WatchOptions::default().history()).await
    }

    /// Watches the keys that `pattern` hears (`>`: all).
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Stream::ordered`].
    pub async fn watch(&self, pattern: &str, options: WatchOptions) -> Result<Watch, Error> {
        names::key_pattern(pattern)?;
        Watch::open(&self.stream, &self.prefix, pattern, options).await
    }

    /// What is there now.
    async fn gather(&self, pattern: &str, options: WatchOptions) -> Result<Vec<Entry>, Error> {
        let mut watch = self.watch(pattern, options).await?;
        let mut all = Vec::new();
        while let Some(entry) = watch.next_waiting().await? {
            all.push(entry);
        }
        watch.close().await;
        Ok(all)
    }

    async fn write_at(
        &self,
        key: &str,
        value: &[u8],
        revision: u64,
        ttl: Option<Duration>,
    ) -> Result<u64, Error> {
        let mut options = expect(PublishOptions::default(), Some(revision));
        if let Some(ttl) = ttl {
            options = options.ttl(ttl);
        }
        Ok(self.write(key, value, &[], &options).await?.seq)
    }

    async fn write(
        &self,
        key: &str,
        value: &[u8],
        pairs: &[(&str, &str)],
        options: &PublishOptions,
    ) -> Result<PubAck, Error> {
        let subject = self.subject(key)?;
        let block = headers::block(pairs.iter().copied()).map_err(|_| Error::Headers)?;
        let message = Msg { subject: subject.as_bytes(), headers: &block, payload: value, ..Msg::default() };
        match self.stream.context().publish_with(message, options).await {
            Err(Error::NoStream { .. }) => Err(no_bucket(&self.name)),
            Err(e) if is_conflict(&e) => Err(Error::Revision { bucket: self.name.clone(), key: key.into() }),
            done => done,
        }
    }

    fn subject(&self, key: &str) -> Result<String, Error> {
        names::key(key)?;
        Ok(format!("{}{key}", self.prefix))
    }

    fn found(&self, stored: Result<Stored, Error>) -> Result<Option<Entry>, Error> {
        match stored {
            Ok(stored) => Ok(Some(Entry::of_stored(stored, &self.prefix))),
            Err(e) if e.fault() == Some(Fault::StreamNotFound) => Err(no_bucket(&self.name)),
            Err(Error::Api { status: 404, .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn is_conflict(e: &Error) -> bool {
    matches!(e.fault(), Some(Fault::WrongLastSequence | Fault::WrongLastSequenceUnknown))
}

fn expect(options: PublishOptions, revision: Option<u64>) -> PublishOptions {
    revision.into_iter().fold(options, PublishOptions::expect_last_subject_sequence)
}

fn absent<T>(answer: Result<T, Error>, name: &str) -> Result<T, Error> {
    match answer {
        Err(e) if e.fault() == Some(Fault::StreamNotFound) => Err(no_bucket(name)),
        answer => answer,
    }
}

fn no_bucket(name: &str) -> Error {
    Error::Absent(format!("bucket `{name}`"))
}
