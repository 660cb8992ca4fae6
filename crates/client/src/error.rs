//! Why a call did not do what was asked, each with a code of the one table.

use kernel::{Code, Message, Retry};
use wire::jetstream::Fault;

/// What went wrong. Clones are cheap enough to tell everybody who waits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address of a server cannot be read. Nothing was done.
    #[error("`{url}` is no server address: {reason}")]
    Url {
        /// What was given, without its credentials.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No connection to this server.
    #[error("cannot connect to {server}: {reason}")]
    Connect {
        /// The server that was tried.
        server: String,
        /// What the system said.
        reason: String,
    },
    /// The server was reached, but did not finish its side of the handshake in time.
    #[error("{server} accepted the connection but did not finish the handshake within {timeout_ms} ms")]
    Handshake {
        /// The server that was tried.
        server: String,
        /// How long the client waited.
        timeout_ms: u64,
    },
    /// TLS with the server failed, such as by an authority that is not trusted.
    #[error("TLS with {server} failed: {reason}")]
    Tls {
        /// The server that was tried.
        server: String,
        /// What rustls said.
        reason: String,
    },
    /// The address says `tls://`, or [`crate::Options`] name an authority, a certificate or a configuration for TLS,
    /// but the server speaks no TLS. Nothing was sent, no credentials either.
    #[error("{server} offers no TLS, and its address or the client's TLS options ask for it")]
    TlsUnavailable {
        /// The server that was tried.
        server: String,
    },
    /// The TLS configuration cannot be made.
    #[error("{0}")]
    TlsFiles(String),
    /// The server refused with `-ERR`.
    #[error("the server said: {text}")]
    Refused {
        /// What its text means.
        code: Code,
        /// Its text.
        text: String,
    },
    /// What came is not the protocol.
    #[error("what the server sent is not the NATS protocol: {0}")]
    Protocol(String),
    /// The connection broke. What was on its way may or may not have arrived.
    #[error("the connection was lost: {0}")]
    Disconnected(String),
    /// The client was closed or drained.
    #[error("the client is closed")]
    Closed,
    /// Not a subject that can be published to, or not a pattern. Nothing was sent.
    #[error("`{0}` is no valid subject")]
    Subject(String),
    /// Not a header block. Nothing was sent.
    #[error("the headers are malformed: a name has no colon or space, a value no line break")]
    Headers,
    /// The server takes no headers. Nothing was sent.
    #[error("the server does not support headers")]
    HeadersUnsupported,
    /// Larger than the server takes. Nothing was sent.
    #[error("the message has {bytes} bytes of headers and payload, and the server takes at most {bytes_max}")]
    PayloadTooLarge {
        /// Its size.
        bytes: usize,
        /// The server's limit.
        bytes_max: usize,
    },
    /// The connection is away and the buffer for this time is full. This message was not taken.
    #[error("the connection is away and {bytes} bytes already wait for it")]
    BufferFull {
        /// What waits.
        bytes: usize,
    },
    /// No answer in time.
    #[error("no answer on `{subject}` within {timeout_ms} ms")]
    Timeout {
        /// Where the request went.
        subject: String,
        /// How long the client waited.
        timeout_ms: u64,
    },
    /// Nobody listens.
    #[error("nobody listens on `{subject}`")]
    NoResponders {
        /// Where the request went.
        subject: String,
    },
    /// The service answered that it failed.
    #[error("the service failed: {text} ({number})")]
    Service {
        /// What its number means; [`Code::InternalError`] when it is none of ours.
        code: Code,
        /// The number as it came; 0: none.
        number: u16,
        /// In its words.
        text: String,
    },
    /// A value that JSON cannot hold. Nothing was sent.
    #[error("this cannot be written as JSON: {0}")]
    Encode(String),
    /// A message that is not what was expected. It was taken, and is here.
    #[error("a message on `{}` is not what was expected: {reason}", String::from_utf8_lossy(&message.subject))]
    Decode {
        /// What is wrong with it.
        reason: String,
        /// The message.
        message: Box<Message>,
    },
    /// The system gives no random numbers, so no inbox can be made.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// The server's stream API refused; what happened to the state is what `code` says.
    #[error("the server said: {description} ({})", number(*err_code, *status))]
    Api {
        /// What it means.
        code: Code,
        /// The family, as HTTP has it: 400, 404, 503.
        status: u16,
        /// Exactly what, such as 10059; 0: the server did not say.
        err_code: u32,
        /// In the server's words.
        description: String,
        /// How long the server asks to wait before the next attempt.
        retry_after_ms: Option<u64>,
    },
    /// The server has no durable streams, or does not let this user reach them.
    #[error("nobody answers on `{subject}`: the server has no durable streams, or not for this user")]
    NoStreams {
        /// Where the question went.
        subject: String,
    },
    /// No stream stores messages of this subject. It was not stored.
    #[error("no stream stores messages on `{subject}`")]
    NoStream {
        /// Where it went.
        subject: String,
    },
    /// There is no such key, object, bucket, consumer or message.
    #[error("there is no {0}")]
    Absent(String),
    /// A name that the protocol does not allow. Nothing was sent.
    #[error("`{name}` is no valid name of a {what}: {rule}")]
    Name {
        /// Of what: `stream`, `consumer`, `bucket`, `key`, `object`.
        what: &'static str,
        /// What was given.
        name: String,
        /// What names look like.
        rule: &'static str,
    },
    /// The key has another revision than the writer expected. Nothing was written.
    #[error("key `{key}` of bucket `{bucket}` has another revision than expected")]
    Revision {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// What came of an object is not what was stored: its digest, its size or its number of chunks differ.
    #[error("object `{0}` is damaged: what came is not what its entry says")]
    Damaged(String),
    /// The source of an object cannot be read, or its destination not written.
    #[error("{reason}")]
    Io {
        /// What kind of trouble.
        kind: std::io::ErrorKind,
        /// What the system said.
        reason: String,
    },
}

/// The more exact of the two numbers.
fn number(err_code: u32, status: u16) -> u32 {
    if err_code == 0 { status.into() } else { err_code }
}

impl Error {
    /// The row of the code table.
    pub fn code(&self) -> Code {
        match self {
            Error::Url { .. } | Error::Headers | Error::HeadersUnsupported => Code::InvalidRequest,
            Error::Connect { .. }
            | Error::Handshake { .. }
            | Error::Tls { .. }
            | Error::Protocol(_)
            | Error::Disconnected(_)
            | Error::Closed => Code::ConnectionError,
            Error::TlsUnavailable { .. } => Code::TlsRequired,
            Error::TlsFiles(_) => Code::ConfigInvalid,
            Error::Refused { code, .. } => *code,
            Error::Subject(_) => Code::SubjectInvalid,
            Error::PayloadTooLarge { .. } => Code::PayloadTooLarge,
            Error::BufferFull { .. } => Code::Backpressure,
            Error::Timeout { .. } => Code::Timeout,
            Error::NoResponders { .. } | Error::NoStreams { .. } => Code::NoResponders,
            Error::NoRandomness | Error::Damaged(_) => Code::InternalError,
            Error::Api { code, .. } | Error::Service { code, .. } => *code,
            Error::NoStream { .. } => Code::StreamNotFound,
            Error::Absent(_) => Code::NotFound,
            Error::Revision { .. } => Code::Conflict,
            Error::Name { .. } | Error::Io { .. } | Error::Encode(_) | Error::Decode { .. } => {
                Code::InvalidRequest
            }
        }
    }

    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        self.code().retry()
    }

    /// What became of the request, in a sentence.
    pub fn state(&self) -> &'static str {
        self.code().state()
    }

    /// How long the server asks to wait before the next attempt, in milliseconds.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Error::Api { retry_after_ms, .. } => *retry_after_ms,
            _ => None,
        }
    }

    /// The stream API's own number of the refusal, such as 10059.
    pub fn err_code(&self) -> Option<u32> {
        match self {
            Error::Api { err_code, .. } => Some(*err_code),
            _ => None,
        }
    }
}

impl Error {
    /// The row of the stream API's table, where it has one.
    pub(crate) fn fault(&self) -> Option<Fault> {
        Fault::from_number(u16::try_from(self.err_code()?).ok()?)
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Error {
        Error::Io { kind: e.kind(), reason: e.to_string() }
    }
}

impl From<wire::nats::Error> for Error {
    fn from(e: wire::nats::Error) -> Error {
        Error::Protocol(e.to_string())
    }
}

impl From<net::Error> for Error {
    fn from(e: net::Error) -> Error {
        Error::TlsFiles(e.to_string())
    }
}
