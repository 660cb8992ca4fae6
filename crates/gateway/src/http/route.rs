//! The table of routes: what the door serves, each with its parameters, bodies and answers. The router, the check of what
//! stands behind the question mark and the OpenAPI document are made of it, so that none of them says what another does
//! not. It does *not* know what a handler does.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::routing::MethodRouter;
use kernel::Code;

use super::HttpDoor;
use super::problem::Problem;
use crate::nearest;

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Text of a length, of a form (a regular expression as JSON Schema has it; empty: any).
    Text { chars_min: u64, chars_max: u64, form: &'static str },
    /// A whole number.
    Number { least: u64, most: u64, default: Option<u64> },
    /// `true` or `false`.
    Flag { default: bool },
    /// One of some words.
    Word(&'static [&'static str]),
    /// A time of RFC 3339.
    Time,
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) what: &'static str,
}

impl Param {
    /// A name in the path.
    pub(super) const fn path(name: &'static str, kind: Kind, what: &'static str) -> Param {
        Param { name, place: Place::Path, kind, is_required: true, what }
    }

    /// One behind the question mark.
    pub(super) const fn query(name: &'static str, kind: Kind, what: &'static str) -> Param {
        Param { name, place: Place::Query, kind, is_required: false, what }
    }

    /// A header.
    pub(super) const fn header(name: &'static str, kind: Kind, what: &'static str) -> Param {
        Param { name, place: Place::Header, kind, is_required: false, what }
    }

    /// The same, and it must be there.
    pub(super) const fn required(mut self) -> Param {
        self.is_required = true;
        self
    }
}

/// A body that a route takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Takes {
    pub(super) types: &'static [&'static str],
    /// Its schema, by name; empty: bytes.
    pub(super) schema: &'static str,
    pub(super) is_required: bool,
}

/// An answer that a route gives when all is well.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gives {
    pub(super) status: u16,
    pub(super) media: &'static str,
    /// Its schema, by name; empty: bytes or text.
    pub(super) schema: &'static str,
    pub(super) what: &'static str,
}

/// What makes the handler of a route.
type Handler = fn() -> MethodRouter<Arc<HttpDoor>>;

/// A route.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Its name for programs.
    pub(super) name: &'static str,
    /// What it belongs to.
    pub(super) area: &'static str,
    pub(super) what: &'static str,
    pub(super) params: &'static [Param],
    pub(super) takes: Option<Takes>,
    pub(super) gives: &'static [Gives],
    /// What may go wrong beside what may with every route.
    pub(super) fails: &'static [Code],
    /// Whether whoever asks must say who it is, where users are configured.
    guarded: Guarded,
    /// Whether its answer lasts as long as the client stays.
    pub(super) is_endless: bool,
    handler: Handler,
}

/// When whoever asks must say who it is.
#[derive(Clone, Copy)]
enum Guarded {
    Never,
    /// Where not everybody may monitor the door.
    Watched,
    Always,
}

pub(super) const JSON: &str = "application/json";
pub(super) const BYTES: &str = "application/octet-stream";
pub(super) const EVENTS: &str = "text/event-stream";
pub(super) const TEXT: &str = "text/plain";

impl Route {
    const fn new(
        method: &'static str,
        path: &'static str,
        name: &'static str,
        what: &'static str,
        handler: Handler,
    ) -> Route {
        Route {
            method,
            path,
            name,
            area: "node",
            what,
            params: &[],
            takes: None,
            gives: &[],
            fails: &[],
            guarded: Guarded::Always,
            is_endless: false,
            handler,
        }
    }

    /// `GET`.
    pub(super) const fn get(
        path: &'static str,
        name: &'static str,
        what: &'static str,
        handler: Handler,
    ) -> Route {
        Route::new("GET", path, name, what, handler)
    }

    /// `POST`.
    pub(super) const fn post(
        path: &'static str,
        name: &'static str,
        what: &'static str,
        handler: Handler,
    ) -> Route {
        Route::new("POST", path, name, what, handler)
    }

    /// `PUT`.
    pub(super) const fn put(
        path: &'static str,
        name: &'static str,
        what: &'static str,
        handler: Handler,
    ) -> Route {
        Route::new("PUT", path, name, what, handler)
    }

    /// `DELETE`.
    pub(super) const fn delete(
        path: &'static str,
        name: &'static str,
        what: &'static str,
        handler: Handler,
    ) -> Route {
        Route::new("DELETE", path, name, what, handler)
    }

    pub(super) const fn area(mut self, area: &'static str) -> Route {
        self.area = area;
        self
    }

    pub(super) const fn params(mut self, params: &'static [Param]) -> Route {
        self.params = params;
        self
    }

    pub(super) const fn takes(
        mut self,
        types: &'static [&'static str],
        schema: &'static str,
        is_required: bool,
    ) -> Route {
        self.takes = Some(Takes { types, schema, is_required });
        self
    }

    pub(super) const fn gives(mut self, gives: &'static [Gives]) -> Route {
        self.gives = gives;
        self
    }

    pub(super) const fn fails(mut self, fails: &'static [Code]) -> Route {
        self.fails = fails;
        self
    }

    /// Anybody may ask.
    pub(super) const fn open(mut self) -> Route {
        self.guarded = Guarded::Never;
        self
    }

    /// Whoever may monitor the door may ask.
    pub(super) const fn watched(mut self) -> Route {
        self.guarded = Guarded::Watched;
        self
    }

    /// Whether whoever asks must say who it is, where users are configured. `is_monitor_open`: anybody may monitor the door.
    pub(super) fn is_guarded(&self, is_monitor_open: bool) -> bool {
        match self.guarded {
            Guarded::Never => false,
            Guarded::Watched => !is_monitor_open,
            Guarded::Always => true,
        }
    }

    /// The answer lasts.
    pub(super) const fn endless(mut self) -> Route {
        self.is_endless = true;
        self
    }

    /// The names that may stand behind the question mark.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.params.iter().filter(|p| p.place == Place::Query).map(|p| p.name)
    }
}

/// An answer in JSON.
pub(super) const fn json(status: u16, schema: &'static str, what: &'static str) -> Gives {
    Gives { status, media: JSON, schema, what }
}

/// All routes, and which of them a request means.
pub(super) struct Table {
    all: Vec<&'static Route>,
    /// Which of `all` a path is, whatever the method.
    paths: matchit::Router<Vec<usize>>,
}

impl Table {
    /// The table of these.
    pub(super) fn of(lists: &[&'static [Route]]) -> Table {
        let all: Vec<&'static Route> = lists.iter().flat_map(|list| list.iter()).collect();
        let mut paths = matchit::Router::new();
        for route in &all {
            let same = all.iter().enumerate().filter(|(_, r)| r.path == route.path).map(|(at, _)| at);
            // A path that stands twice is entered once.
            let _ = paths.insert(route.path, same.collect());
        }
        Table { all, paths }
    }

    /// Every route, in the order of the lists.
    pub(super) fn all(&self) -> &[&'static Route] {
        &self.all
    }

    /// The router of all routes.
    pub(super) fn router(&self) -> Router<Arc<HttpDoor>> {
        self.all.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()))
    }

    /// Refuses a name behind the question mark that the route does not have, and one that stands twice.
    pub(super) fn check(&self, method: &Method, uri: &Uri) -> Result<(), Problem> {
        let Some(query) = uri.query().filter(|q| !q.is_empty()) else { return Ok(()) };
        let Ok(found) = self.paths.at(uri.path()) else { return Ok(()) };
        // What answers GET answers HEAD.
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        let own = found.value.iter().filter_map(|at| self.all.get(*at)).find(|r| r.method == method);
        let Some(route) = own else { return Ok(()) };
        let mut seen = 0u64;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split('=').next().unwrap_or_default();
            match route.names().position(|n| n == name) {
                Some(at) if seen & (1 << at) != 0 => {
                    return Err(Problem::new(
                        Code::InvalidRequest,
                        format!("the parameter `{name}` stands twice"),
                    ));
                }
                Some(at) => seen |= 1 << at,
                None => return Err(unknown(name, route)),
            }
        }
        Ok(())
    }
}

fn unknown(name: &str, route: &Route) -> Problem {
    let shown: String = name.chars().take(40).collect();
    let known: Vec<&str> = route.names().collect();
    let detail = match (nearest(&shown, &known), known.is_empty()) {
        (Some(near), _) => format!("there is no parameter `{shown}`; did you mean `{near}`?"),
        (None, true) => format!("there is no parameter `{shown}`: this route takes none"),
        (None, false) => format!("there is no parameter `{shown}`; this route takes {}", known.join(", ")),
    };
    Problem::new(Code::InvalidRequest, detail)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    const OFFSET: Param = Param::query("offset", Kind::Number { least: 0, most: 9, default: Some(0) }, "");
    const ROUTES: &[Route] = &[
        Route::get("/a/{b}", "a", "", || get(async || ())).params(&[OFFSET]),
        Route::post("/a/{b}", "b", "", || axum::routing::post(async || ())),
    ];

    #[test]
    fn a_parameter_that_a_route_does_not_have_is_refused_with_the_nearest_name() {
        let table = Table::of(&[ROUTES]);
        let check = |method: Method, uri: &str| {
            table.check(&method, &uri.parse().unwrap()).map_err(|p| p.text().to_owned())
        };
        for fine in ["/a/x", "/a/x?", "/a/x?offset=1", "/a/x?offset", "/nowhere?x=1"] {
            assert_eq!(check(Method::GET, fine), Ok(()), "{fine}");
        }
        assert_eq!(check(Method::DELETE, "/a/x?y=1"), Ok(()), "the router says that there is no such method");
        let said = |method, uri| check(method, uri).unwrap_err();
        assert!(said(Method::GET, "/a/x?offst=1").contains("did you mean `offset`?"));
        assert!(said(Method::HEAD, "/a/x?zz").contains("this route takes offset"));
        assert!(said(Method::GET, "/a/x?offset=1&offset=2").contains("stands twice"));
        assert!(said(Method::POST, "/a/x?offset=1").contains("takes none"));
    }
}
