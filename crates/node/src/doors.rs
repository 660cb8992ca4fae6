//! The doors before they open: where they listen, who may reach them, and their TLS. No socket is opened here.

use std::net::{SocketAddr, ToSocketAddrs as _};

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
}

impl Doors {
    /// Finds addresses and reads certificates. Errors with a sentence when a door cannot or must not be opened.
    pub(crate) fn of(config: &Config, accounts: &Accounts) -> Result<Doors, Error> {
        let allowed = &config.security.allow_plaintext;
        let nats = address("nats", &config.nats.listen)?;
        let http = address("http", &config.http.listen)?;
        check_exposure("nats", nats, config.nats.has_tls() && accounts.are_required(), allowed)?;
        check_exposure("http", http, false, allowed)?;
        Ok(Doors { nats, http, tls: tls_acceptor(config)? })
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
    let protect = match door {
        "nats" => "give it nats.tls_cert_file, nats.tls_key_file and auth.users, or ",
        _ => "",
    };
    let sentence = format!(
        "the {door} door would be open to other machines on {address}: {protect}listen on 127.0.0.1, or open it on \
         purpose with NEUROPLEX_SECURITY_ALLOW_PLAINTEXT={door}"
    );
    Err(Error::new(Code::TlsRequired, sentence))
}

fn tls_acceptor(config: &Config) -> Result<Option<TlsAcceptor>, Error> {
    let nats = &config.nats;
    if !nats.has_tls() {
        return Ok(None);
    }
    let identity = tls::Identity { certificate: &nats.tls_cert_file, key: &nats.tls_key_file };
    let authority = (!nats.tls_ca_file.as_os_str().is_empty()).then_some(nats.tls_ca_file.as_path());
    let server = tls::server(identity, authority).map_err(|e| Error::new(e.code(), e.to_string()))?;
    Ok(Some(TlsAcceptor::from(server)))
}
