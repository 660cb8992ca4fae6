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
        let has_users = accounts.are_required();
        let all = [
            ("nats", nats, config.nats.has_tls() && has_users),
            ("http", http, config.http.has_tls() && has_users),
        ];
        check_exposure(&all, allowed)?;
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

/// Refuses doors that other machines reach and that are not protected; each with its address and whether it is safe.
fn check_exposure(all: &[(&str, Option<SocketAddr>, bool)], allowed: &[String]) -> Result<(), Error> {
    let open = all.iter().filter_map(|(door, address, is_safe)| {
        let address = address.filter(|address| !is_safe && !address.ip().to_canonical().is_loopback())?;
        (!allowed.iter().any(|name| name == door)).then_some((*door, address))
    });
    let open: Vec<(&str, SocketAddr)> = open.collect();
    let Some((door, _)) = open.first() else { return Ok(()) };
    let joined = |word: &str, each: &dyn Fn(&(&str, SocketAddr)) -> String| {
        open.iter().map(each).collect::<Vec<_>>().join(word)
    };
    let (names, addresses) =
        (joined(" and ", &|(door, _)| (*door).to_owned()), joined(" and ", &|(_, a)| a.to_string()));
    let allow = joined(",", &|(door, _)| (*door).to_owned());
    let (doors, them, each) = match open.len() {
        1 => ("door", "it", (*door).to_owned()),
        _ => ("doors", "each", "DOOR".to_owned()),
    };
    let sentence = format!(
        "the {names} {doors} would be open to other machines on {addresses}: give {them} {each}.tls_cert_file, \
         {each}.tls_key_file and auth.users, or listen on 127.0.0.1, or open it on purpose with \
         NEUROPLEX_SECURITY_ALLOW_PLAINTEXT={allow}"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_door_that_would_be_open_is_named_with_the_words_that_open_it() {
        let (far, near) = (Some("0.0.0.0:1".parse().unwrap()), Some("[::1]:2".parse().unwrap()));
        let check = |nats, http, allowed: &[&str]| {
            let allowed: Vec<String> = allowed.iter().map(|door| (*door).to_owned()).collect();
            check_exposure(&[("nats", nats, false), ("http", http, false)], &allowed).map_err(|e| e.sentence)
        };
        assert_eq!(check(near, None, &[]), Ok(()));
        assert_eq!(check(far, far, &["http", "nats"]), Ok(()));
        let both = check(far, far, &[]).unwrap_err();
        assert!(both.starts_with("the nats and http doors would be open"), "{both}");
        assert!(both.ends_with("ALLOW_PLAINTEXT=nats,http."), "{both}");
        for (nats, http, allowed) in [(near, far, &[][..]), (far, far, &["nats"])] {
            let one = check(nats, http, allowed).unwrap_err();
            assert!(
                one.contains("give it http.tls_cert_file") && one.ends_with("ALLOW_PLAINTEXT=http."),
                "{one}"
            );
        }
        assert_eq!(check_exposure(&[("nats", far, true)], &[]).map_err(|e| e.sentence), Ok(()));
    }
}
