//! Reads certificates and keys from PEM files. It does *not* judge them: rustls does.

use std::fs;
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Error;

/// Every certificate of the file, at least one, in the order written.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if all.is_empty() => {
            Err(Error::Missing { path: path.into(), what: "certificate", label: "CERTIFICATE" })
        }
        Ok(all) => Ok(all),
        Err(e) => Err(damaged(path, &e)),
    }
}

/// The first private key of the file, whatever its kind.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|e| match e {
        pem::Error::NoItemsFound => {
            Error::Missing { path: path.into(), what: "private key", label: "PRIVATE KEY" }
        }
        other => damaged(path, &other),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|reason| Error::Unreadable { path: path.into(), reason })
}

fn damaged(path: &Path, reason: &pem::Error) -> Error {
    Error::Damaged { path: path.into(), reason: reason.to_string() }
}
