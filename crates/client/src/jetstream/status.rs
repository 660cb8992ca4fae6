//! What comes on a pull's inbox besides messages: heartbeats, and why a pull has ended.

use kernel::{Code, Message};

use super::refusal::description;
use crate::{Error, Headers};

const PENDING_MESSAGES: &str = "Nats-Pending-Messages";
const PENDING_BYTES: &str = "Nats-Pending-Bytes";

/// What a pull had still to get when it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unserved {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// A message.
    Message,
    /// The server is still there, and nothing new is.
    Heartbeat,
    /// This pull is over, and another may follow. `None`: how much was left of it was not said.
    Over(Option<Unserved>),
    /// The next message alone is larger than what the pull has left.
    TooLarge(Option<Unserved>),
    /// Another pull would end likewise.
    Failed(Error),
}

/// Reads the first line of a message's headers.
pub(crate) fn read(message: &Message) -> Status {
    let headers = Headers::new(&message.headers);
    let Some(status) = headers.status() else { return Status::Message };
    let number = |name| headers.first(name).and_then(|n| n.parse().ok());
    let unserved = || {
        let messages = number(PENDING_MESSAGES)?;
        Some(Unserved { messages, bytes: number(PENDING_BYTES).unwrap_or_default() })
    };
    let text = description(&message.headers);
    let failed = |code| {
        Status::Failed(Error::Api {
            code,
            status,
            err_code: 0,
            description: text.clone(),
            retry_after_ms: None,
        })
    };
    let lower = text.to_ascii_lowercase();
    match status {
        100 => Status::Heartbeat,
        404 | 408 => Status::Over(unserved()),
        409 if lower.starts_with("message size exceeds") => Status::TooLarge(unserved()),
        409 if lower.starts_with("consumer deleted") => failed(Code::NotFound),
        409 if lower.starts_with("consumer is push based") => failed(Code::InvalidRequest),
        409 if lower.starts_with("exceeded maxrequest") => failed(Code::InvalidRequest),
        // Batch Completed, Leadership Change, Server Shutdown, Exceeded MaxWaiting.
        409 => Status::Over(unserved()),
        503 => failed(Code::NotFound),
        _ => failed(Code::InvalidRequest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(first: &str, rest: &str) -> Status {
        let headers = format!("NATS/1.0{first}\r\n{rest}\r\n");
        read(&Message { headers: headers.into(), ..Message::default() })
    }

    #[test]
    fn every_status_of_a_pull_is_understood() {
        let left = "Nats-Pending-Messages: 7\r\nNats-Pending-Bytes: 100\r\n";
        let unserved = Some(Unserved { messages: 7, bytes: 100 });
        assert_eq!(read(&Message::default()), Status::Message);
        assert_eq!(status("", "Color: blue\r\n"), Status::Message);
        assert_eq!(status(" 100 Idle Heartbeat", ""), Status::Heartbeat);
        assert_eq!(status(" 404 No Messages", ""), Status::Over(None));
        assert_eq!(status(" 408 Request Timeout", left), Status::Over(unserved));
        for over in ["Batch Completed", "Leadership Change", "Server Shutdown", "Exceeded MaxWaiting"] {
            assert_eq!(status(&format!(" 409 {over}"), left), Status::Over(unserved), "{over}");
        }
        assert_eq!(status(" 409 Message Size Exceeds MaxBytes", left), Status::TooLarge(unserved));
    }

    #[test]
    fn what_would_fail_again_is_an_error_with_its_code() {
        for (first, code) in [
            (" 409 Consumer Deleted", Code::NotFound),
            (" 409 Consumer is push based", Code::InvalidRequest),
            (" 409 Exceeded MaxRequestBatch of 10", Code::InvalidRequest),
            (" 400 Bad Request - heartbeat value too large", Code::InvalidRequest),
            (" 503", Code::NotFound),
        ] {
            let Status::Failed(error) = status(first, "") else { panic!("{first}") };
            assert_eq!(error.code(), code, "{first}");
        }
    }
}
