//! The JSON form of a message: seed 004's envelope in camelCase, one line. Times are RFC 3339, durations are
//! milliseconds. `subject` is where it goes; an object or array that is valid JSON stands in `payload` as it is, other
//! text stands there as a string, and bytes that are no UTF-8 stand in `payloadBase64`.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use kernel::envelope::name;
use kernel::{Code, Message, Msg, headers};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;
use serde_json::value::RawValue;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Form<'a> {
    #[serde(default)]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    destination: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<String>,
    #[serde(default, deserialize_with = "whole_or_none", skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, OneOrMany>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(default, deserialize_with = "object_or_none", skip_serializing_if = "Option::is_none")]
    delivery_options: Option<Options>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, String> {
        match self {
            OneOrMany::One(value) => std::slice::from_ref(value).iter(),
            OneOrMany::Many(values) => values.iter(),
        }
    }
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    guarantee: Option<String>,
    #[serde(deserialize_with = "object_or_none", skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    #[serde(deserialize_with = "whole_or_none", skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    persistent: Option<bool>,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Retry {
    #[serde(deserialize_with = "whole")]
    max_attempts: u32,
    #[serde(deserialize_with = "whole")]
    base_delay_ms: u64,
    #[serde(deserialize_with = "whole")]
    max_delay_ms: u64,
}

/// What stands in an object. By itself serde also takes an array of the values for a struct.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Object<T>, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        input.deserialize_map(Members(PhantomData)).map(Object)
    }
}

fn object_or_none<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(input)?.map(|object| object.0))
}

/// Reads a whole number, also one that is written with a fraction of nothing: `5.0` is 5.
pub fn whole<'de, D: Deserializer<'de>, T: TryFrom<u64>>(input: D) -> Result<T, D::Error> {
    let number = Number::deserialize(input)?;
    narrow(&number).ok_or_else(|| D::Error::custom(format_args!("{number} is no whole number in bounds")))
}

fn whole_or_none<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(input)? else { return Ok(None) };
    let read = narrow(&number);
    read.map(Some).ok_or_else(|| D::Error::custom(format_args!("{number} is no whole number in bounds")))
}

fn narrow<T: TryFrom<u64>>(number: &Number) -> Option<T> {
    /// Below it every whole number has a form with a fraction.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let exact = |f: &f64| f.fract() == 0.0 && (0.0..=EXACT_MAX).contains(f);
    let whole = number.as_u64().or_else(|| number.as_f64().filter(exact).map(|f| f as u64))?;
    T::try_from(whole).ok()
}

/// Why a text is not a message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not the form at all.
    #[error("not a message: {0}")]
    Form(#[from] serde_json::Error),
    /// A field that has no meaning.
    #[error("{0}")]
    Field(&'static str),
}

impl Error {
    /// The code that doors answer with.
    pub fn code(&self) -> Code {
        Code::InvalidRequest
    }
}

/// What a writer adds in front, and the message.
#[derive(Serialize)]
struct With<'a, M> {
    #[serde(flatten)]
    more: M,
    #[serde(flatten)]
    form: Form<'a>,
}

/// Writes a message as one line of JSON, without a line break at its end.
pub fn write(m: &Msg<'_>) -> String {
    write_with(m, ())
}

/// The same, behind what `out` has already.
pub fn write_to(out: &mut Vec<u8>, m: &Msg<'_>) {
    // Plain strings and numbers always serialise.
    let _ = with_form(m, (), |form| serde_json::to_writer(out, form));
}

/// Writes a message with the members of `more`, a struct, in front of its own: where it is stored, for example.
pub fn write_with(m: &Msg<'_>, more: impl Serialize) -> String {
    with_form(m, more, |form| serde_json::to_string(form)).unwrap_or_default()
}

fn with_form<M, R>(m: &Msg<'_>, more: M, write: impl FnOnce(&With<'_, M>) -> R) -> R {
    let e = m.envelope();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let owned = |text: &str| text.to_owned();
    let delivery = e.delivery();
    let options = Options {
        guarantee: delivery.guarantee.map(|g| owned(g.as_str())),
        retry: delivery.retry.map(|r| Retry {
            max_attempts: r.attempts_max,
            base_delay_ms: r.base_delay_ms,
            max_delay_ms: r.delay_ms_max,
        }),
        timeout: delivery.timeout_ms,
        persistent: delivery.persistent,
    };
    let (payload, payload_base64) = payload_out(m.payload);
    let form = Form {
        subject: Some(text(m.subject)),
        id: e.id().map(owned),
        kind: e.kind().map(|k| owned(k.as_str())),
        source: e.source().map(owned),
        destination: e.destination().map(owned).collect(),
        timestamp: e.timestamp_ms().map(time_out),
        correlation_id: e.correlation_id().map(owned),
        reply_to: (!m.reply.is_empty()).then(|| text(m.reply)),
        priority: headers::Headers::new(m.headers)
            .first(name::PRIORITY)
            .map(|_| owned(e.priority().as_str())),
        ttl: e.ttl_ms(),
        headers: others_out(m),
        payload: payload.as_deref(),
        payload_base64,
        delivery_options: (options != Options::default()).then_some(options),
    };
    write(&With { more, form })
}

/// Reads a message from its JSON form.
pub fn read(text: &str) -> Result<Message, Error> {
    read_for(text, None)
}

/// Reads a message from its JSON form; where it goes when it does not say so is `otherwise`.
pub fn read_for(text: &str, otherwise: Option<&str>) -> Result<Message, Error> {
    // As with objects inside: serde takes an array of the values, too.
    if text.trim_start().starts_with('[') {
        return Err(Error::Field("a message is an object"));
    }
    let form: Form<'_> = serde_json::from_str(text)?;
    let subject = form.subject.or_else(|| otherwise.map(str::to_owned));
    let subject = subject.ok_or(Error::Field("subject: missing"))?;
    if form.reply_to.as_deref() == Some("") {
        return Err(Error::Field("replyTo: a subject, which has a character at least"));
    }
    let mut pairs: Vec<(&str, String)> = Vec::new();
    let mut push = |name: &'static str, value: Option<String>| pairs.extend(value.map(|v| (name, v)));
    push(name::ID, form.id);
    push(
        name::KIND,
        word::<kernel::Kind>(form.kind, "type: command, event, request, response or notification")?,
    );
    push(name::SOURCE, form.source);
    form.destination.into_iter().for_each(|d| push(name::DESTINATION, Some(d)));
    push(name::TIMESTAMP_MS, form.timestamp.map(|t| time_in(&t)).transpose()?.map(|ms| ms.to_string()));
    push(name::CORRELATION_ID, form.correlation_id);
    push(name::PRIORITY, word::<kernel::Priority>(form.priority, "priority: critical, high, normal or low")?);
    push(name::TTL_MS, form.ttl.map(|ms| ms.to_string()));
    let options = form.delivery_options.unwrap_or_default();
    let guarantee = "guarantee: at-least-once, at-most-once or exactly-once";
    push(name::GUARANTEE, word::<kernel::Guarantee>(options.guarantee, guarantee)?);
    push(
        name::RETRY,
        options.retry.map(|r| format!("{},{},{}", r.max_attempts, r.base_delay_ms, r.max_delay_ms)),
    );
    push(name::TIMEOUT_MS, options.timeout.map(|ms| ms.to_string()));
    push(name::PERSISTENT, options.persistent.map(|p| p.to_string()));
    for (name, values) in &form.headers {
        pairs.extend(values.iter().map(|v| (name.as_str(), v.clone())));
    }
    let block = headers::block(pairs.iter().map(|(n, v)| (*n, v.as_str())))
        .map_err(|_| Error::Field("headers: a name has no colon or space, a value no line break"))?;
    Ok(Message {
        subject: subject.into(),
        reply: form.reply_to.unwrap_or_default().into(),
        headers: block.into(),
        payload: payload_in(form.payload, form.payload_base64)?,
    })
}

fn word<T: std::str::FromStr>(text: Option<String>, expected: &'static str) -> Result<Option<String>, Error> {
    match text {
        Some(word) if word.parse::<T>().is_err() => Err(Error::Field(expected)),
        other => Ok(other),
    }
}

fn others_out(m: &Msg<'_>) -> BTreeMap<String, OneOrMany> {
    let mut map = BTreeMap::<String, OneOrMany>::new();
    for h in m.envelope().others() {
        let value = h.value.to_owned();
        match map.get_mut(h.name) {
            None => _ = map.insert(h.name.to_owned(), OneOrMany::One(value)),
            Some(OneOrMany::Many(values)) => values.push(value),
            Some(slot @ OneOrMany::One(_)) => {
                if let OneOrMany::One(first) = slot.clone() {
                    *slot = OneOrMany::Many(vec![first, value]);
                }
            }
        }
    }
    map
}

pub(crate) fn payload_out(bytes: &[u8]) -> (Option<Box<RawValue>>, Option<String>) {
    let Ok(text) = std::str::from_utf8(bytes) else { return (None, Some(BASE64.encode(bytes))) };
    let structured =
        text.starts_with(['{', '[']) && text.ends_with(['}', ']']) && !text.contains(['\n', '\r']);
    let raw = match structured.then(|| RawValue::from_string(text.to_owned())) {
        Some(Ok(raw)) => Ok(raw),
        _ => serde_json::value::to_raw_value(text),
    };
    (raw.ok(), None)
}

pub(crate) fn payload_in(payload: Option<&RawValue>, base64: Option<String>) -> Result<Bytes, Error> {
    match (payload, base64) {
        (Some(_), Some(_)) => Err(Error::Field("payload and payloadBase64 cannot both be given")),
        (None, Some(text)) => match BASE64.decode(text) {
            Ok(bytes) => Ok(bytes.into()),
            Err(_) => Err(Error::Field("payloadBase64: not base64")),
        },
        (None, None) => Ok(Bytes::new()),
        (Some(raw), None) => match serde_json::from_str::<String>(raw.get()) {
            Ok(text) => Ok(text.into()),
            Err(_) => Ok(raw.get().to_owned().into()),
        },
    }
}

fn time_out(ms: u64) -> String {
    // Beyond the year 9999 RFC 3339 has no form.
    const LAST_MS: u64 = 253_402_300_799_999;
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms.min(LAST_MS))).to_string()
}

fn time_in(text: &str) -> Result<u64, Error> {
    let wrong = Error::Field("timestamp: an RFC 3339 time in UTC, such as 2025-07-30T12:00:00Z");
    let Ok(time) = humantime::parse_rfc3339(text) else { return Err(wrong) };
    time.duration_since(UNIX_EPOCH).map(|d| d.as_millis() as u64).map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: &str = concat!(
        r#"{"subject":"tasks.plan","id":"m1","type":"command","source":"planner","destination":["w1","w2"],"#,
        r#""timestamp":"2025-07-30T12:00:00.000Z","correlationId":"m0","replyTo":"inbox.1","priority":"high","ttl":5000,"#,
        r#""headers":{"Color":"blue","Tag":["a","b"]},"payload":{"n":1.50},"#,
        r#""deliveryOptions":{"guarantee":"exactly-once","retry":{"maxAttempts":3,"baseDelayMs":100,"maxDelayMs":2000},"#,
        r#""timeout":30000,"persistent":true}}"#
    );

    #[test]
    fn the_full_envelope_goes_there_and_back() {
        let message = read(FULL).unwrap();
        assert_eq!(message.payload, r#"{"n":1.50}"#);
        assert_eq!(message.envelope().id(), Some("m1"));
        assert_eq!(write(&message.as_msg()), FULL);
    }

    #[test]
    fn a_writer_may_add_members_and_a_reader_know_where_it_goes() {
        #[derive(Serialize)]
        struct At {
            seq: u64,
        }
        let message = read_for(r#"{"payload":{"n":1.50}}"#, Some("a")).unwrap();
        assert_eq!(
            write_with(&message.as_msg(), At { seq: 7 }),
            r#"{"seq":7,"subject":"a","payload":{"n":1.50}}"#
        );
        assert_eq!(read_for(r#"{"subject":"b"}"#, Some("a")).unwrap().subject, "b");
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_nothing() {
        let ttl =
            |text: &str| read(&format!(r#"{{"subject":"a","ttl":{text}}}"#)).map(|m| m.envelope().ttl_ms());
        assert_eq!(ttl("5.0").unwrap(), Some(5));
        assert_eq!(ttl("18446744073709551615").unwrap(), Some(u64::MAX));
        assert_eq!(ttl("null").unwrap(), None);
        for bad in ["5.5", "-1", "-1.0", "1e300", "\"5\""] {
            assert!(ttl(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for bad in [
            "",
            "{}",
            r#"{"subject":"a","typ":"event"}"#,
            r#"{"subject":"a","replyTo":""}"#,
            r#"{"subject":"a","type":"party"}"#,
            r#"{"subject":"a","timestamp":"yesterday"}"#,
            r#"{"subject":"a","payload":"x","payloadBase64":"eA=="}"#,
            r#"{"subject":"a","payloadBase64":"!"}"#,
            r#"{"subject":"a","headers":{"A":"1\r\nB: 2"}}"#,
            r#" ["a"]"#,
            r#"{"subject":"a","deliveryOptions":["exactly-once"]}"#,
            r#"{"subject":"a","deliveryOptions":{"retry":[3,100,2000]}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_payload_goes_there_and_back(payload in prop::collection::vec(any::<u8>(), 0..60)) {
            let message = Message { subject: "a".into(), payload: payload.into(), ..Message::default() };
            let line = write(&message.as_msg());
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(read(&line).unwrap(), message);
        }

        #[test]
        fn any_text_payload_goes_there_and_back(payload in "[\\[{\"0-9a-z:,\\]} \\n]{0,20}") {
            let message = Message { subject: "a".into(), payload: payload.into(), ..Message::default() };
            prop_assert_eq!(read(&write(&message.as_msg())).unwrap(), message);
        }
    }
}
