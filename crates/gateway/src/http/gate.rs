//! What every request passes before the router: it is counted, must come from no stranger, have a head that is not too
//! large and parameters that exist. Every answer leaves with what browsers must know. It does *not* know the routes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::HttpDoor;
use super::answer::Answer;
use super::guard;
use super::limits::Limit;
use super::problem::Problem;
use super::trace;
use super::visit::Visit;

/// See the module. One for each connection.
#[derive(Clone)]
pub(super) struct Gate {
    door: Arc<HttpDoor>,
    router: TowerToHyperService<Router>,
    visit: Arc<Visit>,
}

impl Gate {
    pub(super) fn new(door: Arc<HttpDoor>, router: TowerToHyperService<Router>, visit: Arc<Visit>) -> Gate {
        Gate { door, router, visit }
    }

    pub(super) fn visit(&self) -> &Arc<Visit> {
        &self.visit
    }

    fn check<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let door = &*self.door;
        if !door.admits(request.uri(), request.headers()) {
            return Err(guard::stranger());
        }
        if head_bytes(request.uri(), request.headers()) > door.header_bytes_max {
            door.limits.count(Limit::HeaderBytes);
            let detail = format!("address and headers are larger than {} bytes", door.header_bytes_max);
            return Err(Problem::of_http(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail));
        }
        door.table.check(request.method(), request.uri())
    }
}

impl Service<Request<Incoming>> for Gate {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.visit.begin();
        self.door.requests.fetch_add(1, Relaxed);
        if let Err(problem) = self.check(&request) {
            let method = trace::method_name(request.method());
            self.door.answers.count(method, trace::NO_ROUTE, problem.status(), Duration::ZERO);
            return Box::pin(std::future::ready(Ok(leaving(problem.into_response()))));
        }
        request.extensions_mut().insert(self.visit.clone());
        let answering = self.router.call(request.map(Body::new));
        let asked = Asked { visit: self.visit.clone(), is_answered: false };
        Box::pin(async move {
            // All of it, so that it lives as long as the request.
            let mut asked = asked;
            let answer = answering.await.map(leaving);
            asked.is_answered = true;
            answer.map(|response| response.map(|body| Answer::body(body, &asked.visit.hold)))
        })
    }
}

/// A request, taken back if it is dropped before it is answered.
struct Asked {
    visit: Arc<Visit>,
    is_answered: bool,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.is_answered {
            self.visit.abandon();
        }
    }
}

/// Nothing that leaves is to be taken for something else than it says it is.
fn leaving(mut response: Response) -> Response {
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What the head of a request has in bytes, about.
fn head_bytes(uri: &Uri, headers: &HeaderMap) -> usize {
    const LINE_BYTES: usize = 4;
    let address = uri.path_and_query().map_or(1, |p| p.as_str().len());
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + LINE_BYTES).sum::<usize>()
        + address
}
