//! What is sent: the body, from the command line or stdin, and the headers.

use client::headers;
use kernel::Code;
use tokio::io::AsyncReadExt as _;

use crate::failure::Failure;

/// Largest body that is read from stdin, in bytes: no server takes more.
const STDIN_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The arguments of commands that send something.
#[derive(clap::Args, Debug)]
pub(crate) struct BodyArgs {
    /// The content; `-` reads stdin; nothing: empty
    #[arg(value_name = "BODY|-", allow_hyphen_values = true)]
    body: Option<String>,

    /// A header; may be given more than once
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE")]
    headers: Vec<HeaderArg>,
}

/// What is sent, ready for a message.
pub(crate) struct Content {
    pub(crate) headers: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl BodyArgs {
    /// Reads everything, stdin too where it is asked for.
    pub(crate) async fn content(&self) -> Result<Content, Failure> {
        self.content_with(&[]).await
    }

    /// The same, with headers that other arguments stand for behind those given.
    pub(crate) async fn content_with(&self, more: &[(&str, &str)]) -> Result<Content, Failure> {
        let mut all = self.headers.clone();
        all.extend(
            more.iter().map(|(name, value)| HeaderArg { name: (*name).into(), value: (*value).into() }),
        );
        Ok(Content { headers: block(&all)?, payload: read(self.body.as_deref()).await? })
    }
}

/// The text as it is, or all of stdin for `-`.
pub(crate) async fn read(body: Option<&str>) -> Result<Vec<u8>, Failure> {
    let Some("-") = body else { return Ok(body.unwrap_or_default().as_bytes().to_vec()) };
    let mut bytes = Vec::new();
    let read = tokio::io::stdin().take(STDIN_BYTES_MAX + 1).read_to_end(&mut bytes).await;
    match read {
        Err(e) => Err(Failure::new(Code::InvalidRequest, format!("cannot read the body from stdin: {e}."))),
        Ok(_) if bytes.len() as u64 > STDIN_BYTES_MAX => Err(Failure::new(
            Code::PayloadTooLarge,
            "stdin has more than 64 MiB. Split it, or send the name of a file instead.",
        )),
        Ok(_) => Ok(bytes),
    }
}

/// `Name: value`, as `-H` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HeaderArg {
    name: String,
    value: String,
}

impl std::str::FromStr for HeaderArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<HeaderArg, &'static str> {
        let (name, value) = text.split_once(':').ok_or("a header is NAME:VALUE")?;
        let (name, value) = (name.trim(), value.trim());
        headers::block([(name, value)]).map_err(|_| "a name has no space, a value no line break")?;
        Ok(HeaderArg { name: name.into(), value: value.into() })
    }
}

/// The block of all of them; empty without any.
fn block(headers: &[HeaderArg]) -> Result<Vec<u8>, Failure> {
    headers::block(headers.iter().map(|h| (h.name.as_str(), h.value.as_str())))
        .map_err(|code| Failure::new(code, "the headers are malformed. A header is NAME:VALUE."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_people_write_them() {
        for text in ["Color:blue", "Color: blue", " Color : blue "] {
            let header: HeaderArg = text.parse().unwrap();
            assert_eq!(block(&[header]).unwrap(), b"NATS/1.0\r\nColor: blue\r\n\r\n");
        }
        for bad in ["Color", "Co lor: x", ": x", "A: 1\r\nB: 2"] {
            assert!(bad.parse::<HeaderArg>().is_err(), "{bad:?}");
        }
        assert!(block(&[]).unwrap().is_empty());
    }
}
