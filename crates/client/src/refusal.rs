//! What the texts of `-ERR` mean. They are the protocol's, word for word as nats-server writes them.

use kernel::Code;

use crate::Error;

/// Beginnings of texts, in lower case; the first that fits decides.
const TEXTS: &[(&str, Code)] = &[
    ("permissions violation", Code::PermissionDenied),
    ("authorization violation", Code::AuthFailed),
    ("authentication timeout", Code::AuthFailed),
    ("user authentication", Code::AuthFailed),
    ("account authentication", Code::AuthFailed),
    ("credentials", Code::AuthFailed),
    ("secure connection - tls required", Code::TlsRequired),
    ("maximum payload", Code::PayloadTooLarge),
    ("slow consumer", Code::SlowConsumer),
    ("stale connection", Code::ConnectionError),
    ("server shutdown", Code::ServiceUnavailable),
    ("connection throttling", Code::RateLimited),
    ("maximum", Code::LimitExceeded),
    ("max", Code::LimitExceeded),
    ("invalid subject", Code::SubjectInvalid),
    ("invalid publish subject", Code::SubjectInvalid),
    ("invalid", Code::InvalidRequest),
    ("unknown protocol operation", Code::InvalidRequest),
    ("parser error", Code::InvalidRequest),
    ("no responders requires headers", Code::InvalidRequest),
    ("message headers not supported", Code::InvalidRequest),
];

/// The error that a text of `-ERR` stands for.
pub(crate) fn refused(text: &[u8]) -> Error {
    let text = String::from_utf8_lossy(text).into_owned();
    Error::Refused { code: code_of(&text), text }
}

fn code_of(text: &str) -> Code {
    let lower = text.to_ascii_lowercase();
    TEXTS.iter().find(|(start, _)| lower.starts_with(start)).map_or(Code::InternalError, |(_, code)| *code)
}

/// Whether it refuses a SUB for what it is, and leaves the connection open. It does not say which.
pub(crate) fn is_of_subscription(text: &str) -> bool {
    ["invalid subject", "maximum subscriptions exceeded"].contains(&text.trim().to_ascii_lowercase().as_str())
}

/// What a permission was denied for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Denied<'a> {
    Publish(&'a str),
    Subscribe { pattern: &'a str, queue: Option<&'a str> },
}

/// Reads `Permissions Violation for Publish to "a"` and its relatives. Subjects have no quotes to escape.
pub(crate) fn denied(text: &str) -> Option<Denied<'_>> {
    const START: &str = "permissions violation for ";
    let verb = text.get(START.len()..).filter(|_| text.to_ascii_lowercase().starts_with(START))?;
    let mut quoted = text.split('"').skip(1).step_by(2);
    let subject = quoted.next()?;
    match verb.to_ascii_lowercase() {
        v if v.starts_with("publish") => Some(Denied::Publish(subject)),
        v if v.starts_with("subscription") => {
            Some(Denied::Subscribe { pattern: subject, queue: quoted.next() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_the_protocol_have_codes() {
        for (text, code) in [
            ("Permissions Violation for Publish to \"a\"", Code::PermissionDenied),
            ("Authorization Violation", Code::AuthFailed),
            ("User Authentication Expired", Code::AuthFailed),
            ("Maximum Payload Violation", Code::PayloadTooLarge),
            ("maximum connections exceeded", Code::LimitExceeded),
            ("Maximum Control Line Exceeded", Code::LimitExceeded),
            ("Slow Consumer", Code::SlowConsumer),
            ("Stale Connection", Code::ConnectionError),
            ("Unknown Protocol Operation", Code::InvalidRequest),
            ("Invalid Publish Subject", Code::SubjectInvalid),
            ("Secure Connection - TLS Required", Code::TlsRequired),
            ("something that nobody knows", Code::InternalError),
        ] {
            assert_eq!(refused(text.as_bytes()).code(), code, "{text}");
        }
    }

    #[test]
    fn only_two_texts_refuse_a_subscription_without_naming_it() {
        for text in ["Invalid Subject", "maximum subscriptions exceeded", "Maximum Subscriptions Exceeded"] {
            assert!(is_of_subscription(text), "{text}");
        }
        for text in ["Invalid Publish Subject", "maximum connections exceeded", "Slow Consumer", ""] {
            assert!(!is_of_subscription(text), "{text}");
        }
    }

    #[test]
    fn a_denial_says_what_it_is_about() {
        assert_eq!(denied("Permissions Violation for Publish to \"a.b\""), Some(Denied::Publish("a.b")));
        assert_eq!(
            denied("Permissions Violation for Subscription to \"a.>\" using queue \"q\""),
            Some(Denied::Subscribe { pattern: "a.>", queue: Some("q") })
        );
        assert_eq!(denied("Permissions Violation for Subscription"), None);
        assert_eq!(denied("Slow Consumer"), None);
        assert_eq!(denied("é"), None);
    }
}
