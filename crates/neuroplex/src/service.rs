//! How an answer says that the service failed: the two headers that NATS services use.

use client::headers;
use kernel::{Code, Headers};

/// What went wrong, in words.
const ERROR: &str = "Nats-Service-Error";
/// A number; ours are those of the code table.
const ERROR_CODE: &str = "Nats-Service-Error-Code";

/// The header block of an answer that is an error.
pub(crate) fn failed(code: Code, text: &str) -> Vec<u8> {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let number = code.number().to_string();
    headers::block([(ERROR, text.as_str()), (ERROR_CODE, number.as_str())]).unwrap_or_default()
}

/// The error that an answer carries: its code, if it is one of ours, and its words.
pub(crate) fn error(headers: Headers<'_>) -> Option<(Option<Code>, String)> {
    let number = headers.first(ERROR_CODE);
    let text = headers.first(ERROR).or(number)?;
    Some((number.and_then(|n| n.parse().ok()).and_then(Code::from_number), text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_goes_there_and_back_in_headers() {
        let block = failed(Code::Timeout, "took\ntoo long");
        assert_eq!(error(Headers::new(&block)), Some((Some(Code::Timeout), "took too long".into())));
        assert_eq!(error(Headers::default()), None);
        let theirs = headers::block([(ERROR_CODE, "404")]).unwrap();
        assert_eq!(error(Headers::new(&theirs)), Some((None, "404".into())));
    }
}
