//! What the API's refusals mean: from a status and an error code to a row of the one table of codes.

use kernel::Code;
use serde::Deserialize;

use super::api::ApiError;
use crate::{Error, Headers, Message};

/// How long to wait before the next attempt, in milliseconds.
const RETRY_AFTER_MS: &str = "Retry-After-Ms";
/// Our own code, where the server knows it.
const ERROR_CODE: &str = "Nats-Service-Error-Code";

/// Error codes of the API that say more than their status.
pub(crate) mod err_code {
    pub(crate) const STREAM_NOT_FOUND: u32 = 10059;
    pub(crate) const WRONG_LAST_SEQUENCE: u32 = 10071;
    pub(crate) const WRONG_LAST_SEQUENCE_CONSTANT: u32 = 10164;
}

/// Rows: an error code and what it means to us, where the status alone would say something else.
const CODES: &[(u32, Code)] = &[
    (10002, Code::LimitExceeded),      // resource limits exceeded for account
    (10023, Code::Backpressure),       // insufficient resources
    (10026, Code::LimitExceeded),      // maximum consumers limit reached
    (10027, Code::LimitExceeded),      // maximum number of streams reached
    (10028, Code::LimitExceeded),      // insufficient memory resources available
    (10039, Code::ServiceUnavailable), // JetStream not enabled for account
    (10047, Code::LimitExceeded),      // insufficient storage resources available
    (10053, Code::LimitExceeded),      // limits of a stream
    (10054, Code::PayloadTooLarge),    // message size exceeds maximum allowed
    (10074, Code::InvalidRequest),     // replicas > 1 not supported in non-clustered mode
    (10076, Code::ServiceUnavailable), // JetStream not enabled
    (10077, Code::Backpressure), // maximum messages or bytes exceeded: it is full and discards what is new
    (10097, Code::PayloadTooLarge), // header size exceeds maximum allowed
    (10117, Code::LimitExceeded), // subject details would exceed maximum allowed
    (10118, Code::ServiceUnavailable), // stream is offline
    (10119, Code::ServiceUnavailable), // consumer is offline
    (10120, Code::LimitExceeded), // no JetStream default or applicable tiered limit present
    (10158, Code::ServiceUnavailable), // duplicate message id is in process
    (10167, Code::Backpressure), // too many requests
];

#[derive(Deserialize)]
struct Refused {
    error: ApiError,
}

/// The error that an answer carries, if it does.
pub(crate) fn refused(answer: &Message) -> Option<Error> {
    if let Ok(Refused { error }) = serde_json::from_slice::<Refused>(&answer.payload) {
        return Some(error_of(error, &Headers::new(&answer.headers)));
    }
    let headers = Headers::new(&answer.headers);
    let status = headers.status().filter(|status| *status >= 400)?;
    Some(error_of(
        ApiError { code: status, err_code: 0, description: description(&answer.headers) },
        &headers,
    ))
}

/// The error with its code and the time that the server asks for.
pub(crate) fn error_of(error: ApiError, headers: &Headers<'_>) -> Error {
    let ours = headers.first(ERROR_CODE).and_then(|n| n.parse().ok()).and_then(Code::from_number);
    Error::Api {
        code: ours.unwrap_or_else(|| code_of(&error)),
        status: error.code,
        err_code: error.err_code,
        description: error.description,
        retry_after_ms: headers.first(RETRY_AFTER_MS).and_then(|ms| ms.parse().ok()),
    }
}

/// What stands behind the number in the first line of a header block.
pub(crate) fn description(block: &[u8]) -> String {
    let first = block.split(|b| *b == b'\r').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    let mut words = first.split_ascii_whitespace().skip(2).peekable();
    let mut text = words.next().unwrap_or_default().to_owned();
    words.for_each(|word| {
        text.push(' ');
        text.push_str(word);
    });
    text
}

fn code_of(error: &ApiError) -> Code {
    if let Some((_, code)) = CODES.iter().find(|(number, _)| *number == error.err_code) {
        return *code;
    }
    match error.code {
        401 => Code::AuthFailed,
        403 => Code::PermissionDenied,
        404 => Code::StreamNotFound,
        408 | 504 => Code::Timeout,
        409 => Code::StaleLease,
        413 => Code::PayloadTooLarge,
        429 => Code::Backpressure,
        503 if error.description.to_ascii_lowercase().contains("too many requests") => Code::Backpressure,
        503 => Code::ServiceUnavailable,
        500.. => Code::InternalError,
        _ => Code::InvalidRequest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers;

    fn answer(json: &str, pairs: &[(&str, &str)]) -> Message {
        let headers = headers::block(pairs.iter().copied()).unwrap();
        Message { payload: json.to_owned().into(), headers: headers.into(), ..Message::default() }
    }

    #[test]
    fn a_refusal_keeps_what_the_server_said_and_has_a_code() {
        for (status, err_code, text, code) in [
            (404, 10059, "stream not found", Code::StreamNotFound),
            (404, 10014, "consumer not found", Code::StreamNotFound),
            (400, 10058, "stream name already in use", Code::InvalidRequest),
            (400, 10071, "wrong last sequence: 7", Code::InvalidRequest),
            (400, 10054, "message size exceeds maximum allowed", Code::PayloadTooLarge),
            (503, 10077, "maximum messages exceeded", Code::Backpressure),
            (429, 10167, "too many requests", Code::Backpressure),
            (503, 1, "Too Many Requests", Code::Backpressure),
            (503, 10008, "system temporarily unavailable", Code::ServiceUnavailable),
            (409, 0, "stale", Code::StaleLease),
            (500, 10051, "general", Code::InternalError),
        ] {
            let json = format!(
                r#"{{"type":"x","error":{{"code":{status},"err_code":{err_code},"description":"{text}"}}}}"#
            );
            let error = refused(&answer(&json, &[])).unwrap();
            assert_eq!(error.code(), code, "{json}");
            assert!(matches!(error, Error::Api { status: s, err_code: e, ref description, .. }
                if s == status && e == err_code && description == text));
        }
    }

    #[test]
    fn our_own_code_and_the_time_to_wait_are_read_from_the_headers() {
        let json = r#"{"error":{"code":503,"description":"full"}}"#;
        let error = refused(&answer(json, &[("Retry-After-Ms", "250"), ("Nats-Service-Error-Code", "6003")]))
            .unwrap();
        assert_eq!((error.code(), error.retry_after_ms()), (Code::Backpressure, Some(250)));
    }

    #[test]
    fn a_status_without_a_body_is_a_refusal_and_an_acknowledgement_is_none() {
        let stale = Message { headers: "NATS/1.0 409 Stale Lease\r\n\r\n".into(), ..Message::default() };
        let error = refused(&stale).unwrap();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            (Code::StaleLease, "the server said: Stale Lease (409)")
        );
        assert_eq!(refused(&Message::default()), None);
        assert_eq!(refused(&answer(r#"{"stream":"S","seq":1}"#, &[])), None);
    }
}
