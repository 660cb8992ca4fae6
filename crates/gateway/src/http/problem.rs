//! What goes wrong, as every route of the door says it: a problem document (RFC 9457) with a row of the one table of
//! codes. It does *not* decide what is wrong.

use std::collections::BTreeMap;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use kernel::{Code, Retry};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use wire::jetstream::{ApiError, Fault};

/// The media type of a problem document.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";
/// How long to wait where a stream is full and nobody said how long.
const FULL_WAIT_MS: u64 = 100;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    code: Code,
    status: u16,
    detail: String,
    /// JetStream's own number for it; 0: it has none.
    err_code: u16,
    retry_after_ms: Option<u64>,
    more: More,
}

type More = BTreeMap<&'static str, Box<RawValue>>;

/// A problem as it is written.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: u16,
    name: &'static str,
    retry: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    err_code: Option<u16>,
    #[serde(flatten)]
    more: &'a More,
}

impl Problem {
    /// A problem with the status of its code.
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Problem {
        let retry_after_ms = (code.retry() == Retry::After).then_some(FULL_WAIT_MS);
        let status = code.http_status();
        Problem(Box::new(Parts {
            code,
            status,
            detail: detail.into(),
            err_code: 0,
            retry_after_ms,
            more: More::new(),
        }))
    }

    /// The request itself is wrong, in a way for which HTTP has a status of its own.
    pub(super) fn of_http(status: StatusCode, detail: impl Into<String>) -> Problem {
        let mut problem = Problem::new(Code::InvalidRequest, detail);
        problem.0.status = status.as_u16();
        problem
    }

    /// The same problem with one more member in its document.
    pub(super) fn with(mut self, member: &'static str, value: &impl Serialize) -> Problem {
        // What cannot be written is left out.
        self.0.more.extend(to_raw_value(value).ok().map(|raw| (member, raw)));
        self
    }

    /// Its words.
    pub(super) fn text(&self) -> &str {
        &self.0.detail
    }

    /// The same problem with other words.
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.0.detail = detail.into();
        self
    }

    /// The status of its answer.
    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Its row of the table.
    pub(super) fn code(&self) -> Code {
        self.0.code
    }

    /// Whether it is this error of JetStream.
    pub(super) fn is(&self, fault: Fault) -> bool {
        self.0.err_code == fault.number()
    }
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Parts { code, status, ref detail, err_code, retry_after_ms, ref more } = *self.0;
        let document = Document {
            r#type: format!("urn:neuroplex:error:{}", code.number()),
            title: code.meaning(),
            status,
            detail,
            code: code.number(),
            name: code.name(),
            retry: code.retry().as_str(),
            retry_after_ms,
            err_code: (err_code > 0).then_some(err_code),
            more,
        };
        document.serialize(out)
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Problem {
        let mut problem = Problem::new(error.kernel_code(), error.description.into_owned());
        problem.0.err_code = error.err_code;
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = wire::jetstream::write(&self);
        let mut response = (status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if let Some(ms) = self.0.retry_after_ms {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
        }
        if status == StatusCode::UNAUTHORIZED {
            let ways = HeaderValue::from_static("Basic realm=\"neuroplex\", charset=\"UTF-8\", Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, ways);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(problem: &Problem) -> Value {
        serde_json::to_value(problem).unwrap()
    }

    #[test]
    fn a_problem_names_its_code_and_what_the_stream_said() {
        let problem = Problem::from(Fault::WrongLastSequence.with(7)).with("line", &3);
        let document = document(&problem);
        assert_eq!(document["code"], Fault::WrongLastSequence.code().number());
        assert_eq!(
            (&document["err_code"], &document["line"], &document["retry"]),
            (&json!(10071), &json!(3), &json!("no"))
        );
        assert_eq!(document["detail"], "wrong last sequence: 7");
        assert_eq!(
            document["type"],
            format!("urn:neuroplex:error:{}", Fault::WrongLastSequence.code().number())
        );
    }

    #[test]
    fn who_should_wait_is_told_how_long() {
        let full = Problem::new(Code::Backpressure, "full");
        assert_eq!(document(&full)["retry_after_ms"], FULL_WAIT_MS);
        let response = full.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
        let unknown = Problem::new(Code::AuthFailed, "").into_response();
        assert!(unknown.headers().contains_key(WWW_AUTHENTICATE));
    }
}
