//! Streams: created, changed, listed, emptied, deleted.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use wire::jetstream::api::{
    Nothing, PurgeRequest, Purged, StreamCreated, StreamInfoPage, StreamList, StreamRequest, StreamsRequest,
    Success,
};
use wire::jetstream::{self as js, Call, Fault};

use super::{ANSWER_BYTES_MAX, Page, Putting, ask, document, json_body, stream_name};
use crate::http::caller::{Caller, Names, Params};
use crate::http::intake::Intake;
use crate::http::problem::Problem;

/// What `GET /v1/streams` may ask for.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    subject: String,
    #[serde(default)]
    offset: u32,
    limit: Option<u32>,
}

/// `GET /v1/streams`
pub(super) async fn list(caller: Caller, Params(wanted): Params<Wanted>) -> Result<Response, Problem> {
    let page = Page { offset: wanted.offset, limit: wanted.limit };
    let request = StreamsRequest { offset: page.offset.into(), subject: wanted.subject };
    let mut call = caller.call(ANSWER_BYTES_MAX)?;
    let mut list: StreamList = ask(&mut call, Call::StreamList {}, &request).await?;
    list.limit = page.limit();
    list.streams.get_or_insert_default().truncate(page.limit() as usize);
    Ok(document(StatusCode::OK, &list))
}

/// `GET /v1/streams/{stream}`
pub(super) async fn info(caller: Caller, Names(stream): Names<String>) -> Result<Response, Problem> {
    let stream = stream_name(&stream)?;
    let mut call = caller.call(ANSWER_BYTES_MAX)?;
    let page: StreamInfoPage = ask(&mut call, Call::StreamInfo { stream }, &Nothing {}).await?;
    Ok(document(StatusCode::OK, &page.info))
}

/// `PUT /v1/streams/{stream}`
pub(super) async fn put(
    caller: Caller,
    Names(stream): Names<String>,
    body: Intake,
) -> Result<Response, Problem> {
    let stream = stream_name(&stream)?;
    let mut request: StreamRequest = js::read(&json_body(body).await?)?;
    if request.config.name.is_empty() {
        request.config.name = stream.to_owned();
    }
    if request.config.name != stream {
        return Err(js::ApiError::from(Fault::StreamMismatch).into());
    }
    let mut call = caller.call(ANSWER_BYTES_MAX)?;
    let mut putting = Putting::default();
    loop {
        let what = if putting.is_new { Call::StreamCreate { stream } } else { Call::StreamUpdate { stream } };
        let done = ask::<StreamCreated>(&mut call, what, &request).await.map(|created| created.info);
        if !putting.is_to_try_again(&done) {
            return putting.answer(done);
        }
    }
}

/// `DELETE /v1/streams/{stream}`
pub(super) async fn delete(caller: Caller, Names(stream): Names<String>) -> Result<Response, Problem> {
    let stream = stream_name(&stream)?;
    let mut call = caller.call(ANSWER_BYTES_MAX)?;
    let done: Success = ask(&mut call, Call::StreamDelete { stream }, &Nothing {}).await?;
    Ok(document(StatusCode::OK, &done))
}

/// `POST /v1/streams/{stream}/purge`
pub(super) async fn purge(
    caller: Caller,
    Names(stream): Names<String>,
    body: Intake,
) -> Result<Response, Problem> {
    let stream = stream_name(&stream)?;
    let request: PurgeRequest = js::read(&json_body(body).await?)?;
    let mut call = caller.call(ANSWER_BYTES_MAX)?;
    let purged: Purged = ask(&mut call, Call::StreamPurge { stream }, &request).await?;
    Ok(document(StatusCode::OK, &purged))
}
