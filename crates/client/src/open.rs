//! Opening a connection: TCP, hello, TLS where it is asked for, who we are, and the first answer.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use wire::nats::{Connect, Decoder, Info, Op, Step, encode};

use crate::refusal::refused;
use crate::stream::Stream;
use crate::{Credentials, Error, Options, Server};

/// Room for what a handshake brings, in bytes.
const READ_BYTES: usize = 4 * 1024;

/// A connection that is ready, and what came after the handshake.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) stream: Stream,
    pub(crate) info: Info,
    pub(crate) read: BytesMut,
}

/// What an attempt needs; `tls` is called only if the connection will be encrypted.
pub(crate) struct Attempt<'a, F> {
    pub(crate) server: &'a Server,
    pub(crate) options: &'a Options,
    pub(crate) tls: F,
}

impl<F: Fn() -> Result<std::sync::Arc<rustls::ClientConfig>, Error>> Attempt<'_, F> {
    /// Opens the connection within [`Options::connect_timeout`].
    pub(crate) async fn open(&self) -> Result<Opened, Error> {
        let timeout = self.options.connect_timeout;
        let deadline = Instant::now() + timeout;
        let tcp =
            match timeout_at(deadline, TcpStream::connect((self.server.host(), self.server.port()))).await {
                Ok(Ok(tcp)) => tcp,
                Ok(Err(e)) => return Err(self.failed(sentence(&e))),
                Err(_) => return Err(self.failed(format!("no answer within {} ms", timeout.as_millis()))),
            };
        match timeout_at(deadline, self.handshake(tcp)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Handshake { server: self.server.to_string(), timeout_ms: ms(timeout) }),
        }
    }

    async fn handshake(&self, tcp: TcpStream) -> Result<Opened, Error> {
        tcp.set_nodelay(true).map_err(|e| self.failed(sentence(&e)))?;
        let mut encrypted = self.options.tls_first;
        let stream = match encrypted {
            true => self.encrypt(tcp).await?,
            false => Stream::Plain(tcp),
        };
        let mut opened = Opened { stream, info: Info::default(), read: BytesMut::with_capacity(READ_BYTES) };
        self.hear(&mut opened, |op| matches!(op, Op::Info(_))).await?;

        // Whoever configured TLS means it: what an INFO in the clear leaves out must not switch it off.
        let wanted = self.server.tls() || self.options.has_tls();
        if !encrypted && (wanted || opened.info.tls_required) {
            if !opened.info.tls_required && !opened.info.tls_available {
                return Err(Error::TlsUnavailable { server: self.server.to_string() });
            }
            // What came in the clear must not be taken for what comes encrypted.
            if !opened.read.is_empty() {
                return Err(self.tls_failed("the server went on in the clear"));
            }
            if let Stream::Plain(tcp) = opened.stream {
                opened.stream = self.encrypt(tcp).await?;
                encrypted = true;
            } else {
                return Err(self.tls_failed("it is encrypted already"));
            }
        }

        let mut hello = Vec::new();
        encode::connect(&mut hello, &self.connect(encrypted, &opened.info));
        hello.extend_from_slice(encode::PING);
        self.write(&mut opened.stream, &hello).await?;
        self.hear(&mut opened, |op| matches!(op, Op::Pong)).await?;
        Ok(opened)
    }

    /// Reads until the operation that `until` waits for. The server may refuse, ask, or say something new before.
    async fn hear(&self, opened: &mut Opened, until: impl Fn(&Op<'_>) -> bool) -> Result<(), Error> {
        let decoder = Decoder::default();
        loop {
            let (used, done, ping) = match decoder.step(&opened.read)? {
                Step::More(_) => {
                    let read = opened.stream.read_buf(&mut opened.read).await;
                    match read.map_err(|e| self.failed(sentence(&e)))? {
                        0 => return Err(self.failed("it closed the connection during the handshake".into())),
                        _ => continue,
                    }
                }
                Step::Op(Op::Err(text), _) => return Err(refused(text)),
                Step::Op(op, used) => {
                    if let Op::Info(json) = op {
                        opened.info = serde_json::from_slice(json)
                            .map_err(|e| Error::Protocol(format!("INFO: {e}")))?;
                    }
                    (used, until(&op), matches!(op, Op::Ping))
                }
            };
            _ = opened.read.split_to(used);
            if ping {
                self.write(&mut opened.stream, encode::PONG).await?;
            }
            if done {
                return Ok(());
            }
        }
    }

    async fn write(&self, stream: &mut Stream, bytes: &[u8]) -> Result<(), Error> {
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        written.await.map_err(|e| self.failed(sentence(&e)))
    }

    async fn encrypt(&self, tcp: TcpStream) -> Result<Stream, Error> {
        let config = (self.tls)()?;
        let name = ServerName::try_from(self.server.host().to_owned())
            .map_err(|_| self.tls_failed("its name can stand in no certificate"))?;
        match TlsConnector::from(config).connect(name, tcp).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(e) => Err(self.tls_failed(&sentence(&e))),
        }
    }

    /// What we say of ourselves.
    fn connect(&self, tls_required: bool, info: &Info) -> Connect {
        let mut connect = Connect {
            verbose: false,
            pedantic: false,
            echo: self.options.echo,
            headers: true,
            no_responders: info.headers,
            tls_required,
            protocol: 1,
            name: self.options.name.clone(),
            lang: "rust".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            ..Connect::default()
        };
        match self.server.credentials().or(self.options.credentials.as_ref()) {
            Some(Credentials::Token(token)) => connect.auth_token.clone_from(token),
            Some(Credentials::Password { user, password }) => {
                connect.user.clone_from(user);
                connect.pass.clone_from(password);
            }
            None => {}
        }
        connect
    }

    fn failed(&self, reason: String) -> Error {
        Error::Connect { server: self.server.to_string(), reason }
    }

    fn tls_failed(&self, reason: &str) -> Error {
        Error::Tls { server: self.server.to_string(), reason: reason.into() }
    }
}

/// What the system said, without its number.
pub(crate) fn sentence(e: &io::Error) -> String {
    let text = e.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

pub(crate) fn ms(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
