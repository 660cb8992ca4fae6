//! `/openapi.json`: what the door serves, as OpenAPI 3.1 says it, made of the table of routes; and `/docs`, a page that
//! shows it and lets one try it, without anything from elsewhere. The schemas of documents are a file beside this one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use kernel::Code;
use serde_json::{Map, Value, json};

use super::HttpDoor;
use super::problem::{PROBLEM_JSON, Problem};
use super::route::{self, Gives, JSON, Kind, Param, Place, Route};

/// Schemas by their names.
const SCHEMAS: &str = include_str!("schemas.json");
/// The page may load and ask what this door serves, and nothing else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                           img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const fn file(media: &'static str, what: &'static str) -> Gives {
    Gives { status: 200, media, schema: "", what }
}

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    Route::get("/openapi.json", "openapi", "This document", || get(document))
        .area("documentation")
        .gives(&[route::json(200, "OpenApi", "The document.")])
        .open(),
    Route::get("/docs", "docs", "A page that shows this document", || get(page))
        .area("documentation")
        .gives(&[file("text/html", "The page.")])
        .open(),
    Route::get("/docs/page.js", "docsScript", "What the page does", || get(script))
        .area("documentation")
        .gives(&[file("text/javascript", "The script.")])
        .open(),
    Route::get("/docs/page.css", "docsStyle", "What the page looks like", || get(style))
        .area("documentation")
        .gives(&[file("text/css", "The style.")])
        .open(),
];

async fn document(State(door): State<Arc<HttpDoor>>) -> Result<Response, Problem> {
    let asks = Asks {
        has_users: door.hub.accounts().are_required(),
        is_monitor_open: door.is_monitor_open.load(Relaxed),
    };
    let document = describe(door.table.all(), asks)
        .map_err(|e| Problem::new(Code::InternalError, format!("the schemas cannot be read: {e}")))?;
    Ok((StatusCode::OK, [(CONTENT_TYPE, JSON)], document.to_string()).into_response())
}

async fn page() -> Response {
    served("text/html; charset=utf-8", include_str!("page.html"))
}

async fn script() -> Response {
    served("text/javascript; charset=utf-8", include_str!("page.js"))
}

async fn style() -> Response {
    served("text/css; charset=utf-8", include_str!("page.css"))
}

fn served(media: &'static str, text: &'static str) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (CONTENT_TYPE, media),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    (StatusCode::OK, headers, text).into_response()
}

/// Of whom the door asks who it is.
#[derive(Clone, Copy)]
struct Asks {
    /// Of anybody at all.
    has_users: bool,
    /// Of nobody who monitors.
    is_monitor_open: bool,
}

impl Asks {
    fn asks(self, route: &Route) -> bool {
        self.has_users && route.is_guarded(self.is_monitor_open)
    }
}

/// The document of these routes.
fn describe(routes: &[&Route], asks: Asks) -> serde_json::Result<Value> {
    let schemas: Value = serde_json::from_str(SCHEMAS)?;
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(route.method.to_ascii_lowercase(), operation(route, asks));
        }
    }
    let areas: BTreeSet<&str> = routes.iter().map(|r| r.area).collect();
    let tags: Vec<Value> = areas.iter().map(|area| json!({ "name": area })).collect();
    let mut components = json!({ "schemas": schemas });
    if asks.has_users
        && let Value::Object(components) = &mut components
    {
        let ways = json!({
            "basic": { "type": "http", "scheme": "basic" },
            "bearer": { "type": "http", "scheme": "bearer" },
        });
        components.insert("securitySchemes".into(), ways);
    }
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "neuroplex",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every route is a translation of a request on a subject. Errors are problem documents with \
                            a code; `neuroplex explain CODE` says what it means.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": components,
    }))
}

fn operation(route: &Route, asks: Asks) -> Value {
    let mut out = Map::new();
    out.insert("operationId".into(), route.name.into());
    out.insert("summary".into(), route.what.into());
    out.insert("tags".into(), json!([route.area]));
    if asks.asks(route) {
        out.insert("security".into(), json!([{ "basic": [] }, { "bearer": [] }]));
    }
    if route.is_endless {
        out.insert("x-endless".into(), true.into());
    }
    if !route.params.is_empty() {
        out.insert("parameters".into(), route.params.iter().map(parameter).collect());
    }
    if let Some(takes) = route.takes {
        let schema = if takes.schema.is_empty() { json!({}) } else { reference(takes.schema) };
        let content: Map<String, Value> =
            takes.types.iter().map(|t| ((*t).to_owned(), json!({ "schema": schema }))).collect();
        out.insert("requestBody".into(), json!({ "required": takes.is_required, "content": content }));
    }
    out.insert("responses".into(), answers(route, asks));
    Value::Object(out)
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn parameter(param: &Param) -> Value {
    let place = match param.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    let schema = match param.kind {
        Kind::Text { chars_max: u64::MAX, .. } => json!({ "type": "string" }),
        Kind::Text { chars_min, chars_max, form: "" } => {
            json!({ "type": "string", "minLength": chars_min, "maxLength": chars_max })
        }
        Kind::Text { chars_min, chars_max, form } => {
            json!({ "type": "string", "minLength": chars_min, "maxLength": chars_max, "pattern": form })
        }
        Kind::Number { least, most, default: None } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Number { least, most, default: Some(default) } => {
            json!({ "type": "integer", "minimum": least, "maximum": most, "default": default })
        }
        Kind::Flag { default } => json!({ "type": "boolean", "default": default }),
        Kind::Word(words) => json!({ "type": "string", "enum": words }),
        Kind::Time => json!({ "type": "string", "format": "date-time" }),
    };
    json!({
        "name": param.name,
        "in": place,
        "required": param.is_required,
        "description": param.what,
        "schema": schema,
    })
}

/// What every route may answer when something is wrong, beside what it says itself.
fn failures(route: &Route, asks: Asks) -> BTreeMap<u16, BTreeSet<String>> {
    let mut all = BTreeMap::<u16, BTreeSet<String>>::new();
    let mut add = |status: u16, code: Code| {
        let name = format!("{} {}", code.number(), code.name());
        all.entry(status).or_default().insert(name);
    };
    let mut codes = vec![Code::InvalidRequest, Code::PermissionDenied, Code::InternalError];
    codes.extend(route.fails);
    if route.is_guarded(true) {
        codes.extend([Code::ServiceUnavailable, Code::LimitExceeded]);
    }
    codes.extend(asks.asks(route).then_some(Code::AuthFailed));
    if route.params.iter().any(|p| p.name == "subject") || route.takes.is_some() {
        codes.push(Code::SubjectInvalid);
    }
    if route.takes.is_some() {
        codes.extend([Code::PayloadTooLarge, Code::Backpressure]);
        add(408, Code::InvalidRequest);
        add(415, Code::InvalidRequest);
    }
    codes.iter().for_each(|code| add(code.http_status(), *code));
    add(431, Code::InvalidRequest);
    all
}

fn answers(route: &Route, asks: Asks) -> Value {
    let mut all = Map::new();
    for (status, names) in failures(route, asks) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut answer = json!({
            "description": names.join(", "),
            "content": { PROBLEM_JSON: { "schema": reference("Problem") } },
        });
        if [429, 503].contains(&status)
            && let Value::Object(answer) = &mut answer
        {
            let wait = json!({ "description": "Seconds to wait.", "schema": { "type": "integer" } });
            answer.insert("headers".into(), json!({ "Retry-After": wait }));
        }
        all.insert(status.to_string(), answer);
    }
    for gives in route.gives {
        let schema = match (gives.schema, gives.media) {
            ("", "application/octet-stream") => json!({}),
            ("", _) => json!({ "type": "string" }),
            (name, _) => reference(name),
        };
        let answer = all.entry(gives.status.to_string()).or_insert_with(|| json!({ "content": {} }));
        answer["description"] = gives.what.into();
        if !gives.media.is_empty() {
            answer["content"][gives.media] = json!({ "schema": schema });
        }
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::super::route::Table;
    use super::*;

    const GUARDED: Asks = Asks { has_users: true, is_monitor_open: false };

    fn all() -> Value {
        describe(Table::of(super::super::ROUTES).all(), GUARDED).unwrap()
    }

    #[test]
    fn every_route_of_the_door_is_in_the_document_with_its_parameters_and_answers() {
        let document = all();
        let table = Table::of(super::super::ROUTES);
        let mut names = BTreeSet::new();
        for route in table.all() {
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            assert_eq!(operation["operationId"], route.name);
            assert!(names.insert(route.name), "{} stands twice", route.name);
            assert!(!route.gives.is_empty(), "{} answers", route.name);
            let told = operation["parameters"].as_array().map_or(0, Vec::len);
            assert_eq!(told, route.params.len(), "{}", route.name);
            for part in route.path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}')) {
                let is_path = |p: &&Param| p.place == Place::Path && p.name == part;
                assert!(route.params.iter().any(|p| is_path(&p)), "{}: {part}", route.name);
            }
            for status in route.gives.iter().map(|g| g.status).chain([400, 403]) {
                assert!(operation["responses"][status.to_string()].is_object(), "{} {status}", route.name);
            }
        }
    }

    #[test]
    fn every_schema_that_is_named_is_there_and_every_one_that_is_there_is_named() {
        fn references(value: &Value, into: &mut BTreeSet<String>) {
            match value {
                Value::Object(map) => {
                    into.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|v| references(v, into));
                }
                Value::Array(all) => all.iter().for_each(|v| references(v, into)),
                _ => {}
            }
        }
        let document = all();
        let mut named = BTreeSet::new();
        references(&document, &mut named);
        let there: BTreeSet<String> = document["components"]["schemas"]
            .as_object()
            .unwrap()
            .keys()
            .map(|k| format!("#/components/schemas/{k}"))
            .collect();
        assert_eq!(named, there);
    }

    #[test]
    fn an_open_node_asks_nobody_who_it_is() {
        let described = |asks| describe(Table::of(super::super::ROUTES).all(), asks).unwrap();
        let open = described(Asks { has_users: false, ..GUARDED });
        assert!(!open.to_string().contains("security"));
        assert!(!open.to_string().contains("AUTH_FAILED"));
        let closed = all();
        assert!(closed["paths"]["/v1/messages"]["post"]["security"].is_array());
        assert!(closed["paths"]["/healthz"]["get"]["security"].is_null());
        assert!(closed["paths"]["/metrics"]["get"]["security"].is_array());
        let watched = described(Asks { is_monitor_open: true, ..GUARDED });
        assert!(watched["paths"]["/metrics"]["get"]["security"].is_null());
    }

    #[test]
    fn the_page_is_small_and_names_nobody_else() {
        let page = [include_str!("page.html"), include_str!("page.js"), include_str!("page.css")].concat();
        assert!(page.len() < 300 * 1024);
        assert!(!page.contains("//cdn") && !page.contains("https://") && !page.contains("@import"));
    }
}
