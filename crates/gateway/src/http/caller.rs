//! Who asks, and for what: credentials, names in the path and parameters behind the question mark, read from a request,
//! each with a problem of its own. What somebody may do is *not* decided here: that is the session's.

use std::sync::Arc;

use auth::{Credentials, Principal};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use kernel::Code;
use serde::de::DeserializeOwned;

use super::HttpDoor;
use super::call::Call;
use super::problem::Problem;
use super::visit::{Lent, Visit};

/// Who asks.
pub(super) struct Caller {
    pub(super) door: Arc<HttpDoor>,
    pub(super) who: Arc<Principal>,
    pub(super) visit: Arc<Visit>,
}

impl Caller {
    /// An inbox for a question or two, kept by the connection for the next one.
    pub(super) fn lend(&self) -> Result<Lent, Problem> {
        self.visit.lend(&self.door.hub, &self.who)
    }

    /// An inbox for answers, in which `bytes_max` may wait.
    pub(super) fn call(&self, bytes_max: usize) -> Result<Call, Problem> {
        Call::open(&self.door.hub, self.who.clone(), bytes_max, &self.visit.hold)
    }
}

impl FromRequestParts<Arc<HttpDoor>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<HttpDoor>) -> Result<Caller, Problem> {
        let visit = parts.extensions.get::<Arc<Visit>>().cloned();
        let visit =
            visit.ok_or_else(|| Problem::new(Code::InternalError, "the request came from nowhere"))?;
        let shown = parts.headers.get(AUTHORIZATION);
        if let Some(who) = shown.and_then(|shown| visit.known(shown)) {
            return Ok(Caller { door: door.clone(), who, visit });
        }
        let read = Shown::read(&parts.headers);
        let who = door.hub.accounts().authenticate(read.as_credentials()).map_err(|code| {
            Problem::new(code, "give a user and a password (Basic), or a token (Bearer), in `Authorization`")
        })?;
        if let Some(shown) = shown {
            visit.remember(shown, &who);
        }
        Ok(Caller { door: door.clone(), who, visit })
    }
}

/// What the `Authorization` header shows; empty: nothing.
#[derive(Default)]
struct Shown {
    user: String,
    password: String,
    token: String,
}

impl Shown {
    fn read(headers: &HeaderMap) -> Shown {
        let text = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let (scheme, rest) = text.split_once(' ').unwrap_or_default();
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Shown { token: rest.to_owned(), ..Shown::default() };
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Shown::default();
        }
        let bytes = STANDARD.decode(rest).or_else(|_| STANDARD_NO_PAD.decode(rest));
        let text = bytes.ok().and_then(|b| String::from_utf8(b).ok()).unwrap_or_default();
        match text.split_once(':') {
            Some((user, password)) => {
                Shown { user: user.to_owned(), password: password.to_owned(), token: String::new() }
            }
            None => Shown::default(),
        }
    }

    fn as_credentials(&self) -> Credentials<'_> {
        Credentials { user: &self.user, password: &self.password, token: &self.token }
    }
}

/// What stands behind the question mark.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params<T>, Problem> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(params)| Params(params))
            .map_err(|e| Problem::new(Code::InvalidRequest, e.body_text()))
    }
}

/// The names in the path.
pub(super) struct Names<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Names<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Names<T>, Problem> {
        let names = Path::from_request_parts(parts, state).await;
        names.map(|Path(names)| Names(names)).map_err(|e| Problem::new(Code::InvalidRequest, e.body_text()))
    }
}

/// The answer to what is not there.
pub(super) async fn no_route() -> Problem {
    Problem::of_http(StatusCode::NOT_FOUND, "nothing is at this path")
}

/// The answer to another method than a path has.
pub(super) async fn no_method() -> Problem {
    Problem::of_http(StatusCode::METHOD_NOT_ALLOWED, "this path has other methods: see `Allow`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_from_both_schemes() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, text.parse().unwrap());
            let Shown { user, password, token } = Shown::read(&headers);
            [user, password, token]
        };
        assert_eq!(read("Bearer t0k"), ["", "", "t0k"]);
        assert_eq!(read("basic YW5uOnA6QHNz"), ["ann", "p:@ss", ""]);
        for nothing in ["Basic !", "Basic YW5u", "Digest x", "x", ""] {
            assert_eq!(read(nothing), ["", "", ""], "{nothing}");
        }
    }
}
