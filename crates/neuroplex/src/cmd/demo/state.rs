//! The last two acts: a key that two write at once, and an object that is larger than a message.

use std::time::Duration;

use client::jetstream::kv::{Bucket, BucketConfig, Watch, WatchOptions};
use client::jetstream::object::{Meta, Store, StoreConfig};
use serde_json::json;
use tokio::time::timeout;

use super::stage::Stage;
use super::told::untrue;
use crate::failure::Failure;
use crate::units::size;

/// Bytes of the object.
const OBJECT_BYTES: usize = 4 << 20;
/// How long a change may take to be seen.
const PATIENCE: Duration = Duration::from_secs(10);

impl Stage {
    /// Two writers have read the same revision; one of them is too late.
    pub(super) async fn settings(&mut self) -> Result<(), Failure> {
        let (ours, theirs) = (self.streams()?, self.connect("second writer").await?);
        let bucket = Bucket::create(&ours, &BucketConfig::new("settings").history(5)).await?;
        let other = Bucket::open(&theirs, "settings").await?;
        let mut watch = bucket.watch(">", WatchOptions::default()).await?;
        let revision = bucket.put("color", "blue").await?;
        see(&mut watch, "blue", revision).await?;
        let text = format!("bucket settings, watched: color = blue, revision {revision}");
        self.told.holds("kv_put", json!({ "key": "color", "value": "blue", "revision": revision }), &text)?;
        let (green, red) =
            tokio::join!(bucket.update("color", "green", revision), other.update("color", "red", revision));
        let (won, value, lost) = match (green, red) {
            (Ok(revision), Err(e)) => (revision, "green", e),
            (Err(e), Ok(revision)) => (revision, "red", e),
            (Ok(_), Ok(_)) => return Err(untrue("two writers replace the same revision")),
            (Err(e), Err(_)) => return Err(e.into()),
        };
        let code = lost.code();
        if code != kernel::Code::Conflict {
            return Err(lost.into());
        }
        see(&mut watch, value, won).await?;
        watch.close().await;
        let history = bucket.history("color").await?;
        if !history.iter().map(|entry| &entry.value[..]).eq([b"blue", value.as_bytes()]) {
            return Err(untrue(format!("the key's history is {history:?}")));
        }
        let text = format!(
            "two writers replace revision {revision} at once, green and red: {value} is revision {won}, the other hears {} {}",
            code.number(),
            code.name()
        );
        let fields = json!({ "value": value, "revision": won, "code": code.number() });
        self.told.holds("kv_conflict", fields, &text)?;
        let text = format!("the watch saw blue, then {value}; the key's history is the same");
        self.told.holds("kv_watched", json!({ "values": ["blue", value] }), &text)
    }

    /// What is larger than a message goes and comes in chunks, with its digest.
    pub(super) async fn picture(&mut self) -> Result<(), Failure> {
        let (ours, theirs) = (self.streams()?, self.connect("reader").await?);
        let content = noise(OBJECT_BYTES);
        let store = Store::create(&ours, &StoreConfig::new("pictures")).await?;
        let put = store.put(Meta::new("noise.png"), &mut content.as_slice(), |_| {}).await?;
        let mut read = Vec::with_capacity(content.len());
        let got = Store::open(&theirs, "pictures").await?.get("noise.png", &mut read, |_| {}).await?;
        if read != content || got.digest != put.digest || got.digest.is_empty() {
            return Err(untrue("the object that comes back is another"));
        }
        let text = format!(
            "{} stored in {} chunks and read by another, byte for byte; {}",
            size(content.len() as u64),
            got.chunks,
            got.digest
        );
        let fields = json!({ "bytes": read.len(), "chunks": got.chunks, "digest": got.digest });
        self.told.holds("object", fields, &text)
    }
}

/// The watch's next entry is this one.
async fn see(watch: &mut Watch, value: &str, revision: u64) -> Result<(), Failure> {
    let next = timeout(PATIENCE, watch.next()).await.map_err(|_| untrue("the watch sees nothing"))?;
    let entry = next?.ok_or_else(|| untrue("the watch has ended"))?;
    match entry.value == value && entry.revision == revision {
        true => Ok(()),
        false => Err(untrue(format!("the watch sees {:?} instead of {value}", entry.value))),
    }
}

/// Bytes that do not repeat (xorshift64).
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..bytes / 8).flat_map(|_| next()).collect()
}
