//! Names of streams and consumers. Whether one is taken is *not* known here.

use super::{ApiError, Fault};

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// The name of a stream: a token of a subject, and harmless as part of a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName<'a>(&'a str);

/// The name of a consumer; the same letters as a [`StreamName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsumerName<'a>(&'a str);

impl<'a> StreamName<'a> {
    /// Reads a name, and errors as the real server does.
    pub fn parse(text: &'a str) -> Result<StreamName<'a>, ApiError> {
        if has_separator(text) {
            return Err(Fault::StreamNamePathSeparators.into());
        }
        if !is_token(text) {
            let why = r"stream name is required and can not contain '.', '*', '>', '\', '/'";
            return Err(Fault::StreamInvalidConfig.with(why));
        }
        if text.len() > NAME_BYTES_MAX {
            let why = format_args!("stream name is too long, maximum allowed is {NAME_BYTES_MAX}");
            return Err(Fault::StreamInvalidConfig.with(why));
        }
        Ok(StreamName(text))
    }

    /// The name as text.
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

impl<'a> ConsumerName<'a> {
    /// Reads a name, and errors as the real server does.
    pub fn parse(text: &'a str) -> Result<ConsumerName<'a>, ApiError> {
        if has_separator(text) {
            return Err(Fault::ConsumerNamePathSeparators.into());
        }
        if !is_token(text) {
            let why = r"consumer name can not contain '.', '*', '>', '\', '/'";
            return Err(Fault::StreamInvalidConfig.with(why));
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(Fault::ConsumerNameTooLong.with(NAME_BYTES_MAX));
        }
        Ok(ConsumerName(text))
    }

    /// The name as text.
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

fn has_separator(text: &str) -> bool {
    text.bytes().any(|b| b == b'/' || b == b'\\')
}

fn is_token(text: &str) -> bool {
    // Control characters would break the lines and subjects that a name stands in.
    let illegal = |b: u8| matches!(b, b'.' | b'*' | b'>' | b' ' | 0x7f) || b < b' ';
    !text.is_empty() && !text.bytes().any(illegal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_token_and_part_of_a_file_name() {
        let longest = "x".repeat(NAME_BYTES_MAX);
        for good in ["S", "a$b", "$JS", "é", "a\"b", "a-b_c", &longest] {
            assert_eq!(StreamName::parse(good).unwrap().as_str(), good);
            assert_eq!(ConsumerName::parse(good).unwrap().as_str(), good);
        }
        let too_long = "x".repeat(NAME_BYTES_MAX + 1);
        for (bad, stream, consumer) in [
            ("a/b", 10128, 10127),
            ("a\\b", 10128, 10127),
            ("", 10052, 10052),
            ("a.b", 10052, 10052),
            ("a b", 10052, 10052),
            ("a\tb", 10052, 10052),
            ("a*", 10052, 10052),
            (">", 10052, 10052),
            ("a\rb", 10052, 10052),
            (&too_long, 10052, 10102),
        ] {
            assert_eq!(StreamName::parse(bad).unwrap_err().err_code, stream, "{bad:?}");
            assert_eq!(ConsumerName::parse(bad).unwrap_err().err_code, consumer, "{bad:?}");
        }
    }
}
