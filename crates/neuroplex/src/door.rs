//! A node's HTTP door, asked with `GET` on one connection that is kept. What the answers mean is *not* known here.

mod address;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, USER_AGENT};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use kernel::Code;
use net::tls::{Identity, Trust};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::context::{Aim, Context};
use crate::failure::Failure;

pub(crate) use address::Address;
use address::Proof;

/// How long connecting, and one answer, may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes: metrics of some thousand routes.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

type Sender = SendRequest<Empty<Bytes>>;

/// A door, and the connection to it if there is one.
pub(crate) struct Door {
    address: Address,
    proof: Proof,
    tls: Option<Arc<ClientConfig>>,
    sender: Option<Sender>,
}

/// The part of a problem document that is told.
#[derive(Deserialize)]
struct Problem {
    code: u16,
    detail: String,
}

impl Door {
    /// Opens nothing yet. Credentials and certificates are those of the aim, where they are for this host.
    pub(crate) fn new(address: Address, aim: &Aim) -> Result<Door, Failure> {
        let proof = address.proof(&aim.values.server, aim.values.credentials()?, aim.asks_for_tls());
        let tls = if address.is_tls() { Some(tls(&aim.values)?) } else { None };
        Ok(Door { address, proof, tls, sender: None })
    }

    /// Shows no more than the address itself says, and trusts whom the operating system trusts: for who could not say
    /// what else there is.
    pub(crate) fn alone(address: Address) -> Result<Door, Failure> {
        let proof = address.proof("", None, false);
        let tls = if address.is_tls() { Some(tls(&Context::default())?) } else { None };
        Ok(Door { address, proof, tls, sender: None })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The body of a good answer.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Bytes, Failure> {
        let (head, body) = self.ask(path).await?.into_parts();
        let status = head.status;
        if status == StatusCode::OK {
            return Ok(body);
        }
        let problem = serde_json::from_slice::<Problem>(&body).ok();
        let code = problem.as_ref().and_then(|p| Code::from_number(p.code)).unwrap_or(match status {
            StatusCode::UNAUTHORIZED => Code::AuthFailed,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            _ => Code::ConnectionError,
        });
        let what =
            problem.map_or("it is no HTTP door of neuroplex".into(), |p| crate::text::plain(&p.detail));
        let fix = match (code, &self.proof) {
            (Code::AuthFailed, Proof::None) => {
                " Name them in a context, or with --http http://USER:PASSWORD@HOST:PORT."
            }
            (Code::AuthFailed, Proof::Withheld) => {
                " Those for the server go there with TLS, and not here in the clear: name an https:// door."
            }
            (Code::AuthFailed, Proof::Header(_)) => " Those that were given are not known there.",
            _ => "",
        };
        let status = status.as_u16();
        Err(Failure::new(code, format!("{}{path} answered {status}: {what}.{fix}", self.address)))
    }

    /// The answer, whatever it is.
    pub(crate) async fn ask(&mut self, path: &str) -> Result<Response<Bytes>, Failure> {
        // The door may have closed a connection that was silent for long: then a new one is worth a try.
        if let Some(sender) = self.sender.take().filter(|sender| !sender.is_closed()) {
            match timeout(STEP_TIMEOUT, self.exchange(sender, path)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(_)) => {}
                Err(_) => return Err(self.silent(path)),
            }
        }
        let sender = self.connected().await?;
        match timeout(STEP_TIMEOUT, self.exchange(sender, path)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => {
                let fix = "Check that it is the HTTP door of a node (7400 by default; 4222 is NATS).";
                Err(Failure::new(Code::ConnectionError, format!("{}{path}: {why}. {fix}", self.address)))
            }
            Err(_) => Err(self.silent(path)),
        }
    }

    /// Connects, so that the next question finds a connection.
    pub(crate) async fn open(&mut self) -> Result<(), Failure> {
        self.sender = Some(self.connected().await?);
        Ok(())
    }

    async fn connected(&self) -> Result<Sender, Failure> {
        let connected = timeout(STEP_TIMEOUT, self.connect()).await;
        connected.unwrap_or_else(|_| Err("it does not take the connection".into())).map_err(|why| {
            let fix = "Start a node with `neuroplex up`, or name its HTTP door: --http URL.";
            Failure::new(Code::ConnectionError, format!("cannot connect to {}: {why}. {fix}", self.address))
        })
    }

    fn silent(&self, path: &str) -> Failure {
        let seconds = STEP_TIMEOUT.as_secs();
        Failure::new(Code::Timeout, format!("{}{path} did not answer in {seconds} s.", self.address))
    }

    /// One question and its answer; the connection is kept if both were whole.
    async fn exchange(&mut self, mut sender: Sender, path: &str) -> Result<Response<Bytes>, String> {
        let mut request = Request::get(path)
            .header(HOST, self.address.authority())
            .header(USER_AGENT, concat!("neuroplex/", env!("CARGO_PKG_VERSION")));
        if let Proof::Header(value) = &self.proof {
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.body(Empty::new()).map_err(|e| e.to_string())?;
        sender.ready().await.map_err(|e| e.to_string())?;
        let (head, body) = sender.send_request(request).await.map_err(|e| e.to_string())?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|e| e.to_string())?;
        self.sender = Some(sender);
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    async fn connect(&self) -> Result<Sender, String> {
        let (host, port) = (self.address.host(), self.address.port());
        let tcp = TcpStream::connect((host, port)).await.map_err(|e| e.to_string())?;
        match &self.tls {
            None => serve(tcp).await,
            Some(config) => {
                let name = ServerName::try_from(host.to_owned()).map_err(|e| e.to_string())?;
                let connector = TlsConnector::from(config.clone());
                serve(connector.connect(name, tcp).await.map_err(|e| e.to_string())?).await
            }
        }
    }
}

/// Speaks HTTP/1.1 on a stream; the task that does ends with the sender.
async fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Sender, String> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}

fn tls(values: &Context) -> Result<Arc<ClientConfig>, Failure> {
    let trust = values.tls_ca.as_deref().map_or(Trust::System, Trust::File);
    let identity = match (&values.tls_cert, &values.tls_key) {
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        (None, None) => None,
        _ => {
            let what = "--tls-cert and --tls-key go together: name both files, or neither.";
            return Err(Failure::new(Code::InvalidRequest, what));
        }
    };
    net::tls::client(trust, identity).map_err(|e| Failure::new(e.code(), e.to_string()))
}
