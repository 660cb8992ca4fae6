//! Why a TLS configuration could not be made. Each sentence names the file and the fix.

use std::io;
use std::path::PathBuf;

use kernel::Code;

/// Nothing was changed; no connection was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not there, or may not be read.
    #[error("cannot read {}: {reason}; give the path of a PEM file that this user may read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// The file is read, but what is looked for is not in it.
    #[error("{} holds no {what}; it must be a PEM file with a `-----BEGIN {label}-----` section", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What the section is called.
        label: &'static str,
    },
    /// A section of the file cannot be read.
    #[error("{} is damaged: {reason}; write it again as PEM", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error(
        "the certificate in {} does not fit the key in {}: {reason}; give the key that the certificate was made for",
        certificate.display(), key.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls said.
        reason: String,
    },
    /// The certificates of an authority cannot be used.
    #[error("{} cannot serve as a certificate authority: {reason}; give the authority's own certificate as PEM", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What rustls said.
        reason: String,
    },
    /// The system has no certificate authorities that we could trust.
    #[error(
        "this system has no certificate authorities to trust ({reason}); name a file of them, such as --tls-ca ca.pem"
    )]
    NoSystemRoots {
        /// What was found instead.
        reason: String,
    },
    /// rustls refused the combination of protocol versions and ciphers: a fault in this build.
    #[error("TLS is not usable in this build: {0}")]
    Provider(#[from] rustls::Error),
}

impl Error {
    /// The code that a command or door answers with.
    pub fn code(&self) -> Code {
        match self {
            Error::Provider(_) => Code::InternalError,
            _ => Code::ConfigInvalid,
        }
    }
}
