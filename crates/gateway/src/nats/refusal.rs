//! What the door says when something is wrong: only texts that nats-server says too, because clients match on them
//! and some close on a text that they do not know.

use kernel::Code;
use wire::nats::Error;

/// Texts after which the connection is closed.
pub(super) const AUTHORIZATION_VIOLATION: &str = "Authorization Violation";
pub(super) const INVALID_CLIENT_PROTOCOL: &str = "invalid client protocol";
pub(super) const NO_RESPONDERS_NEEDS_HEADERS: &str = "no responders requires headers support";
pub(super) const HEADERS_NOT_SUPPORTED: &str = "message headers not supported";
pub(super) const AUTHENTICATION_TIMEOUT: &[u8] = b"-ERR 'Authentication Timeout'\r\n";
pub(super) const STALE_CONNECTION: &[u8] = b"-ERR 'Stale Connection'\r\n";
pub(super) const SLOW_CONSUMER: &[u8] = b"-ERR 'Slow Consumer'\r\n";
pub(super) const CONNECTIONS_EXCEEDED: &[u8] = b"-ERR 'maximum connections exceeded'\r\n";

/// Texts after which it goes on.
pub(super) const INVALID_SUBJECT: &str = "Invalid Subject";
pub(super) const INVALID_PUBLISH_SUBJECT: &str = "Invalid Publish Subject";
pub(super) const SUBSCRIPTIONS_EXCEEDED: &str = "maximum subscriptions exceeded";

/// The text for bytes that are not the protocol.
pub(super) fn of_protocol(error: Error) -> &'static str {
    match error {
        Error::UnknownOperation => "Unknown Protocol Operation",
        Error::Arguments => "Parser Error",
        Error::ControlLineTooLong => "maximum control line exceeded",
        Error::PayloadTooLarge(_) => "Maximum Payload Violation",
    }
}

/// The last line for a client that is cut for a reason of ours.
pub(super) fn of_cut(why: Code) -> &'static [u8] {
    match why {
        Code::SlowConsumer => SLOW_CONSUMER,
        Code::Timeout => STALE_CONNECTION,
        Code::AuthFailed => AUTHENTICATION_TIMEOUT,
        Code::LimitExceeded => CONNECTIONS_EXCEEDED,
        _ => b"",
    }
}
