//! Headers of messages as headers of HTTP: `Np-Header-NAME: value` is the header NAME of the message, and those that
//! neuroplex and JetStream know travel under their own names. HTTP does not keep the case of names: they come out with
//! every word in capitals first, as `Np-Header-trace-id` becomes `Trace-Id`. What they make the node do is *not*
//! known here.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use kernel::envelope::name::{self, DELAY};
use kernel::journal::Level;
use kernel::{Code, Headers, headers};
use wire::jetstream::pub_headers::header::TTL as NATS_TTL;
use wire::jetstream::{Delay, Ttl};

use super::problem::Problem;
use crate::nearest;

/// What the headers of a message's own begin with.
pub(super) const OWN: &str = "np-header-";

/// The block of headers that a request gives to its message, and the identity among them.
pub(super) struct Given {
    pairs: Vec<(String, String)>,
    has_id: bool,
}

impl Given {
    /// Reads those of a request.
    pub(super) fn read(all: &HeaderMap) -> Result<Given, Problem> {
        let mut given = Given { pairs: Vec::new(), has_id: false };
        for (name, value) in all {
            let Some(name) = name_of(name.as_str())? else { continue };
            let text = std::str::from_utf8(value.as_bytes());
            let value = text.map_err(|_| wrong(format!("the header for `{name}` is not UTF-8")))?;
            check(&name, value)?;
            given.has_id |= [name::ID, name::NATS_ID].contains(&&*name);
            given.pairs.push((name, value.to_owned()));
        }
        Ok(given)
    }

    /// The message's identity: the one that was given, or the one that `or_new` makes.
    pub(super) fn id(&mut self, or_new: impl FnOnce() -> String) -> String {
        if !self.has_id {
            self.has_id = true;
            self.pairs.insert(0, (name::ID.to_owned(), or_new()));
        }
        let mut ids = self.pairs.iter().filter(|(n, _)| n == name::ID);
        let id = ids.next().or_else(|| self.pairs.iter().find(|(n, _)| n == name::NATS_ID));
        id.map(|(_, id)| id.clone()).unwrap_or_default()
    }

    /// The message is to be as safe as this word says, whatever its headers said.
    pub(super) fn set_ack(&mut self, word: &str) {
        self.pairs.retain(|(name, _)| name != name::ACK);
        self.pairs.push((name::ACK.to_owned(), word.to_owned()));
    }

    /// The block.
    pub(super) fn block(&self) -> Result<Vec<u8>, Problem> {
        headers::block(self.pairs.iter().map(|(n, v)| (&**n, &**v)))
            .map_err(|_| wrong("a header has a name or a value that cannot be".into()))
    }
}

fn wrong(detail: String) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}

/// The message's name for a header of HTTP; `None`: it is none of the message's.
fn name_of(name: &str) -> Result<Option<String>, Problem> {
    if let Some(own) = name.strip_prefix(OWN) {
        return match own.is_empty() {
            true => Err(wrong("`Np-Header-` needs a name behind it".into())),
            false => Ok(Some(canonical(own))),
        };
    }
    if name.starts_with("nats-") {
        return Ok(Some(canonical(name)));
    }
    if !name.starts_with("np-") {
        return Ok(None);
    }
    let mut known = name::ALL.iter().copied().chain([DELAY, name::ACK]);
    match known.clone().find(|k| k.eq_ignore_ascii_case(name)) {
        Some(known) => Ok(Some(known.to_owned())),
        None => {
            let all: Vec<&str> = known.by_ref().filter(|k| k.starts_with("Np-")).collect();
            let near = nearest(name, &all).map(|near| format!("did you mean `{near}`? "));
            let near = near.unwrap_or_default();
            let detail =
                format!("there is no header `{name}`; {near}Headers of your own begin with `Np-Header-`");
            Err(wrong(detail))
        }
    }
}

/// Each word with a capital; names that are known, as they are known.
fn canonical(name: &str) -> String {
    let known =
        name::ALL.iter().copied().chain([DELAY, name::ACK, NATS_TTL]).find(|k| k.eq_ignore_ascii_case(name));
    if let Some(known) = known {
        return known.to_owned();
    }
    let mut is_first = true;
    let capital = |c: char| {
        let out = if is_first { c.to_ascii_uppercase() } else { c };
        is_first = c == '-';
        out
    };
    name.chars().map(capital).collect()
}

/// Refuses what would be read as if it were not there.
fn check(name: &str, value: &str) -> Result<(), Problem> {
    let is_fine = match name {
        name::PRIORITY => value.parse::<kernel::Priority>().is_ok(),
        name::GUARANTEE => value.parse::<kernel::Guarantee>().is_ok(),
        name::KIND => value.parse::<kernel::Kind>().is_ok(),
        name::PERSISTENT => value.parse::<bool>().is_ok(),
        name::TTL_MS | name::TIMESTAMP_MS | name::TIMEOUT_MS => value.parse::<u64>().is_ok(),
        name::ACK => Level::read(value.as_bytes()).is_some(),
        name::ID | name::NATS_ID => !value.is_empty(),
        NATS_TTL => Ttl::read(value.as_bytes()) != Ttl::Invalid,
        DELAY => Delay::read(value.as_bytes()) != Delay::Invalid,
        _ => true,
    };
    let words = match name {
        name::PRIORITY => "critical, high, normal or low",
        name::GUARANTEE => "at-most-once, at-least-once or exactly-once",
        name::KIND => "command, event, request, response or notification",
        name::PERSISTENT => "true or false",
        name::ACK => "mem, os or disk",
        name::ID | name::NATS_ID => "not empty",
        NATS_TTL => "a time of at least a second, such as 90s or 1h30m, or never",
        DELAY => "milliseconds, or a time such as 5s, of at most a year",
        _ => "a number of milliseconds",
    };
    if is_fine { Ok(()) } else { Err(wrong(format!("`{name}: {value}`: it is {words}"))) }
}

/// The headers of a message as those of an answer. What HTTP cannot carry is left out.
pub(super) fn show(block: &[u8], into: &mut HeaderMap) {
    /// Most headers of one answer: clients do not take more.
    const HEADERS_MAX: usize = 64;
    for header in Headers::new(block).iter().take(HEADERS_MAX) {
        let name = HeaderName::from_bytes(format!("{OWN}{}", header.name).as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(header.value.as_bytes())) {
            into.append(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &'static str)]) -> Result<Given, String> {
        let pair = |(n, v): &(&'static str, &'static str)| {
            (HeaderName::from_static(n), HeaderValue::from_bytes(v.as_bytes()).unwrap())
        };
        Given::read(&headers.iter().map(pair).collect()).map_err(|p| p.text().to_owned())
    }

    #[test]
    fn a_requests_headers_become_the_messages() {
        let mut given = read(&[
            ("np-header-trace-id", "1"),
            ("np-header-nats-ttl", "5s"),
            ("nats-ttl", "6s"),
            ("np-priority", "high"),
            ("np-delay", "1000"),
            ("accept", "x"),
        ])
        .unwrap();
        assert_eq!(given.id(|| "new".into()), "new");
        let block = String::from_utf8(given.block().unwrap()).unwrap();
        for line in [
            "Np-Id: new",
            "Trace-Id: 1",
            "Nats-TTL: 5s",
            "Nats-TTL: 6s",
            "Np-Priority: high",
            "Np-Delay: 1000",
        ] {
            assert!(block.contains(&format!("\r\n{line}\r\n")), "{block}");
        }
        assert!(!block.contains("ccept"));
        let mut given = read(&[("nats-msg-id", "mine")]).unwrap();
        assert_eq!(given.id(|| "new".into()), "mine");
    }

    #[test]
    fn what_would_mean_nothing_is_refused() {
        assert!(read(&[("np-priorty", "high")]).err().unwrap().contains("did you mean `Np-Priority`?"));
        assert!(read(&[("np-color", "blue")]).err().unwrap().contains("`Np-Header-`"));
        for bad in [
            ("np-priority", "urgent"),
            ("np-guarantee", "twice"),
            ("np-header-", "x"),
            ("np-ttl-ms", "-1"),
            ("np-ack", "quorum"),
            ("nats-ttl", ""),
            ("nats-ttl", "soon"),
            ("np-delay", "soon"),
            ("np-delay", "8761h"),
        ] {
            assert!(read(&[bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn headers_that_http_cannot_carry_are_left_out() {
        let block = headers::block([("Color", "blue"), ("a/b", "x"), ("Größe", "y")]);
        let block = block.unwrap_or_else(|_| headers::block([("Color", "blue"), ("a/b", "x")]).unwrap());
        let mut shown = HeaderMap::new();
        show(&block, &mut shown);
        assert_eq!(shown.len(), 1);
        assert_eq!(shown["np-header-color"], "blue");
    }
}
