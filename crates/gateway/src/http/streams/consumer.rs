//! Consumers: created, changed, listed, deleted.

use axum::http::StatusCode;
use axum::response::Response;
use wire::jetstream::api::{
    ConsumerInfo, ConsumerList, ConsumersRequest, CreateAction, CreateConsumerRequest, Nothing, Success,
};
use wire::jetstream::{self as js, AckPolicy, Call, ConsumerConfig, Fault};

use super::{ANSWER_BYTES_MAX, Page, Putting, ask, consumer_name, document, json_body, stream_name};
use crate::http::caller::{Caller, Names, Params};
use crate::http::intake::Intake;
use crate::http::problem::Problem;

type Pair = (String, String);

/// `GET /v1/streams/{stream}/consumers`
pub(super) async fn list(
    caller: Caller,
    Names(stream): Names<String>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let stream = stream_name(&stream)?;
    let request = ConsumersRequest { offset: page.offset.into() };
    let mut call = caller.call(ANSWER_BYTES_MAX)?;
    let mut list: ConsumerList = ask(&mut call, Call::ConsumerList { stream }, &request).await?;
    list.limit = page.limit();
    list.consumers.truncate(page.limit() as usize);
    Ok(document(StatusCode::OK, &list))
}

/// `GET /v1/streams/{stream}/consumers/{consumer}`
pub(super) async fn info(
    caller: Caller,
    Names((stream, consumer)): Names<Pair>,
) -> Result<Response, Problem> {
    let (stream, consumer) = (stream_name(&stream)?, consumer_name(&consumer)?);
    let mut call = caller.call(ANSWER_BYTES_MAX)?;
    let info: ConsumerInfo = ask(&mut call, Call::ConsumerInfo { stream, consumer }, &Nothing {}).await?;
    Ok(document(StatusCode::OK, &info))
}

/// `PUT /v1/streams/{stream}/consumers/{consumer}`
pub(super) async fn put(
    caller: Caller,
    Names((stream, consumer)): Names<Pair>,
    body: Intake,
) -> Result<Response, Problem> {
    let (stream, consumer) = (stream_name(&stream)?, consumer_name(&consumer)?);
    let config = durable(&json_body(body).await?, consumer)?;
    let filter = (!config.filter_subject.is_empty()).then_some(config.filter_subject.as_str());
    let mut call = caller.call(ANSWER_BYTES_MAX)?;
    let mut putting = Putting::default();
    loop {
        let action = if putting.is_new { CreateAction::Create } else { CreateAction::Update };
        let (stream_name, config) = (stream.to_owned(), config.clone());
        let request =
            CreateConsumerRequest { stream_name, config, action, ..CreateConsumerRequest::default() };
        let what = Call::ConsumerCreate { stream, consumer: Some(consumer), filter };
        let done = ask::<ConsumerInfo>(&mut call, what, &request).await;
        if !putting.is_to_try_again(&done) {
            return putting.answer(done);
        }
    }
}

/// `DELETE /v1/streams/{stream}/consumers/{consumer}`
pub(super) async fn delete(
    caller: Caller,
    Names((stream, consumer)): Names<Pair>,
) -> Result<Response, Problem> {
    let (stream, consumer) = (stream_name(&stream)?, consumer_name(&consumer)?);
    let mut call = caller.call(ANSWER_BYTES_MAX)?;
    let done: Success = ask(&mut call, Call::ConsumerDelete { stream, consumer }, &Nothing {}).await?;
    Ok(document(StatusCode::OK, &done))
}

/// Reads the configuration of the durable consumer `name`. One that does not say how it is acknowledged is explicitly, as
/// every client of JetStream has it.
fn durable(body: &[u8], name: &str) -> Result<ConsumerConfig, Problem> {
    let mut config: ConsumerConfig = js::read(body)?;
    let says_how = serde_json::from_slice::<serde_json::Map<_, serde_json::Value>>(body)
        .is_ok_and(|map| map.iter().any(|(key, _)| key.eq_ignore_ascii_case("ack_policy")));
    if !says_how {
        config.ack_policy = AckPolicy::Explicit;
    }
    for own in [&mut config.name, &mut config.durable_name] {
        if own.is_empty() {
            *own = name.to_owned();
        }
        if own != name {
            return Err(js::ApiError::from(Fault::DurableNameNotMatchSubject).into());
        }
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_is_durable_and_acknowledged_explicitly_unless_it_says_otherwise() {
        let config = durable(b"", "c").unwrap();
        assert_eq!(
            (&*config.name, &*config.durable_name, config.ack_policy),
            ("c", "c", AckPolicy::Explicit)
        );
        assert_eq!(durable(br#"{"ack_policy":"none"}"#, "c").unwrap().ack_policy, AckPolicy::None);
        assert!(durable(br#"{"name":"d"}"#, "c").is_err());
        assert!(durable(br#"{"bogus":1}"#, "c").is_err());
    }
}
