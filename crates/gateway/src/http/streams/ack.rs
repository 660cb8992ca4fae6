//! Acknowledgements: each is published on the subject that its token stands for, and counts when the consumer confirms
//! it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use kernel::{Code, Message, Msg};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use wire::jetstream::api::{ConsumerInfo, Nothing};
use wire::jetstream::{self as js, Ack, AckPolicy};

use super::pull::is_status;
use super::{ask, consumer_name, json_body, stream_name, token};
use crate::http::call::{ANSWER_TIMEOUT, Call, refused};
use crate::http::caller::{Caller, Names};
use crate::http::intake::Intake;
use crate::http::problem::Problem;

/// Most acknowledgements in one request.
const ACKS_MAX: usize = 1000;
/// How long to wait before asking whether the consumer gave such deliveries at all: it is silent about others.
const DOUBT: Duration = Duration::from_millis(250);

/// What a client says to one delivery.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    token: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default, deserialize_with = "wire::json::whole")]
    delay_ms: u64,
    #[serde(default)]
    reason: String,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Ack,
    Nak,
    Term,
    Wpi,
}

impl Said {
    fn ack(&self) -> Result<Ack<'_>, Problem> {
        let wrong = |detail: &str| Err(Problem::new(Code::InvalidRequest, detail));
        if self.delay_ms > 0 && self.kind != Kind::Nak {
            return wrong("delay_ms goes with the kind `nak`");
        }
        if !self.reason.is_empty() && self.kind != Kind::Term {
            return wrong("reason goes with the kind `term`");
        }
        Ok(match self.kind {
            Kind::Ack => Ack::Done,
            Kind::Nak => {
                Ack::Again { delay_ns: self.delay_ms.saturating_mul(1_000_000).min(i64::MAX as u64) }
            }
            Kind::Term => Ack::Never { reason: self.reason.as_bytes() },
            Kind::Wpi => Ack::Progress,
        })
    }
}

/// What became of one.
enum Fate {
    /// Published under this number; the place of its delivery among the consumer's.
    Waiting(u64, u64),
    Confirmed,
    Failed(Problem),
}

/// `POST /v1/streams/{stream}/consumers/{consumer}/ack`
pub(super) async fn ack(
    caller: Caller,
    Names((stream, consumer)): Names<(String, String)>,
    body: Intake,
) -> Result<Response, Problem> {
    let (stream, consumer) = (stream_name(&stream)?, consumer_name(&consumer)?);
    let body = json_body(body).await?;
    let all: Vec<Said> = serde_json::from_slice(&body)
        .map_err(|e| Problem::new(Code::InvalidRequest, format!("not a list of acknowledgements: {e}")))?;
    if all.len() > ACKS_MAX {
        let detail = format!("at most {ACKS_MAX} acknowledgements at once");
        return Err(Problem::new(Code::PayloadTooLarge, detail));
    }
    let mut call = caller.call(1 << 20)?;
    let mut fates: Vec<Fate> = all.iter().map(|said| publish(&mut call, said, stream, consumer)).collect();
    confirm(&caller, &mut call, &mut fates, stream, consumer).await;
    answer(&all, fates)
}

/// Publishes one acknowledgement.
fn publish(call: &mut Call, said: &Said, stream: &str, consumer: &str) -> Fate {
    let Some(subject) = token::read(&said.token, stream, consumer) else {
        return Fate::Failed(Problem::new(Code::NotFound, "this consumer gave no such token"));
    };
    let mut payload = Vec::new();
    match said.ack() {
        Ok(ack) => ack.write(&mut payload),
        Err(problem) => return Fate::Failed(problem),
    }
    match call.ask(&Msg { subject: &subject, payload: &payload, ..Msg::default() }) {
        Ok(number) => Fate::Waiting(number, token::consumer_seq(&subject)),
        Err(code) => Fate::Failed(refused(code, &format!("$JS.ACK.{stream}.{consumer}.>"))),
    }
}

/// Waits until every one is confirmed or refused. The consumer says nothing about deliveries that it never gave, so it is
/// asked how far it is.
async fn confirm(caller: &Caller, call: &mut Call, fates: &mut [Fate], stream: &str, consumer: &str) {
    hear(call, fates, Instant::now() + DOUBT).await;
    if !fates.iter().any(Fate::is_waiting) {
        return;
    }
    if let Ok(mut asking) = caller.call(1 << 20)
        && let Ok(info) = ask(&mut asking, js::Call::ConsumerInfo { stream, consumer }, &Nothing {}).await
    {
        fates.iter_mut().for_each(|fate| fate.doubt(&info));
    }
    hear(call, fates, Instant::now() + ANSWER_TIMEOUT).await;
    for fate in fates.iter_mut().filter(|fate| fate.is_waiting()) {
        let detail = "nobody confirmed it; look whether the message comes again";
        *fate = Fate::Failed(Problem::new(Code::Timeout, detail));
    }
}

impl Fate {
    fn is_waiting(&self) -> bool {
        matches!(self, Fate::Waiting(..))
    }

    /// Gives up what a consumer in this state will never confirm.
    fn doubt(&mut self, info: &ConsumerInfo) {
        let Fate::Waiting(_, consumer_seq) = *self else { return };
        if info.config.ack_policy == AckPolicy::None {
            *self =
                Fate::Failed(Problem::new(Code::InvalidRequest, "this consumer takes no acknowledgements"));
        } else if consumer_seq > info.delivered.consumer_seq {
            *self = Fate::Failed(Problem::new(Code::NotFound, "this consumer made no such delivery"));
        }
    }
}

/// Hears what comes until all is known.
async fn hear(call: &mut Call, fates: &mut [Fate], until: Instant) {
    while fates.iter().any(Fate::is_waiting) {
        let Some(answer) = call.hear(until).await else { return };
        let number = call.number_of(&answer);
        let own = |fate: &&mut Fate| matches!(fate, Fate::Waiting(n, _) if Some(*n) == number);
        if let Some(fate) = fates.iter_mut().find(own) {
            *fate = read(&answer);
        }
    }
}

/// What the consumer answers.
fn read(answer: &Message) -> Fate {
    if is_status(&answer.headers, 503) {
        return Fate::Failed(Problem::new(Code::NotFound, "the stream or the consumer is gone"));
    }
    if is_status(&answer.headers, 409) {
        return Fate::Failed(Problem::new(Code::StaleLease, "the message was delivered again since"));
    }
    Fate::Confirmed
}

/// What became of one, as it is answered.
#[derive(Serialize)]
struct Outcome<'a> {
    token: &'a str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Problem>,
}

/// The answer: what became of each, and as a whole 409 if any is stale, else as the first that failed.
fn answer(all: &[Said], fates: Vec<Fate>) -> Result<Response, Problem> {
    let problem = |fate: &Fate| match fate {
        Fate::Failed(problem) => Some(problem.clone()),
        _ => None,
    };
    let mut failed: Vec<Problem> = fates.iter().filter_map(problem).collect();
    let stale = failed.iter().position(|problem| problem.code() == Code::StaleLease);
    let outcomes: Vec<Outcome<'_>> = all
        .iter()
        .zip(&fates)
        .map(|(said, fate)| {
            let error = if let Fate::Failed(problem) = fate { Some(problem) } else { None };
            Outcome { token: &said.token, ok: error.is_none(), error }
        })
        .collect();
    if failed.is_empty() {
        return Ok(super::document(StatusCode::OK, &BTreeMap::from([("results", outcomes)])));
    }
    Err(failed.swap_remove(stale.unwrap_or(0)).with("results", &outcomes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(json: &str) -> Said {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_said_becomes_what_consumers_understand() {
        let written = |json: &str| {
            let (said, mut out) = (said(json), Vec::new());
            said.ack().map(|ack| ack.write(&mut out)).map(|()| String::from_utf8(out).unwrap())
        };
        for (json, body) in [
            (r#"{"token":"t"}"#, "+ACK"),
            (r#"{"token":"t","kind":"nak"}"#, "-NAK"),
            (r#"{"token":"t","kind":"nak","delay_ms":5}"#, r#"-NAK {"delay":5000000}"#),
            (r#"{"token":"t","kind":"wpi"}"#, "+WPI"),
            (r#"{"token":"t","kind":"term","reason":"bad"}"#, "+TERM bad"),
        ] {
            assert_eq!(written(json).unwrap(), body);
        }
        assert!(written(r#"{"token":"t","delay_ms":5}"#).is_err());
        assert!(written(r#"{"token":"t","reason":"x"}"#).is_err());
    }

    #[test]
    fn one_that_is_stale_makes_the_whole_answer_stale() {
        let all = [said(r#"{"token":"a"}"#), said(r#"{"token":"b"}"#), said(r#"{"token":"c"}"#)];
        let failed = |code| Fate::Failed(Problem::new(code, ""));
        let fates = vec![Fate::Confirmed, failed(Code::NotFound), failed(Code::StaleLease)];
        let problem = answer(&all, fates).unwrap_err();
        let document = serde_json::to_value(&problem).unwrap();
        assert_eq!((&document["status"], &document["code"]), (&json!(409), &json!(6004)));
        assert_eq!(document["results"][0], json!({ "token": "a", "ok": true }));
        assert_eq!(document["results"][1]["error"]["code"], 6008);
        assert!(answer(&all, vec![Fate::Confirmed]).is_ok());
    }
}
