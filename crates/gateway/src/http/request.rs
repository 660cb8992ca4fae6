//! `POST /v1/request/{subject}`: the body is the question, and the first answer is the answer.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::post;
use kernel::envelope::name;
use kernel::{Code, Msg};
use serde::Deserialize;
use tokio::time::Instant;

use super::call::{passed_over, refused};
use super::caller::{Caller, Names, Params};
use super::headers::{Given, show};
use super::id;
use super::intake::Intake;
use super::problem::Problem;
use super::publish::{SUBJECT, check_subject, is_nobody, payload};
use super::route::{self, BYTES, Gives, Kind, Param, Route};

/// How long an answer is waited for, unless the client says, and at most, in milliseconds.
const TIMEOUT_MS: (u64, u64) = (5000, 300_000);

/// The route.
pub(super) const ROUTES: &[Route] =
    &[Route::post("/v1/request/{subject}", "request", "Ask, and wait for the answer", || post(request))
        .area("messages")
        .params(&[
            SUBJECT,
            Param::query(
                "timeout_ms",
                Kind::Number { least: 1, most: TIMEOUT_MS.1, default: Some(TIMEOUT_MS.0) },
                "How long to wait for the answer, in milliseconds.",
            ),
            Param::header(
                name::CORRELATION_ID,
                Kind::Text { chars_min: 0, chars_max: 255, form: "^[ -~]*$" },
                "What the question belongs to.",
            ),
        ])
        .takes(&[route::BYTES], "", false)
        .gives(&[Gives {
            status: 200,
            media: BYTES,
            schema: "",
            what: "The answer; its headers are `Np-Header-NAME`.",
        }])
        .fails(&[Code::NoResponders, Code::StreamNotFound, Code::Timeout, Code::Backpressure])];

#[derive(Deserialize)]
pub(super) struct Asked {
    timeout_ms: Option<u64>,
}

async fn request(
    caller: Caller,
    Names(subject): Names<String>,
    Params(asked): Params<Asked>,
    headers: HeaderMap,
    mut body: Intake,
) -> Result<Response, Problem> {
    check_subject(subject.as_bytes())?;
    let timeout_ms = asked.timeout_ms.unwrap_or(TIMEOUT_MS.0);
    if !(1..=TIMEOUT_MS.1).contains(&timeout_ms) {
        let detail = format!("timeout_ms is 1 to {}", TIMEOUT_MS.1);
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    let mut given = Given::read(&headers)?;
    let fresh = id::fresh()?;
    given.id(|| fresh);
    let block = given.block()?;
    let payload = payload(&caller, &mut body, block.len()).await?;
    let m = Msg { subject: subject.as_bytes(), headers: &block, payload: &payload, ..Msg::default() };
    let until = Instant::now() + Duration::from_millis(timeout_ms);
    let mut call = caller.lend()?;
    let number = call.ask(&m).map_err(|code| refused(code, &subject))?;
    let answer = loop {
        let heard = tokio::select! {
            heard = call.hear(until) => heard,
            problem = caller.door.ending(&caller.who) => return Err(problem),
        };
        match heard {
            Some(answer) if call.number_of(&answer) == Some(number) => break answer,
            Some(_) if !passed_over(until).await => {}
            _ => {
                call.spoil();
                let detail = format!("no answer came on `{subject}` within {timeout_ms} ms");
                return Err(Problem::new(Code::Timeout, detail));
            }
        }
    };
    if is_nobody(&answer.headers) && answer.payload.is_empty() {
        return Err(refused(Code::NoResponders, &subject));
    }
    let mut response = Response::new(Body::from(answer.payload));
    *response.status_mut() = StatusCode::OK;
    show(&answer.headers, response.headers_mut());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(BYTES));
    Ok(response)
}
