//! Where a node's HTTP door is, and who asks there: `http://[user:password@|token@]host[:port]`, or https.

use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::{Credentials, Server};
use http::HeaderValue;

const FORM: &str = "an address is http://[user:password@|token@]host[:port], or https://…";

/// Where the door listens unless it is told otherwise.
const PORT: u16 = 7400;

/// What a door is shown of who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    None,
    /// There are credentials, but they would go in the clear.
    Withheld,
    Header(HeaderValue),
}

/// A door. `Display` shows it without its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    place: Server,
}

impl Address {
    /// The usual door of this machine.
    pub(crate) fn usual() -> Result<Address, &'static str> {
        Address::beside("127.0.0.1", false)
    }

    /// The usual port on the host of the first of these NATS doors, with TLS where that is spoken there.
    pub(crate) fn beside(nats: &str, with_tls: bool) -> Result<Address, &'static str> {
        let first = nats.split(',').next().unwrap_or_default().trim();
        let server: Server =
            first.parse().map_err(|_| "the server's address tells no host: name --http URL")?;
        let scheme = if with_tls { "https" } else { "http" };
        match server.host().contains(':') {
            true => format!("{scheme}://[{}]:{PORT}", server.host()).parse(),
            false => format!("{scheme}://{}:{PORT}", server.host()).parse(),
        }
    }

    pub(crate) fn host(&self) -> &str {
        self.place.host()
    }

    pub(crate) fn port(&self) -> u16 {
        self.place.port()
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.place.tls()
    }

    /// `host:port` as a URL has it.
    pub(crate) fn authority(&self) -> String {
        let shown = self.place.to_string();
        shown.split_once("://").map_or(shown.clone(), |(_, rest)| rest.to_owned())
    }

    /// What `Authorization` says. Without credentials of its own the door gets those for a NATS door of the same host,
    /// `known` among them; of those that go there `with_tls`, none goes over a network in the clear.
    pub(crate) fn proof(&self, nats: &str, known: Option<Credentials>, with_tls: bool) -> Proof {
        if let Some(own) = self.place.credentials() {
            return header(own).map_or(Proof::None, Proof::Header);
        }
        let all = nats.split(',').filter_map(|server| server.trim().parse::<Server>().ok());
        let mut here = all.filter(|server| server.host().eq_ignore_ascii_case(self.host()));
        let theirs = here.find_map(|server| server.credentials().cloned().or_else(|| known.clone()));
        match theirs {
            None => Proof::None,
            Some(_) if with_tls && !self.is_tls() && !self.is_loopback() => Proof::Withheld,
            Some(theirs) => header(&theirs).map_or(Proof::None, Proof::Header),
        }
    }

    fn is_loopback(&self) -> bool {
        let ip = self.host().parse::<IpAddr>();
        ip.map_or_else(|_| self.host().eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
    }
}

/// The header that says who asks.
fn header(credentials: &Credentials) -> Option<HeaderValue> {
    let text = match credentials {
        Credentials::Password { user, password } => {
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        }
        Credentials::Token(token) => format!("Bearer {token}"),
        _ => return None,
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http{}://{}", if self.is_tls() { "s" } else { "" }, self.authority())
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Address, &'static str> {
        let (tls, rest) = match text.split_once("://") {
            None => (false, text),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some(_) => return Err(FORM),
        };
        let rest = rest.trim_end_matches('/');
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        let has_port = place.rsplit_once(']').map_or(place, |(_, port)| port).contains(':');
        let (scheme, port) = if tls { ("tls", ":443") } else { ("nats", ":80") };
        let port = if has_port { "" } else { port };
        match format!("{scheme}://{rest}{port}").parse() {
            Ok(place) => Ok(Address { place }),
            Err(_) => Err(FORM),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_read_and_shown_without_secrets() {
        for (text, shown) in [
            ("http://127.0.0.1:7400/", "http://127.0.0.1:7400"),
            ("localhost:7400", "http://localhost:7400"),
            ("http://h", "http://h:80"),
            ("https://ann:s3cret@h", "https://h:443"),
            ("http://t0k@[::1]:1", "http://[::1]:1"),
            ("HTTP://[::1]", "http://[::1]:80"),
        ] {
            assert_eq!(address(text).to_string(), shown);
        }
        for (nats, with_tls, shown) in [
            ("nats://127.0.0.1:4222", false, "http://127.0.0.1:7400"),
            ("tls://ann:p@far:1, nats://b", true, "https://far:7400"),
            ("[::1]:1", false, "http://[::1]:7400"),
        ] {
            assert_eq!(Address::beside(nats, with_tls).unwrap().to_string(), shown);
        }
        assert!(Address::beside("http://h", false).is_err());
        for bad in ["", "ftp://h", "http://h/path", "http://a b", "http://h:0", "nats://h:1"] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_door_gets_its_own_credentials_or_those_of_its_host_and_of_no_other() {
        let shown = |http: &str, nats: &str| match address(http).proof(nats, None, false) {
            Proof::Header(value) => Some(value.to_str().unwrap().to_owned()),
            _ => None,
        };
        let kept = || Some(Credentials::Token("kept".into()));
        assert!(matches!(address("http://h").proof("nats://h", kept(), false), Proof::Header(_)));
        assert_eq!(address("http://h").proof("nats://other", kept(), false), Proof::None);
        assert_eq!(shown("http://ann:p%40@h", "").as_deref(), Some("Basic YW5uOnBA"));
        assert_eq!(shown("http://t0k@h", "nats://ann:p@h").as_deref(), Some("Bearer t0k"));
        assert_eq!(shown("http://h", "nats://other, nats://ann:p@h").as_deref(), Some("Basic YW5uOnA="));
        assert_eq!(shown("http://h", "nats://ann:p@other"), None);
    }

    #[test]
    fn credentials_that_go_with_tls_do_not_go_in_the_clear_unless_the_door_names_them() {
        for (http, sent) in [
            ("http://h", false),
            ("http://10.0.0.7", false),
            ("https://h", true),
            ("http://localhost", true),
            ("http://[::1]:7400", true),
            ("http://bob:b@h", true),
        ] {
            let nats = format!("tls://ann:p@{}", address(http).host());
            let nats = nats.replace("::1", "[::1]");
            match address(http).proof(&nats, None, true) {
                Proof::Header(_) => assert!(sent, "{http}"),
                other => assert_eq!((other, sent), (Proof::Withheld, false), "{http}"),
            }
        }
    }
}
