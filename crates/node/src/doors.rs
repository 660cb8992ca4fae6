//! The doors before they open: where they listen, who may reach them, and their TLS. No socket is opened here.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;

use auth::Accounts;
use kernel::Code;
use net::tls;
use tokio_rustls::TlsAcceptor;

use crate::config::Config;
use crate::error::Error;

/// What a node opens. It is made from a configuration that may be opened only.
pub(crate) struct Doors {
    /// Where NATS clients come in; none: off.
    pub(crate) nats: Option<SocketAddr>,
    /// Where operators come in; none: off.
    pub(crate) http: Option<SocketAddr>,
    /// TLS of the NATS door; none: in the clear.
    pub(crate) tls: Option<TlsAcceptor>,
    /// TLS of the HTTP door; none: in the clear.
    pub(crate) http_tls: Option<TlsAcceptor>,
}

impl Doors {
    /// Finds addresses and reads certificates. Errors with a sentence when a door cannot or must not be opened.
    pub(crate) fn of(config: &Config, accounts: &Accounts) -> Result<Doors, Error> {
        let allowed = &config.security.allow_plaintext;
        let nats = address("nats", &config.nats.listen)?;
        let http = address("http", &config.http.listen)?;
        check_exposure("nats", nats, config.nats.has_tls() && accounts.are_required(), allowed)?;
        check_exposure("http", http, config.http.has_tls() && accounts.are_required(), allowed)?;
        let files = &config.nats;
        let tls = tls_acceptor(&files.tls_cert_file, &files.tls_key_file, &files.tls_ca_file, &[])?;
        let files = &config.http;
        let http_tls = tls_acceptor(&files.tls_cert_file, &files.tls_key_file, &files.tls_ca_file, HTTP)?;
        Ok(Doors { nats, http, tls, http_tls })
    }
}

/// Where a door listens; none: `off`.
fn address(door: &str, listen: &str) -> Result<Option<SocketAddr>, Error> {
    if listen == "off" {
        return Ok(None);
    }
    match listen.to_socket_addrs().ok().and_then(|mut found| found.next()) {
        Some(address) => Ok(Some(address)),
        None => Err(Error::config(format!(
            "{door}.listen {listen:?} is no address; give one such as 127.0.0.1:4222, or off"
        ))),
    }
}

/// Refuses a door that other machines reach and that is not protected.
fn check_exposure(
    door: &str,
    address: Option<SocketAddr>,
    safe: bool,
    allowed: &[String],
) -> Result<(), Error> {
    let Some(address) = address else { return Ok(()) };
    if address.ip().to_canonical().is_loopback() || safe || allowed.iter().any(|d| d == door) {
        return Ok(());
    }
    let sentence = format!(
        "the {door} door would be open to other machines on {address}: give it {door}.tls_cert_file, \
         {door}.tls_key_file and auth.users, or listen on 127.0.0.1, or open it on purpose with \
         NEUROPLEX_SECURITY_ALLOW_PLAINTEXT={door}"
    );
    Err(Error::new(Code::TlsRequired, sentence))
}

/// The versions of HTTP that a client may choose.
const HTTP: &[&[u8]] = &[b"h2", b"http/1.1"];

/// TLS with these files; none without a certificate. `protocols`: what a client may choose to speak inside.
fn tls_acceptor(
    certificate: &Path,
    key: &Path,
    authority: &Path,
    protocols: &[&[u8]],
) -> Result<Option<TlsAcceptor>, Error> {
    if certificate.as_os_str().is_empty() {
        return Ok(None);
    }
    let identity = tls::Identity { certificate, key };
    let authority = (!authority.as_os_str().is_empty()).then_some(authority);
    let server =
        tls::server(identity, authority, protocols).map_err(|e| Error::new(e.code(), e.to_string()))?;
    Ok(Some(TlsAcceptor::from(server)))
}
