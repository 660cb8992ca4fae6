//! `POST /v1/messages`: a message in its JSON form, to one subject or several, delivered as its own options say.

use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use kernel::envelope::name;
use kernel::{Code, Headers, Message, headers};
use serde::Serialize;

use super::caller::Caller;
use super::id;
use super::intake::Intake;
use super::problem::Problem;
use super::publish::{check_subject, json};
use super::route::{self, JSON, Route};
use super::stored::{self, Terms, Wish, deliver_to};

/// Most addressees of one message.
pub(super) const DESTINATIONS_MAX: usize = 64;

/// The route.
pub(super) const ROUTES: &[Route] =
    &[Route::post("/v1/messages", "sendMessage", "Send a message with delivery options", || {
        post(send_message)
    })
    .area("messages")
    .takes(&[JSON], "Message", true)
    .gives(&[
        route::json(202, "Sent", "It is on its way."),
        route::json(200, "Sent", "Streams have what they must have; what failed says why."),
    ])
    .fails(&[Code::StreamNotFound, Code::Conflict, Code::Backpressure, Code::Timeout])];

/// What became of a message at one of its subjects.
#[derive(Serialize)]
struct Fate {
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

#[derive(Serialize)]
struct Sent {
    id: String,
    sent: Vec<Fate>,
}

async fn send_message(caller: Caller, mut body: Intake) -> Result<Response, Problem> {
    body.check_type(&[JSON])?;
    let bytes_max = body.document_bytes_max();
    let body = body.whole(bytes_max).await?;
    let wrong = |detail: String| Problem::new(Code::InvalidRequest, detail);
    let text = std::str::from_utf8(&body).map_err(|e| wrong(format!("the body is not UTF-8: {e}")))?;
    // Where it goes may be said by its addressees alone.
    let message = wire::json::read_for(text, Some("")).map_err(|e| wrong(e.to_string()))?;
    id::check(&message)?;
    let (id, message) = with_id(message)?;
    let subjects = subjects(&message)?;
    let delivery = message.envelope().delivery();
    let terms = Terms::of(delivery.retry, delivery.timeout_ms)?;
    let bytes_max = caller.door.identity.payload_bytes_max;
    if message.as_msg().size() > bytes_max {
        let detail = format!("headers and payload together are larger than {bytes_max} bytes");
        return Err(Problem::new(Code::PayloadTooLarge, detail));
    }
    let wish = Wish::of(&message.headers);
    if wish == Wish::Must && !message.reply.is_empty() {
        return Err(wrong(
            "replyTo: what must be stored is acknowledged to who sends it, and to nobody else".into(),
        ));
    }
    let fates = deliver_to(&caller, &message.as_msg(), &subjects, wish, terms).await;
    let sent: Vec<Fate> =
        subjects.into_iter().zip(fates).map(|(subject, fate)| Fate::of(subject, fate)).collect();
    // What failed everywhere failed as it did first.
    if sent.iter().all(|fate| fate.error.is_some())
        && let Some(first) = sent.first().and_then(|fate| fate.error.clone())
    {
        return Err(if sent.len() > 1 { first.with("sent", &sent) } else { first });
    }
    let is_stored = wish == Wish::Must || sent.iter().any(|fate| fate.stream.is_some());
    let status = if is_stored { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(json(status, serde_json::to_string(&Sent { id, sent }).unwrap_or_default()))
}

impl Fate {
    fn of(subject: String, done: stored::Fate) -> Fate {
        let (ack, error) = match done {
            Ok(ack) => (ack, None),
            Err(problem) => (None, Some(problem)),
        };
        Fate {
            subject,
            stream: ack.as_ref().map(|a| a.stream.clone()),
            seq: ack.as_ref().map(|a| a.seq),
            duplicate: ack.as_ref().map(|a| a.duplicate),
            error,
        }
    }
}

/// The message with an identity by which a stream knows it again, and the identity.
fn with_id(mut message: Message) -> Result<(String, Message), Problem> {
    let id = match message.envelope().id() {
        Some(id) => id.to_owned(),
        None => id::fresh()?,
    };
    let old = Headers::new(&message.headers);
    let rest =
        old.iter().filter(|h| ![name::ID, name::NATS_ID].iter().any(|n| h.name.eq_ignore_ascii_case(n)));
    let pairs = [(name::NATS_ID, &*id)].into_iter().chain(rest.map(|h| (h.name, h.value)));
    let block =
        headers::block(pairs).map_err(|_| Problem::new(Code::InvalidRequest, "id: it has no line break"))?;
    message.headers = block.into();
    Ok((id, message))
}

/// Where it goes: its subject, then its addressees, each once.
fn subjects(message: &Message) -> Result<Vec<String>, Problem> {
    let own = String::from_utf8_lossy(&message.subject).into_owned();
    let mut all: Vec<String> = Vec::new();
    let envelope = message.envelope();
    // Counted as they are written: the same one twice goes there once, and is twice in the list.
    if envelope.destination().count() > DESTINATIONS_MAX {
        let detail = format!("at most {DESTINATIONS_MAX} destinations");
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    for subject in
        Some(own).filter(|s| !s.is_empty()).into_iter().chain(envelope.destination().map(str::to_owned))
    {
        check_subject(subject.as_bytes())?;
        if !all.contains(&subject) {
            all.push(subject);
        }
    }
    if !message.reply.is_empty() {
        check_subject(&message.reply)?;
    }
    match all.is_empty() {
        true => Err(Problem::new(Code::InvalidRequest, "give a subject, or at least one destination")),
        false => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Message {
        wire::json::read_for(text, Some("")).unwrap()
    }

    #[test]
    fn a_message_goes_to_its_subject_and_to_each_addressee_once() {
        let both = read(r#"{"subject":"a","destination":["b","a","c"]}"#);
        assert_eq!(subjects(&both).unwrap(), ["a", "b", "c"]);
        assert_eq!(subjects(&read(r#"{"destination":["b"]}"#)).unwrap(), ["b"]);
        for bad in ["{}", r#"{"destination":["b.*"]}"#, r#"{"subject":"a","replyTo":"a b"}"#] {
            assert!(subjects(&read(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn beside_its_subject_a_message_has_so_many_addressees_as_they_are_written() {
        let to = |names: Vec<String>| serde_json::json!({"subject": "own", "destination": names}).to_string();
        let different = to((0..DESTINATIONS_MAX).map(|n| format!("d{n}")).collect());
        assert_eq!(subjects(&read(&different)).unwrap().len(), DESTINATIONS_MAX + 1);
        let same = |count| to(vec!["d".to_owned(); count]);
        assert_eq!(subjects(&read(&same(DESTINATIONS_MAX))).unwrap(), ["own", "d"]);
        assert!(subjects(&read(&same(DESTINATIONS_MAX + 1))).is_err());
    }

    #[test]
    fn every_message_has_an_identity_by_which_a_stream_knows_it_again() {
        let (id, message) = with_id(read(r#"{"subject":"a","id":"m1","headers":{"Color":"blue"}}"#)).unwrap();
        assert_eq!(id, "m1");
        assert_eq!(&message.headers[..], b"NATS/1.0\r\nNats-Msg-Id: m1\r\nColor: blue\r\n\r\n");
        let (id, message) = with_id(read(r#"{"subject":"a"}"#)).unwrap();
        assert_eq!(message.envelope().id(), Some(&*id));
        assert_eq!(id.len(), 36);
    }
}
