//! Which names can be: of streams, consumers, buckets, keys and objects. Subjects are the kernel's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use kernel::{Subject, SubjectPattern};

use crate::Error;

/// Longest name of a stream or consumer, in bytes: they are names of files.
const NAME_BYTES_MAX: usize = 255;

const TOKEN_RULE: &str = "up to 255 characters without white space, `.`, `*`, `>`, `/` and `\\`";
const BUCKET_RULE: &str = "letters, digits, `_` and `-`";
const KEY_RULE: &str =
    "letters, digits and any of `-/_=.`, without a dot at either end and two of them in a row";

/// A name of a stream.
pub(crate) fn stream(name: &str) -> Result<(), Error> {
    expect("stream", name, TOKEN_RULE, is_token(name))
}

/// A name of a consumer.
pub(crate) fn consumer(name: &str) -> Result<(), Error> {
    expect("consumer", name, TOKEN_RULE, is_token(name))
}

/// A name of a bucket of keys or of objects.
pub(crate) fn bucket(name: &str) -> Result<(), Error> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    expect("bucket", name, BUCKET_RULE, is_token(name) && name.bytes().all(legal))
}

/// A key.
pub(crate) fn key(name: &str) -> Result<(), Error> {
    let legal = name.bytes().all(is_key_byte) && Subject::parse(name.as_bytes()).is_ok();
    expect("key", name, KEY_RULE, legal)
}

/// A key, or a pattern of keys: `*` for one token, `>` for the rest.
pub(crate) fn key_pattern(name: &str) -> Result<(), Error> {
    let legal = name.bytes().all(|b| is_key_byte(b) || b == b'*' || b == b'>');
    expect("key", name, KEY_RULE, legal && SubjectPattern::parse(name.as_bytes()).is_ok())
}

/// The token that stands for an object's name in its subject.
pub(crate) fn object(name: &str) -> Result<String, Error> {
    let token = URL_SAFE.encode(name);
    // A longer one would be no subject.
    let legal = !name.is_empty() && Subject::parse(token.as_bytes()).is_ok();
    expect("object", name, "any text of 1 to about 700 bytes", legal)?;
    Ok(token)
}

fn is_token(name: &str) -> bool {
    let legal = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '.' | '*' | '>' | '/' | '\\');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(legal)
}

fn is_key_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-/_=.".contains(&b)
}

fn expect(what: &'static str, name: &str, rule: &'static str, holds: bool) -> Result<(), Error> {
    match holds {
        true => Ok(()),
        false => Err(Error::Name { what, name: name.into(), rule }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_be_other_subjects_or_files_are_refused() {
        for good in ["ORDERS", "größe", "a-b_c", &"x".repeat(255)] {
            assert!(stream(good).is_ok() && consumer(good).is_ok(), "{good}");
        }
        for bad in ["", "a.b", "a b", "*", ">", "a/b", "a\\b", "a\n", &"x".repeat(256)] {
            assert!(stream(bad).is_err() && consumer(bad).is_err(), "{bad:?}");
        }
        assert!(bucket("my-bucket_1").is_ok());
        for bad in ["", "a.b", "größe", "a b"] {
            assert!(bucket(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn keys_are_subjects_of_few_characters() {
        for good in ["a", "a.b.c", "x/y=z", "_kv", "A-1"] {
            assert!(key(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "a.", "a..b", "a.*", ">", "a b", "ä"] {
            assert!(key(bad).is_err(), "{bad:?}");
        }
        assert!(key_pattern("a.*").is_ok() && key_pattern(">").is_ok() && key_pattern("a.>").is_ok());
        assert!(key_pattern("a.>.b").is_err() && key_pattern("a b").is_err());
    }

    #[test]
    fn an_object_may_have_any_name() {
        assert_eq!(object("photos/ä b.jpg").unwrap(), "cGhvdG9zL8OkIGIuanBn");
        assert_eq!(object("a").unwrap(), "YQ==");
        assert!(object("").is_err() && object(&"x".repeat(5000)).is_err());
    }
}
