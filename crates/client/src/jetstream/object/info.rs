//! An object's entry, as JSON, with exactly the field names of NATS' own clients.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde::{Deserialize, Deserializer, Serialize};

use crate::jetstream::api::Time;

const DIGEST: &str = "SHA-256=";

/// What the writer of an object says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Its name: any text.
    pub name: String,
    /// What people should know of it.
    pub description: String,
    /// Names and values of the writer's own.
    pub metadata: BTreeMap<String, String>,
    /// How many bytes a chunk has; 0: 128 KiB, or fewer where the server takes no more.
    pub chunk_bytes: usize,
}

impl Meta {
    /// An object of this name.
    pub fn new(name: impl Into<String>) -> Meta {
        Meta { name: name.into(), ..Meta::default() }
    }
}

/// An object's entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// What people should know of it.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub description: String,
    /// Headers that its writer gave it.
    #[serde(skip_serializing_if = "none_or_empty")]
    pub headers: Option<BTreeMap<String, Vec<String>>>,
    /// Names and values of the writer's own.
    #[serde(skip_serializing_if = "none_or_empty")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// How it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
    /// Its bucket.
    #[serde(deserialize_with = "or_default")]
    pub bucket: String,
    /// The token in the subject of its chunks.
    #[serde(deserialize_with = "or_default")]
    pub nuid: String,
    /// In bytes.
    #[serde(deserialize_with = "or_default")]
    pub size: u64,
    /// When it was written: what the stream says where the entry was read from one.
    #[serde(deserialize_with = "time_or_none")]
    pub mtime: Time,
    /// How many chunks.
    #[serde(deserialize_with = "or_default")]
    pub chunks: u64,
    /// `SHA-256=` and the digest in base64url.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub digest: String,
    /// Whether it was deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "or_default")]
    pub deleted: bool,
}

/// How an object is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// The object that this one stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
    /// Bytes of a chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_chunk_size: Option<u64>,
}

/// An object, or without a name a bucket, that another object stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// The bucket.
    pub bucket: String,
    /// The object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl Info {
    /// What it stands for, if it is a link.
    pub fn link(&self) -> Option<&Link> {
        self.options.as_ref()?.link.as_ref()
    }

    /// Whether it has this digest. Writers differ in whether they pad it.
    pub(super) fn has_digest(&self, digest: &[u8]) -> bool {
        let Some(text) = self.digest.strip_prefix(DIGEST) else { return false };
        digest_text(digest)[DIGEST.len()..].trim_end_matches('=') == text.trim_end_matches('=')
    }
}

/// A digest as entries have it.
pub(super) fn digest_text(digest: &[u8]) -> String {
    format!("{DIGEST}{}", URL_SAFE.encode(digest))
}

/// Writers differ in what they leave out and what they write as `null`.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(input: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

/// Writers differ in the form of their times, and some write none: readers go by the stream's.
fn time_or_none<'de, D: Deserializer<'de>>(input: D) -> Result<Time, D::Error> {
    let text = Option::<String>::deserialize(input)?.unwrap_or_default();
    Ok(text.parse().unwrap_or_default())
}

fn none_or_empty<V>(map: &Option<BTreeMap<String, V>>) -> bool {
    map.as_ref().is_none_or(BTreeMap::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn an_entry_of_another_client_is_read() {
        let json = r#"{"name":"x","options":{"max_chunk_size":131072},"bucket":"b","nuid":"N","size":3,
            "mtime":"2024-05-01T10:00:00.5+00:00","chunks":1,"headers":null,"metadata":null,
            "digest":"SHA-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0="}"#;
        let info: Info = serde_json::from_str(json).unwrap();
        assert!(info.has_digest(&Sha256::digest(b"abc")) && !info.has_digest(&Sha256::digest(b"abd")));
        assert_eq!((info.size, info.chunks, info.link()), (3, 1, None));
        let deleted = r#"{"name":"x","bucket":"b","nuid":"N","size":0,"mtime":"","chunks":null,"digest":null,
            "description":null,"options":null,"deleted":true}"#;
        let deleted: Info = serde_json::from_str(deleted).unwrap();
        assert_eq!((deleted.deleted, deleted.mtime, deleted.chunks), (true, Time(0), 0));
        let link: Info =
            serde_json::from_str(r#"{"name":"y","options":{"link":{"bucket":"b","name":"x"}}}"#).unwrap();
        assert_eq!(link.link().map(|l| l.name.as_str()), Some("x"));
    }

    #[test]
    fn a_digest_without_a_name_or_of_another_kind_is_none() {
        let info = Info { digest: "MD5=abc".into(), ..Info::default() };
        assert!(!info.has_digest(b"") && !Info::default().has_digest(b""));
    }
}
