//! Reading an object: chunk by chunk into a writer, with its digest compared at the end.

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::info::Info;
use super::store::Store;
use crate::Error;
use crate::jetstream::{OrderedOptions, Pull};

/// Chunks on their way at once: 8 MiB of them.
const BATCH: u64 = 64;
/// Most links that lead from one to the next.
const LINKS_MAX: usize = 8;

impl Store {
    /// Writes an object's content to `sink`, following links. `progress` hears how many bytes have come so far.
    ///
    /// # Errors
    /// [`Error::Absent`]; [`Error::Damaged`] when what came is not what was stored: then `sink` has it nevertheless, and
    /// must not be believed; [`Error::Io`] when it cannot be written; those of [`crate::jetstream::Stream::ordered`].
    pub async fn get(
        &self,
        name: &str,
        sink: &mut (impl AsyncWrite + Unpin),
        progress: impl FnMut(u64),
    ) -> Result<Info, Error> {
        let (store, info) = self.resolve(name).await?;
        store.read(&info, sink, progress).await?;
        Ok(info)
    }

    /// The object that a name stands for at the end of its links, and its bucket.
    ///
    /// # Errors
    /// [`Error::Absent`], also when links lead nowhere or in a circle; those of [`crate::jetstream::Context::api`].
    pub async fn resolve(&self, name: &str) -> Result<(Store, Info), Error> {
        let (mut store, mut name) = (self.clone(), name.to_owned());
        for _ in 0..LINKS_MAX {
            let info = store.info(&name).await?.ok_or_else(|| store.no_object(&name))?;
            let Some(link) = info.link() else { return Ok((store, info)) };
            if link.name.is_empty() {
                return Err(Error::Absent(format!(
                    "object `{name}`: it stands for bucket `{}`",
                    link.bucket
                )));
            }
            if link.bucket != store.name {
                store = Store::open(store.stream.context(), &link.bucket).await?;
            }
            name.clone_from(&link.name);
        }
        Err(Error::Absent(format!("end to the links that begin at object `{name}`")))
    }

    async fn read(
        &self,
        info: &Info,
        sink: &mut (impl AsyncWrite + Unpin),
        mut progress: impl FnMut(u64),
    ) -> Result<(), Error> {
        let mut sha = Sha256::new();
        let (mut size, mut chunks) = (0, 0);
        if info.chunks > 0 {
            let options = OrderedOptions::default()
                .filter(self.chunk_subject(&info.nuid))
                .pull(Pull::default().batch(BATCH));
            let mut ordered = self.stream.ordered(options).await?;
            while let Some(delivery) = ordered.next_waiting().await? {
                let chunk = &delivery.message.payload;
                sha.update(chunk);
                sink.write_all(chunk).await?;
                (size, chunks) = (size + chunk.len() as u64, chunks + 1);
                progress(size);
            }
            ordered.close().await;
        }
        sink.flush().await?;
        match size == info.size && chunks == info.chunks && info.has_digest(&sha.finalize()) {
            true => Ok(()),
            false => Err(Error::Damaged(info.name.clone())),
        }
    }
}
