//! Why a node does not start: a code and one sentence with the fix.

use kernel::Code;

/// A code and a sentence that says what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct Error {
    /// The code.
    pub code: Code,
    /// What is wrong and what to do.
    pub sentence: String,
}

impl Error {
    /// An error with this sentence; its full stop may be left out.
    pub fn new(code: Code, sentence: impl Into<String>) -> Error {
        let mut sentence = sentence.into();
        if !sentence.ends_with(['.', '?', '`']) {
            sentence.push('.');
        }
        Error { code, sentence }
    }

    /// The configuration makes no sense.
    pub(crate) fn config(sentence: impl Into<String>) -> Error {
        Error::new(Code::ConfigInvalid, sentence)
    }
}
