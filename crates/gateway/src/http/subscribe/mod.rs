//! `GET /v1/subscribe`: messages as server-sent events, as they come, for as long as the client stays.

mod reader;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use fabric::Session;
use hyper::body::{Body as HttpBody, Frame};
use kernel::{ClientInfo, Code, SubId, SubjectPattern};
use serde::Deserialize;
use std::sync::atomic::Ordering::Relaxed;
use tokio::time::{Instant, Sleep, sleep};

use super::HttpDoor;
use super::call::DISMISSED;
use super::caller::{Caller, Params};
use super::limits::Limit;
use super::problem::Problem;
use super::route::{EVENTS, Gives, Kind, Param, Route};
use reader::{Next, Reader};

/// Silence after which a comment says that the connection lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What operators see as the protocol of a reader.
pub(super) const PROTOCOL: &str = "sse";
/// Longest name of a group, in bytes.
const QUEUE_BYTES_MAX: usize = 255;

/// The route.
pub(super) const ROUTES: &[Route] =
    &[Route::get("/v1/subscribe", "subscribe", "Hear messages as events", || get(subscribe))
        .area("messages")
        .params(&[
            Param::query(
                "subject",
                Kind::Text { chars_min: 1, chars_max: 1024, form: "" },
                "A subject, or a pattern: `*` stands for one token, `>` for the rest.",
            )
            .required(),
            Param::query(
                "queue",
                Kind::Text { chars_min: 1, chars_max: QUEUE_BYTES_MAX as u64, form: r"^[!-~]+$" },
                "A group: each message goes to one of its members.",
            ),
        ])
        .gives(&[Gives {
            status: 200,
            media: EVENTS,
            schema: "",
            what: "Events `message`; at last `end`, which says why. A comment breaks silence.",
        }])
        .fails(&[Code::LimitExceeded])
        .endless()];

#[derive(Deserialize)]
pub(super) struct Asked {
    subject: String,
    queue: Option<String>,
}

async fn subscribe(
    caller: Caller,
    Params(asked): Params<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let pattern = SubjectPattern::parse(asked.subject.as_bytes()).map_err(|code| {
        Problem::new(code, "subject: tokens joined by `.`; `*` stands for one token, a last `>` for the rest")
    })?;
    let is_name =
        |q: &str| (1..=QUEUE_BYTES_MAX).contains(&q.len()) && q.bytes().all(|b| b.is_ascii_graphic());
    if asked.queue.as_deref().is_some_and(|queue| !is_name(queue)) {
        let detail = format!("queue: 1 to {QUEUE_BYTES_MAX} letters, digits and signs, without space");
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    if caller.door.is_stopping() {
        return Err(Problem::new(Code::ServiceUnavailable, "the node is about to stop"));
    }
    let body = Body::new(Events::open(caller, pattern, asked.queue, &headers)?);
    Ok((StatusCode::OK, [(CONTENT_TYPE, EVENTS), (CACHE_CONTROL, "no-store")], body).into_response())
}

/// The events of one subscription; it ends when they are dropped.
struct Events {
    door: Arc<HttpDoor>,
    session: Session,
    pattern: SubjectPattern,
    queue: Option<String>,
    id: SubId,
    reader: Arc<Reader>,
    heartbeat: Pin<Box<Sleep>>,
    /// When something was last given to the connection.
    last: Instant,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opened,
    Reading,
    Ended,
}

impl Events {
    fn open(
        caller: Caller,
        pattern: SubjectPattern,
        queue: Option<String>,
        headers: &HeaderMap,
    ) -> Result<Events, Problem> {
        let Caller { door, who, visit } = caller;
        let agent = headers.get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let info = ClientInfo {
            tenant: who.tenant,
            protocol: PROTOCOL,
            address: visit.address.to_string(),
            name: agent.chars().take(100).collect(),
            user: who.name.clone(),
            tls: visit.is_tls,
            connected_wall_ms: door.wall_ms.load(Relaxed),
            ..ClientInfo::default()
        };
        let mut session = Session::new(&door.hub, who);
        let group = queue.as_deref().map(str::as_bytes);
        let bytes_max = door.outbox_bytes_max;
        let make = |judge| Reader::new(&door.hub, info, bytes_max, judge);
        let (id, reader) = session.subscribe(&pattern, group, make).map_err(|code| {
            let detail = match code {
                Code::PermissionDenied => format!("this user may not hear `{pattern}`"),
                _ => "the node remembers as many subscriptions as it may".to_owned(),
            };
            Problem::new(code, detail)
        })?;
        if let Err(code) = door.hub.clients.enter(reader.clone()) {
            session.unsubscribe(&pattern, group, id);
            return Err(Problem::new(code, "the node has as many clients as it may"));
        }
        if !door.hub.admits(session.who()) {
            reader.end(Code::PermissionDenied);
        }
        let (heartbeat, last) = (Box::pin(sleep(HEARTBEAT)), Instant::now());
        Ok(Events { door, session, pattern, queue, id, reader, heartbeat, last, phase: Phase::Opened })
    }

    /// The last event: why nothing more comes.
    fn end(&mut self, why: Code) -> Bytes {
        self.phase = Phase::Ended;
        let detail = match why {
            // Only who is let in no more is cut with this.
            Code::PermissionDenied => DISMISSED.to_owned(),
            Code::SlowConsumer => {
                self.door.limits.count(Limit::OutboxBytes);
                "more waited for this reader than http.outbox_bytes_max: what came meanwhile is lost"
                    .to_owned()
            }
            Code::ServiceUnavailable => "the node is about to stop".to_owned(),
            other => other.meaning().to_owned(),
        };
        let problem = serde_json::to_string(&Problem::new(why, detail)).unwrap_or_default();
        format!("event: end\ndata: {problem}\n\n").into()
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.phase {
            Phase::Ended => return Poll::Ready(None),
            Phase::Opened => {
                self.phase = Phase::Reading;
                // So that the client knows at once that it is connected, and comes back soon when it is cut off.
                return Poll::Ready(Some(Bytes::from_static(b"retry: 1000\n\n")));
            }
            Phase::Reading => {}
        }
        self.reader.task.register(cx.waker());
        match self.reader.next() {
            Next::Piece(piece) => {
                self.last = Instant::now();
                return Poll::Ready(Some(piece));
            }
            Next::Over(why) => return Poll::Ready(Some(self.end(why))),
            Next::Nothing => {}
        }
        while self.heartbeat.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let is_silent = now.duration_since(self.last) >= HEARTBEAT;
            if is_silent {
                self.last = now;
            }
            self.heartbeat.as_mut().reset(self.last + HEARTBEAT);
            if is_silent {
                return Poll::Ready(Some(Bytes::from_static(b": alive\n\n")));
            }
        }
        Poll::Pending
    }
}

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().poll_piece(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.session.unsubscribe(&self.pattern, self.queue.as_deref().map(str::as_bytes), self.id);
        // What waits is given back to the node's budget.
        self.reader.end(Code::ConnectionError);
        self.door.hub.clients.leave(kernel::Client::id(&*self.reader));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use auth::{Accounts, options::Options};
    use fabric::{Hub, Limits};

    use super::*;

    pub(in crate::http) fn hub() -> Arc<Hub> {
        let limits = Limits {
            connections_max: 10,
            subscriptions_max: 10,
            outbox_bytes_max: 1 << 20,
            outboxes_bytes_max: 1 << 20,
            interest_bytes_max: 1 << 20,
        };
        Arc::new(Hub::new(Accounts::new(&Options::default()).unwrap(), limits, 1))
    }

    #[tokio::test]
    async fn who_was_let_in_by_old_accounts_hears_nothing_although_nobody_cuts_them() {
        let hub = hub();
        let address = ([127, 0, 0, 1], 0).into();
        let identity = crate::http::Identity {
            server_id: String::new(),
            node_id: String::new(),
            nats_address: None,
            payload_bytes_max: 1000,
            started_wall_ms: 0,
        };
        let options = crate::HttpOptions::default();
        let tracing = crate::http::Tracing::default();
        let door = HttpDoor::new(hub.clone(), identity, &options, address, None, None, tracing);
        let who = hub.accounts().authenticate(auth::Credentials::default()).unwrap();
        let user = auth::options::User { token: "t".into(), ..Default::default() };
        let accounts = hub.accounts().renewed(&Options { users: vec![user] }).unwrap();
        hub.renew(Arc::new(accounts), hub.limits());
        let visit =
            crate::http::visit::Visit::new(address, false, crate::http::hold::Hold::new(hub.budget()));
        let pattern = SubjectPattern::parse(b"a").unwrap();
        let events = Events::open(Caller { door, who, visit }, pattern, None, &HeaderMap::new()).unwrap();
        let all = axum::body::to_bytes(Body::new(events), 1000).await.unwrap();
        let all = String::from_utf8_lossy(&all);
        assert!(
            all.ends_with("}\n\n") && all.contains("event: end") && all.contains("PERMISSION_DENIED"),
            "{all}"
        );
    }
}
