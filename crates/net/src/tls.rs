//! The two TLS configurations: a door's and a client's. TLS 1.2 and 1.3, aws-lc-rs.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::{Error, pem};

/// A certificate chain and its private key, as PEM files.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The certificate, then those that lead to its authority.
    pub certificate: &'a Path,
    /// The private key of the first certificate: PKCS#8, SEC1 or PKCS#1.
    pub key: &'a Path,
}

/// Whom a client trusts.
#[derive(Clone, Copy, Debug, Default)]
pub enum Trust<'a> {
    /// The authorities that the operating system trusts.
    #[default]
    System,
    /// The authorities in this PEM file, and nobody else.
    File(&'a Path),
}

/// What a door needs to speak TLS. With `client_ca`, only clients with a certificate that one of its authorities
/// signed come in. `protocols`: what a client may choose to speak inside, the best first (ALPN); none: it is not asked.
///
/// # Errors
/// When a file cannot be read or used; the sentence names it.
pub fn server(
    identity: Identity<'_>,
    client_ca: Option<&Path>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, Error> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                .build()
                .map_err(|e| Error::Authority { path: path.into(), reason: e.to_string() })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(pem::certificates(identity.certificate)?, pem::key(identity.key)?)
        .map_err(|e| mismatch(identity, &e))?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

/// What a client needs to speak TLS, with a certificate of its own where the server asks for one.
///
/// # Errors
/// When a file cannot be read or used, or the system has no authorities; the sentence names what.
pub fn client(trust: Trust<'_>, identity: Option<Identity<'_>>) -> Result<Arc<ClientConfig>, Error> {
    let roots = match trust {
        Trust::System => system_authorities()?,
        Trust::File(path) => authorities(path)?,
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(pem::certificates(identity.certificate)?, pem::key(identity.key)?)
            .map_err(|e| mismatch(identity, &e))?,
    };
    Ok(Arc::new(config))
}

/// The one crypto provider.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(path)? {
        roots.add(certificate).map_err(|e| Error::Authority { path: path.into(), reason: e.to_string() })?;
    }
    Ok(roots)
}

/// Certificates that rustls cannot read are passed over, as browsers do; one usable authority is enough.
fn system_authorities() -> Result<RootCertStore, Error> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    match roots.is_empty() {
        false => Ok(roots),
        true => {
            let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
            let reason = if errors.is_empty() { "none found".into() } else { errors.join("; ") };
            Err(Error::NoSystemRoots { reason })
        }
    }
}

fn mismatch(identity: Identity<'_>, reason: &rustls::Error) -> Error {
    Error::Mismatch {
        certificate: identity.certificate.into(),
        key: identity.key.into(),
        reason: reason.to_string(),
    }
}
