//! The JSON frames of the WebSocket door for those without a NATS client: one object a text message, `op` says what it
//! is. Payloads, headers and identities have the forms that they have in the [JSON form of a message](crate::json).
//! Reading is strict: a field that an operation does not have is an error that names it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kernel::envelope::name;
use kernel::{Code, Message, headers};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::json::{OneOrMany, payload_in};

/// Longest `sid` as it is written, in bytes.
pub const SID_BYTES_MAX: usize = 64;

/// A client's name for what it asked, as it is written: a number or a quoted string.
pub type Sid<'a> = &'a str;

/// What a client asks.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named as the client writes it")]
pub enum Op<'a> {
    /// Who it is, where the handshake did not say.
    Auth { sid: Option<Sid<'a>>, user: String, password: String, token: String },
    /// Hear what goes to subjects that match.
    Sub { sid: Sid<'a>, subject: String, queue: Option<String>, ok: bool },
    /// Hear it no more, at once or after so many messages in all.
    Unsub { sid: Sid<'a>, max: Option<u64>, ok: bool },
    /// Publish. `ack`: a stream must say that it has it.
    Pub { sid: Option<Sid<'a>>, message: Message, ack: bool, ok: bool, timeout_ms: Option<u64> },
    /// Publish, and get the first answer under the same name.
    Request { sid: Sid<'a>, message: Message, timeout_ms: Option<u64> },
    /// To be answered by a pong.
    Ping { sid: Option<Sid<'a>> },
}

/// Why a text is no operation.
#[derive(Debug, PartialEq, Eq)]
pub struct Error<'a> {
    /// The name that it has, if that could be read.
    pub sid: Option<Sid<'a>>,
    /// What is wrong, for a person.
    pub detail: String,
    /// The field that there is not, and those that there are.
    pub unknown: Option<(String, &'static [&'static str])>,
}

/// The operations, and what each may have besides `op`.
const OPS: &[(&str, &[&str])] = &[
    ("auth", &["sid", "user", "password", "token"]),
    ("sub", &["sid", "subject", "queue", "ok"]),
    ("unsub", &["sid", "max", "ok"]),
    (
        "pub",
        &["sid", "subject", "replyTo", "id", "headers", "payload", "payloadBase64", "ack", "ok", "timeoutMs"],
    ),
    ("request", &["sid", "subject", "id", "headers", "payload", "payloadBase64", "timeoutMs"]),
    ("ping", &["sid"]),
];
const NAMES: &[&str] = &["auth", "sub", "unsub", "pub", "request", "ping"];

/// All that a frame may have; which members it has, in the order of [`MEMBERS`], and the first that there is not.
#[derive(Default)]
struct Form<'a> {
    has: u32,
    stranger: Option<String>,
    op: Option<String>,
    sid: Option<&'a RawValue>,
    subject: Option<String>,
    queue: Option<String>,
    max: Option<u64>,
    reply_to: Option<String>,
    id: Option<String>,
    headers: BTreeMap<String, OneOrMany>,
    payload: Option<&'a RawValue>,
    payload_base64: Option<String>,
    ack: bool,
    ok: bool,
    timeout_ms: Option<u64>,
    user: String,
    password: String,
    token: String,
}

const MEMBERS: &[&str] = &[
    "op",
    "sid",
    "subject",
    "queue",
    "max",
    "replyTo",
    "id",
    "headers",
    "payload",
    "payloadBase64",
    "ack",
    "ok",
    "timeoutMs",
    "user",
    "password",
    "token",
];

impl<'a> Form<'a> {
    /// Reads one member behind its name.
    fn member<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let Some(at) = MEMBERS.iter().position(|member| *member == name) else {
            self.stranger.get_or_insert_with(|| name.to_owned());
            return map.next_value::<IgnoredAny>().map(|_| ());
        };
        if self.has & 1 << at != 0 {
            return Err(A::Error::custom(format_args!("`{name}` stands there twice")));
        }
        self.has |= 1 << at;
        match name {
            "op" => self.op = map.next_value()?,
            "sid" => self.sid = map.next_value()?,
            "subject" => self.subject = map.next_value()?,
            "queue" => self.queue = map.next_value()?,
            "max" => self.max = map.next_value()?,
            "replyTo" => self.reply_to = map.next_value()?,
            "id" => self.id = map.next_value()?,
            "headers" => self.headers = map.next_value()?,
            "payload" => self.payload = map.next_value()?,
            "payloadBase64" => self.payload_base64 = map.next_value()?,
            "ack" => self.ack = map.next_value()?,
            "ok" => self.ok = map.next_value()?,
            "timeoutMs" => self.timeout_ms = map.next_value()?,
            "user" => self.user = map.next_value()?,
            "password" => self.password = map.next_value()?,
            _ => self.token = map.next_value()?,
        }
        Ok(())
    }

    /// A member that is none of `fields`.
    fn stranger_to(&self, fields: &[&str]) -> Option<&str> {
        let has = MEMBERS.iter().enumerate().filter(|(at, _)| self.has & 1 << at != 0).map(|(_, name)| *name);
        self.stranger
            .as_deref()
            .or_else(|| has.into_iter().find(|name| *name != "op" && !fields.contains(name)))
    }
}

impl<'a> Deserialize<'a> for Form<'a> {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'a> Visitor<'a> for Reading {
            type Value = Form<'a>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Form<'a>, A::Error> {
                let mut form = Form::default();
                while let Some(Text(name)) = map.next_key()? {
                    form.member(&name, &mut map)?;
                }
                Ok(form)
            }
        }
        from.deserialize_map(Reading)
    }
}

/// A text that is copied only where it must be.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Whether a text is the operation that says who somebody is. Nothing of its other fields is kept.
pub fn is_auth(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        op: Text<'a>,
    }
    serde_json::from_str::<Named<'_>>(text).is_ok_and(|named| named.op.0 == "auth")
}

/// Reads an operation.
pub fn read(text: &str) -> Result<Op<'_>, Error<'_>> {
    let wrong = |sid, detail: String| Error { sid, detail, unknown: None };
    let form: Form<'_> =
        serde_json::from_str(text).map_err(|e| wrong(sid_of(text), format!("not a frame: {e}")))?;
    let sid = sid(form.sid).map_err(|detail| wrong(None, detail.into()))?;
    let op = form.op.as_deref().unwrap_or_default();
    let Some((op, fields)) = OPS.iter().find(|(name, _)| *name == op) else {
        let detail = match form.op.is_some() {
            true => format!("there is no op `{}`", op.chars().take(40).collect::<String>()),
            false => "op: missing".to_owned(),
        };
        return Err(Error { sid, detail, unknown: Some((op.to_owned(), NAMES)) });
    };
    if let Some(name) = form.stranger_to(fields) {
        let name: String = name.chars().take(40).collect();
        let detail = format!("`{op}` has no field `{name}`");
        return Err(Error { sid, detail, unknown: Some((name, fields)) });
    }
    build(op, sid, form).map_err(|detail| wrong(sid, detail))
}

fn build<'a>(op: &str, sid: Option<Sid<'a>>, form: Form<'a>) -> Result<Op<'a>, String> {
    let named = || sid.ok_or_else(|| format!("`{op}` needs a sid"));
    match op {
        "auth" => Ok(Op::Auth { sid, user: form.user, password: form.password, token: form.token }),
        "sub" => Ok(Op::Sub {
            sid: named()?,
            subject: form.subject.ok_or("`sub` needs a subject")?,
            queue: form.queue,
            ok: form.ok,
        }),
        "unsub" => Ok(Op::Unsub { sid: named()?, max: form.max, ok: form.ok }),
        "ping" => Ok(Op::Ping { sid }),
        "request" => {
            let timeout_ms = form.timeout_ms;
            Ok(Op::Request { sid: named()?, message: message(form)?, timeout_ms })
        }
        _ => {
            let (ack, ok, timeout_ms) = (form.ack, form.ok, form.timeout_ms);
            if ack || ok {
                named()?;
            }
            if timeout_ms.is_some() && !ack {
                return Err("timeoutMs goes with ack".into());
            }
            Ok(Op::Pub { sid, message: message(form)?, ack, ok, timeout_ms })
        }
    }
}

fn message(form: Form<'_>) -> Result<Message, String> {
    let subject = form.subject.ok_or("a message needs a subject")?;
    let own = form.headers.iter().flat_map(|(n, values)| values.iter().map(|v| (n.as_str(), v.as_str())));
    // Under this name a stream knows a second one.
    let id = form.id.iter().map(|id| (name::NATS_ID, id.as_str()));
    let block = headers::block(id.chain(own))
        .map_err(|_| "headers: a name has no colon or space, a value no line break")?;
    Ok(Message {
        subject: subject.into(),
        reply: form.reply_to.unwrap_or_default().into(),
        headers: block.into(),
        payload: payload_in(form.payload, form.payload_base64).map_err(|e| e.to_string())?,
    })
}

fn sid(raw: Option<&RawValue>) -> Result<Option<Sid<'_>>, &'static str> {
    let Some(raw) = raw.map(RawValue::get) else { return Ok(None) };
    let is_name = raw.starts_with('"') || raw.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    match is_name && raw.len() <= SID_BYTES_MAX {
        true => Ok(Some(raw)),
        false => Err("sid: a number or a string of at most 60 letters"),
    }
}

/// The name in a text that is otherwise wrong.
fn sid_of(text: &str) -> Option<Sid<'_>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        sid: Option<&'a RawValue>,
    }
    sid(serde_json::from_str::<Named<'_>>(text).ok()?.sid).ok()?
}

/// What the door says.
#[derive(Serialize)]
struct Said<'a> {
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<&'static str>,
}

fn said<'a>(op: &'static str, sid: Option<Sid<'a>>) -> Said<'a> {
    Said {
        op,
        sid: sid.and_then(|sid| serde_json::from_str(sid).ok()),
        stream: None,
        seq: None,
        duplicate: None,
        code: None,
        name: None,
        detail: None,
        retry: None,
    }
}

fn text(said: &Said<'_>) -> String {
    // A plain struct of strings and numbers always serialises.
    serde_json::to_string(said).unwrap_or_default()
}

/// `{"op":"ok",…}`
pub fn ok(sid: Option<Sid<'_>>) -> String {
    text(&said("ok", sid))
}

/// `{"op":"ok",…}` with the place that a stream gave.
pub fn stored(sid: Option<Sid<'_>>, stream: &str, seq: u64, duplicate: bool) -> String {
    text(&Said { stream: Some(stream), seq: Some(seq), duplicate: Some(duplicate), ..said("ok", sid) })
}

/// `{"op":"pong",…}`
pub fn pong(sid: Option<Sid<'_>>) -> String {
    text(&said("pong", sid))
}

/// `{"op":"err",…}`
pub fn err(sid: Option<Sid<'_>>, code: Code, detail: &str) -> String {
    let (number, name, retry) = (code.number(), code.name(), code.retry().as_str());
    text(&Said {
        code: Some(number),
        name: Some(name),
        detail: Some(detail),
        retry: Some(retry),
        ..said("err", sid)
    })
}

/// What a delivered message begins with, up to its name; behind a comma the members of its JSON follow.
pub const MSG_HEAD: &[u8] = b"{\"op\":\"msg\",\"sid\":";

/// What a delivered message ends with.
pub const MSG_END: &[u8] = b"}";

#[cfg(test)]
mod tests {
    use kernel::Msg;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn detail(text: &str) -> String {
        read(text).unwrap_err().detail
    }

    #[test]
    fn every_operation_is_read() {
        assert_eq!(
            read(r#"{"op":"sub","sid":"a","subject":"x.>","queue":"q"}"#).unwrap(),
            Op::Sub { sid: "\"a\"", subject: "x.>".into(), queue: Some("q".into()), ok: false }
        );
        assert_eq!(
            read(r#"{ "sid" : 7 , "op":"unsub","max":3,"ok":true}"#).unwrap(),
            Op::Unsub { sid: "7", max: Some(3), ok: true }
        );
        assert_eq!(read(r#"{"op":"ping"}"#).unwrap(), Op::Ping { sid: None });
        let Op::Auth { token, .. } = read(r#"{"op":"auth","token":"t"}"#).unwrap() else { panic!() };
        assert_eq!(token, "t");
        let text = r#"{"op":"pub","sid":1,"subject":"a","replyTo":"r","id":"m","headers":{"T":["x","y"]},"payload":{"n":1.50},"ack":true}"#;
        let Op::Pub { sid, message, ack, .. } = read(text).unwrap() else { panic!() };
        assert_eq!((sid, ack, &*message.payload), (Some("1"), true, &br#"{"n":1.50}"#[..]));
        assert_eq!(&*message.headers, b"NATS/1.0\r\nNats-Msg-Id: m\r\nT: x\r\nT: y\r\n\r\n");
        let text = r#"{"op":"request","sid":1,"subject":"a","payloadBase64":"/w=="}"#;
        let Op::Request { message, .. } = read(text).unwrap() else { panic!() };
        assert_eq!(&*message.payload, b"\xff");
    }

    #[test]
    fn what_has_no_meaning_is_refused_and_named() {
        assert!(detail("[").contains("not a frame"));
        assert!(detail("{}").contains("op: missing"));
        let strange = read(r#"{"op":"subscribe","sid":3}"#).unwrap_err();
        assert_eq!((strange.sid, strange.unknown), (Some("3"), Some(("subscribe".into(), NAMES))));
        let strange = read(r#"{"op":"sub","sid":3,"subject":"a","que":"q"}"#).unwrap_err();
        assert_eq!((&*strange.detail, strange.sid), ("`sub` has no field `que`", Some("3")));
        assert!(detail(r#"{"op":"sub","subject":"a"}"#).contains("needs a sid"));
        assert!(detail(r#"{"op":"sub","sid":1}"#).contains("needs a subject"));
        assert!(detail(r#"{"op":"ping","op":"ping"}"#).contains("twice"));
        assert!(detail(r#"{"op":"pub","subject":"a","queue":"q"}"#).contains("no field `queue`"));
        assert!(detail(r#"{"op":"pub","subject":"a","ack":true}"#).contains("needs a sid"));
        assert!(
            detail(r#"{"op":"pub","subject":"a","payload":"x","payloadBase64":"eA=="}"#).contains("both")
        );
        assert!(detail(r#"{"op":"pub","subject":"a","headers":{"A":"1\r\nB: 2"}}"#).contains("headers"));
        assert_eq!(read(r#"{"op":"sub","sid":9,"subject":1}"#).unwrap_err().sid, Some("9"));
        for sid in ["null", "true", "[1]", "{}"] {
            assert!(read(&format!(r#"{{"op":"unsub","sid":{sid}}}"#)).is_err(), "{sid}");
        }
        assert!(read(&format!(r#"{{"op":"unsub","sid":"{}"}}"#, "x".repeat(63))).is_err());
    }

    #[test]
    fn what_the_door_says_is_json() {
        let json = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        assert_eq!(json(ok(Some("\"a\""))), json!({"op": "ok", "sid": "a"}));
        assert_eq!(
            json(stored(Some("1"), "S", 7, false)),
            json!({"op": "ok", "sid": 1, "stream": "S", "seq": 7, "duplicate": false})
        );
        assert_eq!(
            json(err(None, Code::NoResponders, "x")),
            json!({"op": "err", "code": 6001, "name": "NO_RESPONDERS", "detail": "x", "retry": "yes"})
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = read(&text);
        }

        #[test]
        fn any_message_goes_there_and_back(subject in "[a-z.]{1,9}", payload in prop::collection::vec(any::<u8>(), 0..40)) {
            let m = Msg { subject: subject.as_bytes(), payload: &payload, ..Msg::default() };
            let text = crate::json::write(&m).replacen('{', "{\"op\":\"pub\",", 1);
            let Ok(Op::Pub { message, .. }) = read(&text) else { panic!() };
            prop_assert_eq!((&*message.subject, &*message.payload), (m.subject, m.payload));
        }
    }
}
