//! Refuses requests that a web page of a stranger may have caused: a browser that was led to this address under
//! another name (DNS rebinding) says so in `Host`, and a page of another site in `Origin`.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use kernel::Code;

use super::problem::Problem;

/// The names under which the door may be addressed.
pub(super) struct Guard {
    hosts: Vec<String>,
    any_address: bool,
}

impl Guard {
    /// `localhost`, the address itself, and `more`.
    pub(super) fn new(address: SocketAddr, more: &[String]) -> Guard {
        let mut hosts = vec!["localhost".to_owned(), address.ip().to_string()];
        hosts.extend(more.iter().map(|h| h.to_ascii_lowercase()));
        Guard { hosts, any_address: address.ip().is_unspecified() }
    }

    /// Whether the request names this door, and comes from no other site.
    pub(super) fn admits(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).map(|v: &axum::http::HeaderValue| v.to_str().unwrap_or("?"));
        let named = match (uri.host(), text(HOST)) {
            (Some(host), _) => self.knows(host),
            (None, Some(host)) => self.knows(without_port(host)),
            (None, None) => false,
        };
        let from = match text(ORIGIN) {
            None => true,
            Some(origin) => origin.split_once("://").is_some_and(|(_, host)| self.knows(without_port(host))),
        };
        named && from && headers.get_all(HOST).iter().count() <= 1
    }

    fn knows(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        // An address is no name that somebody else could have pointed here.
        let own_address = host.parse::<IpAddr>().is_ok_and(|ip| self.any_address || ip.is_loopback());
        own_address || self.hosts.contains(&host)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The answer to a request that does not pass.
pub(super) fn stranger() -> Problem {
    let detail = "this Host or Origin is not one of the door's names; list it in http.hosts";
    Problem::new(Code::PermissionDenied, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(listen: &str, host: &[&str], origin: Option<&str>) -> bool {
        let guard = Guard::new(listen.parse().unwrap(), &["Brain.lan".to_owned()]);
        let mut headers = HeaderMap::new();
        for host in host {
            headers.append(HOST, host.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        guard.admits(&Uri::from_static("/varz"), &headers)
    }

    #[test]
    fn only_the_doors_own_names_pass() {
        let local = "127.0.0.1:7400";
        for host in
            ["localhost", "localhost:7400", "127.0.0.1:7400", "[::1]:7400", "LOCALHOST", "brain.lan:7400"]
        {
            assert!(admits(local, &[host], None), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1", "", "127.0.0.1.evil.example:7400"]
        {
            assert!(!admits(local, &[host], None), "{host}");
        }
        assert!(!admits(local, &[], None));
        assert!(!admits(local, &["localhost", "evil.example"], None), "two names are one too many");
        assert!(admits("0.0.0.0:7400", &["10.0.0.1:7400"], None));
        assert!(!admits("0.0.0.0:7400", &["evil.example"], None));
    }

    #[test]
    fn a_page_of_another_site_does_not_pass() {
        let local = "127.0.0.1:7400";
        assert!(admits(local, &["localhost"], Some("http://localhost:7400")));
        assert!(!admits(local, &["localhost"], Some("https://evil.example")));
        assert!(!admits(local, &["localhost"], Some("null")));
    }
}
