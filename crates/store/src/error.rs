//! Why the store does not open or stops, as a code and one sentence for the operator. It is *not* sent to clients.

use std::io;

use kernel::Code;

/// What went wrong. The sentence names the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    /// The row of the table of codes.
    pub code: Code,
    /// What happened, in one sentence.
    pub text: String,
}

impl Error {
    /// The files belong to somebody else or cannot be understood; nothing was changed.
    pub(crate) fn unusable(text: String) -> Error {
        Error { code: Code::DataFolderUnusable, text }
    }

    /// The operating system refused something; a full disk has a code of its own.
    pub(crate) fn io(file: &str, doing: &str, e: &io::Error) -> Error {
        let full = matches!(
            e.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        let code = if full { Code::DiskFull } else { Code::StoreFailed };
        Error { code, text: format!("{file} could not be {doing}: {e}") }
    }
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Error {
        Error::io("a segment", "read", &e)
    }
}

/// Gives an IO result its file and what was done to it, in the past participle.
pub(crate) trait Doing<T> {
    fn doing(self, file: &str, doing: &str) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, file: &str, doing: &str) -> Result<T, Error> {
        self.map_err(|e| Error::io(file, doing, &e))
    }
}
