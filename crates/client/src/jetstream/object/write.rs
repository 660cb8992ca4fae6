//! Writing an object: chunk by chunk from a reader, and the entry when all of them are stored.

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::info::{Info, Meta, Options, digest_text};
use super::store::Store;
use crate::jetstream::api::Time;
use crate::jetstream::{PublishOptions, names};
use crate::{Error, random};

/// Bytes of a chunk, unless the server or the writer wants fewer.
const CHUNK_BYTES: usize = 128 * 1024;
/// Chunks on their way at once: 2 MiB of them.
const IN_FLIGHT_MAX: usize = 16;

impl Store {
    /// Writes an object from a reader, in place of one of the same name; readers see the old one until the new one is
    /// there in full. `progress` hears how many bytes are stored so far.
    ///
    /// # Errors
    /// [`Error::Name`]; [`Error::Io`] when the source cannot be read; those of [`crate::jetstream::Context::publish`].
    /// The old object stays.
    pub async fn put(
        &self,
        meta: Meta,
        source: &mut (impl AsyncRead + Unpin),
        progress: impl FnMut(u64),
    ) -> Result<Info, Error> {
        names::object(&meta.name)?;
        let before = self.entry(&meta.name).await?;
        let info = Info {
            name: meta.name,
            description: meta.description,
            metadata: Some(meta.metadata),
            bucket: self.name.clone(),
            nuid: random::token()?,
            mtime: now(),
            ..Info::default()
        };
        let chunk_bytes = self.chunk_bytes(meta.chunk_bytes);
        let written = async {
            let info = self.put_chunks(info.clone(), chunk_bytes, source, progress).await?;
            self.put_entry(&info).await?;
            Ok(info)
        };
        let info = match written.await {
            Ok(info) => info,
            Err(e) => {
                // What is half there is nobody's; that it cannot be removed either changes nothing.
                _ = self.purge_chunks(&info.nuid).await;
                return Err(e);
            }
        };
        if let Some(before) = before.filter(|before| !before.nuid.is_empty()) {
            self.purge_chunks(&before.nuid).await?;
        }
        Ok(info)
    }

    async fn put_chunks(
        &self,
        info: Info,
        chunk_bytes: usize,
        source: &mut (impl AsyncRead + Unpin),
        mut progress: impl FnMut(u64),
    ) -> Result<Info, Error> {
        let subject = self.chunk_subject(&info.nuid);
        let options = PublishOptions::default();
        let mut chunks = self.stream.context().pipeline(IN_FLIGHT_MAX);
        let mut chunk = Vec::with_capacity(chunk_bytes);
        let mut sha = Sha256::new();
        let (mut size, mut count) = (0, 0);
        loop {
            chunk.clear();
            let read = (&mut *source).take(chunk_bytes as u64).read_to_end(&mut chunk).await?;
            if read == 0 {
                break;
            }
            sha.update(&chunk);
            if chunks.publish((&subject, &chunk), &options).await?.is_some() {
                progress(size - ((chunks.in_flight() - 1) * chunk_bytes) as u64);
            }
            (size, count) = (size + read as u64, count + 1);
        }
        chunks.finish().await?;
        progress(size);
        Ok(Info {
            size,
            chunks: count,
            digest: digest_text(&sha.finalize()),
            options: Some(Options { max_chunk_size: Some(chunk_bytes as u64), link: None }),
            ..info
        })
    }

    fn chunk_bytes(&self, wanted: usize) -> usize {
        let wanted = if wanted == 0 { CHUNK_BYTES } else { wanted };
        match self.stream.context().client().info().max_payload {
            0 => wanted,
            server => wanted.min(server),
        }
    }
}

/// The writer's clock; readers go by the stream's.
fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_nanos()).unwrap_or(0))
}
