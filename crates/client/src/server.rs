//! The address of a server: `nats://user:password@host:port`, `tls://token@host`, `host:port`, `[::1]`. Several are
//! joined by commas.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The port when none is named.
const DEFAULT_PORT: u16 = 4222;

/// Who the client says it is.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A token.
    Token(String),
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
}

impl fmt::Debug for Credentials {
    /// Never shows a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Token(_) => f.write_str("Token(…)"),
            Credentials::Password { user, .. } => {
                f.debug_struct("Password").field("user", user).finish_non_exhaustive()
            }
        }
    }
}

/// Where a server listens. `Display` shows it without its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    host: String,
    port: u16,
    tls: bool,
    credentials: Option<Credentials>,
}

impl Server {
    /// Its name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the address asks for TLS.
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// The credentials in the address.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// A server that another one told of, as `host:port`; it is spoken to like `self`, with TLS or without.
    pub(crate) fn neighbour(&self, address: &str) -> Option<Server> {
        let found: Server = address.parse().ok()?;
        Some(Server { tls: self.tls, credentials: self.credentials.clone(), ..found })
    }

    /// Whether both are the same place.
    pub(crate) fn same_place(&self, other: &Server) -> bool {
        self.host.eq_ignore_ascii_case(&other.host) && self.port == other.port
    }

    /// Reads one or more addresses, joined by commas.
    pub(crate) fn list(text: &str) -> Result<Vec<Server>, Error> {
        text.split(',').map(str::trim).map(str::parse).collect()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "tls" } else { "nats" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Server {
    type Err = Error;

    fn from_str(text: &str) -> Result<Server, Error> {
        let wrong = |reason| Error::Url { url: without_credentials(text), reason };
        let (tls, rest) = match text.split_once("://") {
            None => (false, text),
            Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
                "nats" => (false, rest),
                "tls" => (true, rest),
                _ => return Err(wrong("it begins with nats:// or tls://")),
            },
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((user, place)) => (Some(user), place),
        };
        let credentials = user.map(credentials).transpose().map_err(wrong)?;
        let (host, port) = host_and_port(place).map_err(wrong)?;
        Ok(Server { host: host.to_owned(), port, tls, credentials })
    }
}

fn host_and_port(place: &str) -> Result<(&str, u16), &'static str> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("an IPv6 address stands in brackets")?;
            (host, port.strip_prefix(':').filter(|_| !port.is_empty()))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() || host.bytes().any(|b| b <= b' ' || matches!(b, b'/' | b'?' | b'#')) {
        return Err("it has no host");
    }
    match port {
        None => Ok((host, DEFAULT_PORT)),
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => Err("its port is no number from 1 to 65535"),
            Ok(port) => Ok((host, port)),
        },
    }
}

/// A lone user is a token.
fn credentials(text: &str) -> Result<Credentials, &'static str> {
    match text.split_once(':') {
        None => Ok(Credentials::Token(decoded(text)?)),
        Some((user, password)) => {
            Ok(Credentials::Password { user: decoded(user)?, password: decoded(password)? })
        }
    }
}

/// `%40` is `@`, and so on.
fn decoded(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "after `%` in user or password come two hexadecimal digits";
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(WRONG)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| WRONG)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| "user and password are UTF-8")
}

fn without_credentials(text: &str) -> String {
    match text.rsplit_once('@') {
        None => text.to_owned(),
        Some((_, place)) => format!("…@{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn password(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Password { user: user.into(), password: password.into() })
    }

    #[test]
    fn addresses_are_read() {
        for (text, shown, credentials) in [
            ("nats://127.0.0.1:4223", "nats://127.0.0.1:4223", None),
            ("localhost", "nats://localhost:4222", None),
            ("demo.example:1/", "nats://demo.example:1", None),
            ("tls://[::1]", "tls://[::1]:4222", None),
            ("NATS://[::1]:5", "nats://[::1]:5", None),
            ("nats://ann:p%40ss:x@h", "nats://h:4222", password("ann", "p@ss:x")),
            ("nats://p@ss@h", "nats://h:4222", Some(Credentials::Token("p@ss".into()))),
        ] {
            let server: Server = text.parse().unwrap();
            assert_eq!((server.to_string().as_str(), server.credentials()), (shown, credentials.as_ref()));
        }
        assert_eq!(Server::list("a, tls://b:1").unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_the_password() {
        for text in [
            "",
            "nats://",
            "http://a",
            "a:b",
            "a:0",
            "a:99999",
            "[::1",
            "ann:secret@",
            "u:%zz@a",
            "u:%4@a",
            "a/b",
        ] {
            let said = text.parse::<Server>().unwrap_err().to_string();
            assert!(!said.contains("secret"), "{said}");
        }
        let shown = format!("{:?}", "ann:secret@h".parse::<Server>().unwrap());
        assert!(shown.contains("ann") && !shown.contains("secret"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}") {
            if let Ok(server) = text.parse::<Server>() {
                prop_assert_eq!(server.to_string().parse::<Server>().map(|s| s.same_place(&server)), Ok(true));
            }
        }
    }
}
