//! One connection: the address, the handshake, then a raw socket that does not block.

use crate::BenchError;
use crate::block::SID;
use crate::lines::excerpt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
use wire::nats::{Connect, Decoder, Info, Op, Step, encode};

/// How long a handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
const DEFAULT_PORT: u16 = 4222;
const DEFAULT_REDIS_PORT: u16 = 6379;

/// What is spoken to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Nats,
    Redis,
}

/// Where the server is, and who we are to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    user: String,
    password: String,
    token: String,
}

impl Server {
    /// Reads `[nats://][user:password@|token@]host[:port]`.
    pub(crate) fn parse(url: &str) -> Result<Self, BenchError> {
        match Self::parse_any(url)? {
            (Scheme::Nats, server) => Ok(server),
            (Scheme::Redis, _) => {
                Err(BenchError::Usage("--server: redis:// is not supported here, only nats://".into()))
            }
        }
    }

    /// The same, or `redis://host[:port]`.
    pub(crate) fn parse_any(url: &str) -> Result<(Scheme, Self), BenchError> {
        // Never the URL itself: it may hold a password.
        let wrong = |why: &str| BenchError::Usage(format!("--server: {why}"));
        let (scheme, rest) = match url.split_once("://") {
            Some(("nats", rest)) => (Scheme::Nats, rest),
            Some(("redis", rest)) => (Scheme::Redis, rest),
            Some((scheme, _)) => return Err(wrong(&format!("{scheme}:// is not supported, only nats://"))),
            None => (Scheme::Nats, url),
        };
        let default_port = if scheme == Scheme::Redis { DEFAULT_REDIS_PORT } else { DEFAULT_PORT };
        let (who, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (user, password, token) = match who.split_once(':') {
            Some((user, password)) => (user, password, ""),
            None => ("", "", who),
        };
        let place = place.trim_end_matches('/');
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| wrong("the port is not a number below 65536"))?)
            }
            _ => (place, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("the host is missing"));
        }
        Ok((scheme, Self { host, port, user: user.into(), password: password.into(), token: token.into() }))
    }

    /// Reads `ws://host[:port]` or `http://host[:port]`.
    pub(crate) fn parse_web(url: &str) -> Result<Self, BenchError> {
        let rest = url.strip_prefix("ws://").or_else(|| url.strip_prefix("http://"));
        match rest.filter(|rest| !rest.contains('@')) {
            Some(rest) => Self::parse(rest.trim_end_matches('/')),
            None => Err(BenchError::Usage("--server: this takes http://host:port".into())),
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, HANDSHAKE_LIMIT) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// A connection whose handshake is done.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    pub(crate) info: Info,
}

impl Link {
    /// Connects to a server that does not speak first.
    pub(crate) fn bare(server: &Server) -> Result<Self, BenchError> {
        let link = Self::reach(server)?;
        link.stream.set_nonblocking(true)?;
        Ok(link)
    }

    fn reach(server: &Server) -> Result<Self, BenchError> {
        let name = || format!("{}:{}", server.host, server.port);
        let stream = server.connect().map_err(|source| BenchError::Connect { server: name(), source })?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(HANDSHAKE_LIMIT))?;
        stream.set_write_timeout(Some(HANDSHAKE_LIMIT))?;
        Ok(Self { stream, info: Info::default() })
    }

    /// Connects and waits until the server has acknowledged; with a `pattern`, subscribed to it.
    pub(crate) fn open(server: &Server, pattern: Option<&str>) -> Result<Self, BenchError> {
        let mut link = Self::reach(server)?;
        let info = link.line()?;
        link.info = match Decoder::default().step(&info) {
            Ok(Step::Op(Op::Info(json), _)) => serde_json::from_slice(json).map_err(io::Error::from)?,
            _ => return Err(BenchError::Refused(format!("{:?} instead of INFO", excerpt(&info)))),
        };
        if link.info.tls_required {
            return Err(BenchError::Refused("TLS is required, which this load does not speak".into()));
        }
        link.greet(server, pattern)?;
        link.stream.set_nonblocking(true)?;
        Ok(link)
    }

    /// `CONNECT`, perhaps `SUB`, `PING` in one write, then everything until `PONG`.
    fn greet(&mut self, server: &Server, pattern: Option<&str>) -> Result<(), BenchError> {
        let connect = Connect {
            verbose: false,
            pedantic: false,
            headers: true,
            no_responders: true,
            protocol: 1,
            name: "neuroplex bench".into(),
            lang: "rust".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            auth_token: server.token.clone(),
            user: server.user.clone(),
            pass: server.password.clone(),
            ..Connect::default()
        };
        let mut hello = Vec::new();
        encode::connect(&mut hello, &connect);
        if let Some(pattern) = pattern {
            encode::subscribe(&mut hello, pattern.as_bytes(), None, SID);
        }
        hello.extend_from_slice(encode::PING);
        self.stream.write_all(&hello)?;
        loop {
            let line = self.line()?;
            match Decoder::default().step(&line) {
                Ok(Step::Op(Op::Pong, _)) => return Ok(()),
                Ok(Step::Op(Op::Err(text), _)) => {
                    return Err(BenchError::Refused(String::from_utf8_lossy(text).into_owned()));
                }
                Ok(Step::Op(Op::Ping, _)) => self.stream.write_all(encode::PONG)?,
                Ok(Step::Op(Op::Info(_) | Op::Ok, _)) => {}
                _ => return Err(BenchError::Refused(format!("{:?} instead of PONG", excerpt(&line)))),
            }
        }
    }

    /// One line, byte by byte: what follows it belongs to the run.
    fn line(&mut self) -> Result<Vec<u8>, BenchError> {
        const LINE_BYTES_LIMIT: usize = 64 << 10;
        let mut line = Vec::new();
        let mut byte = [0];
        while line.len() < LINE_BYTES_LIMIT && !line.ends_with(b"\n") {
            match self.stream.read(&mut byte) {
                Ok(0) => return Err(BenchError::Refused("nothing, and closed the connection".into())),
                Ok(_) => line.extend_from_slice(&byte),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    return Err(BenchError::Refused("nothing for 5 s in the handshake".into()));
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(line)
    }

    /// Reads what is there. `Ok(None)`: nothing now. `Ok(Some(0))`: the end.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        unless_blocked((&self.stream).read(buffer))
    }

    /// Writes what fits. `Ok(None)`: nothing fits now.
    pub(crate) fn write(&self, slices: &[io::IoSlice<'_>]) -> io::Result<Option<usize>> {
        unless_blocked((&self.stream).write_vectored(slices))
    }

    /// Writes a few bytes of protocol into a socket that is nearly empty.
    pub(crate) fn write_line(&self, line: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(line)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A reset is the end, too: the caller says what was lost by it.
pub(crate) fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(n) => Ok(Some(n)),
        Err(e) => match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Ok(Some(0)),
            _ => Err(e),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_clients_read_them() {
        let parse = |url| Server::parse(url).map(|s| (s.host, s.port, s.user, s.password, s.token)).unwrap();
        let of = |host: &str, port, user: &str, password: &str, token: &str| {
            (host.to_owned(), port, user.to_owned(), password.to_owned(), token.to_owned())
        };
        assert_eq!(parse("nats://127.0.0.1:4300"), of("127.0.0.1", 4300, "", "", ""));
        assert_eq!(parse("localhost"), of("localhost", 4222, "", "", ""));
        assert_eq!(parse("nats://u:p@h:1/"), of("h", 1, "u", "p", ""));
        assert_eq!(parse("nats://secret@[::1]:9"), of("::1", 9, "", "", "secret"));
        assert_eq!(parse("[::1]"), of("::1", 4222, "", "", ""));
    }

    #[test]
    fn wrong_addresses_say_why() {
        for (url, why) in [("tls://h", "not supported"), ("nats://h:x", "port"), ("nats://", "host")] {
            assert!(Server::parse(url).unwrap_err().to_string().contains(why), "{url}");
        }
        assert!(Server::parse("redis://h").is_err());
        let (scheme, server) = Server::parse_any("redis://h").unwrap();
        assert_eq!((scheme, server.port), (Scheme::Redis, 6379));
    }
}
