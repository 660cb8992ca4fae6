//! A pull request: what a consumer's client asks for, as JSON, as a plain number, or not at all.

use serde::{Deserialize, Serialize};

use super::document::{is_default, nullable, words_of};

/// A pull request. Durations are nanoseconds; 0 stands for none. Unknown fields are passed over, as the real server
/// does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each field is named as the protocol names it")]
pub struct PullRequest {
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub expires: i64,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub batch: i64,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub max_bytes: i64,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub no_wait: bool,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub idle_heartbeat: i64,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub group: String,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub min_pending: i64,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub min_ack_pending: i64,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub id: String,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub priority: i64,
}

impl PullRequest {
    /// A request for `batch` messages, without a limit of time.
    pub fn messages(batch: i64) -> PullRequest {
        PullRequest { batch, ..PullRequest::default() }
    }

    /// Reads the body of a request. A batch below one, and text that is neither JSON nor a number, ask for one message.
    /// Errors with what the answer `400 Bad Request - …` ends with.
    pub fn parse(body: &[u8]) -> Result<PullRequest, String> {
        let body = body.trim_ascii();
        let mut request = match body.first() {
            Some(b'{') => serde_json::from_slice(body).map_err(|e| words_of(&e))?,
            Some(_) => PullRequest::messages(number(body).unwrap_or(1)),
            None => PullRequest::messages(1),
        };
        request.batch = request.batch.max(1);
        Ok(request)
    }
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_a_request_is_read() {
        for (body, batch) in [
            ("", 1),
            (" ", 1),
            ("5", 5),
            ("+5", 5),
            ("0", 1),
            ("-3", 1),
            ("x", 1),
            ("1.5", 1),
            ("[]", 1),
            ("null", 1),
            ("{}", 1),
            ("{\"batch\":7,\"bogus\":1}", 7),
            ("{\"batch\":-1}", 1),
            ("{\"batch\":null}", 1),
        ] {
            assert_eq!(PullRequest::parse(body.as_bytes()), Ok(PullRequest::messages(batch)), "{body}");
        }
        let full = r#"{"expires":5,"batch":2,"max_bytes":9,"no_wait":true,"idle_heartbeat":1,"group":"g","min_pending":3,"min_ack_pending":4,"id":"p","priority":6}"#;
        assert_eq!(serde_json::to_string(&PullRequest::parse(full.as_bytes()).unwrap()).unwrap(), full);
        assert_eq!(PullRequest::parse(b"{"), Err("unexpected EOF".into()));
        assert!(PullRequest::parse(b"{\"batch\":\"1\"}").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(request) = PullRequest::parse(&bytes) {
                prop_assert!(request.batch >= 1);
            }
        }
    }
}
