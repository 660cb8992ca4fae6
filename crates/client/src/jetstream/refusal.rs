//! How the API says no, and what of it becomes an [`Error`]. What each of its numbers means stands in
//! [`wire::jetstream::Fault`], *not* here.

use kernel::Code;
use serde::Deserialize;

use super::api::ApiError;
use crate::{Error, Headers, Message};

/// How long to wait before the next attempt, in milliseconds.
const RETRY_AFTER_MS: &str = "Retry-After-Ms";
/// Our own code, where the server knows it.
const CODE: &str = "Np-Code";

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
        ApiError { code: status, err_code: 0, description: description(&answer.headers).into() },
        &headers,
    ))
}

/// The error with its code and the time that the server asks for.
pub(crate) fn error_of(error: ApiError, headers: &Headers<'_>) -> Error {
    let ours = headers.first(CODE).and_then(|n| n.parse().ok()).and_then(Code::from_number);
    Error::Api {
        code: ours.unwrap_or_else(|| code_of(&error)),
        status: error.code,
        err_code: error.err_code.into(),
        description: error.description.into_owned(),
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

/// What an error means; one without a number is a status in the first line of a header block.
fn code_of(error: &ApiError) -> Code {
    let says = |word| error.description.to_ascii_lowercase().contains(word);
    match error.code {
        _ if error.fault().is_some() => error.kernel_code(),
        409 if says("stale") => Code::StaleLease,
        429 | 503 if says("too many requests") => Code::Backpressure,
        _ => error.kernel_code(),
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
            (404, 10014, "consumer not found", Code::NotFound),
            (400, 10058, "stream name already in use", Code::Conflict),
            (400, 10071, "wrong last sequence: 7", Code::Conflict),
            (400, 10054, "message size exceeds maximum allowed", Code::PayloadTooLarge),
            (503, 10077, "maximum messages exceeded", Code::Backpressure),
            (429, 10167, "too many requests", Code::Backpressure),
            (503, 0, "Too Many Requests", Code::Backpressure),
            (404, 0, "Message Not Found", Code::NotFound),
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
        let error = refused(&answer(json, &[("Retry-After-Ms", "250"), ("Np-Code", "6003")])).unwrap();
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
