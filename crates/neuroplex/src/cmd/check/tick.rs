//! One line of the list.

use std::time::Duration;

use kernel::Code;
use serde_json::{Value, json};

use crate::failure::Failure;

/// What the line begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// ✓
    Good,
    /// ! it works, and could be better
    Warning,
    /// ✗
    Bad(Code),
    /// – not asked
    Skipped,
}

/// A check and what came of it.
#[derive(Debug)]
pub(super) struct Tick {
    pub(super) name: &'static str,
    pub(super) mark: Mark,
    what: String,
    fix: Option<String>,
}

impl Tick {
    pub(super) fn good(name: &'static str, what: impl Into<String>) -> Tick {
        Tick { name, mark: Mark::Good, what: what.into(), fix: None }
    }

    pub(super) fn skipped(name: &'static str, what: impl Into<String>) -> Tick {
        Tick { name, mark: Mark::Skipped, what: what.into(), fix: None }
    }

    pub(super) fn warning(name: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Tick {
        Tick { name, mark: Mark::Warning, what: what.into(), fix: Some(fix.into()) }
    }

    pub(super) fn bad(
        name: &'static str,
        code: Code,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Tick {
        Tick { name, mark: Mark::Bad(code), what: what.into(), fix: Some(fix.into()) }
    }

    /// A cross from a failure, whose message says the fix.
    pub(super) fn failure(name: &'static str, failure: Failure) -> Tick {
        match failure {
            Failure::Told { code, message } => Tick { name, mark: Mark::Bad(code), what: message, fix: None },
            Failure::Said(code) => Tick { name, mark: Mark::Bad(code), what: String::new(), fix: None },
            Failure::PipeClosed | Failure::Interrupted => Tick::skipped(name, ""),
        }
    }

    pub(super) fn line(&self) -> String {
        let mark = match self.mark {
            Mark::Good => '✓',
            Mark::Warning => '!',
            Mark::Bad(_) => '✗',
            Mark::Skipped => '–',
        };
        let code = match self.mark {
            Mark::Bad(code) => format!("{} {}: ", code.number(), code.name()),
            _ => String::new(),
        };
        let fix = self.fix.as_ref().map(|fix| format!(". {fix}")).unwrap_or_default();
        format!(" {mark} {:<10} {code}{}{fix}", self.name, self.what)
    }

    pub(super) fn json(&self) -> Value {
        let (result, code) = match self.mark {
            Mark::Good => ("good", None),
            Mark::Warning => ("warning", None),
            Mark::Bad(code) => ("bad", Some(code.name())),
            Mark::Skipped => ("skipped", None),
        };
        json!({ "name": self.name, "result": result, "code": code, "what": self.what, "fix": self.fix })
    }
}

/// `0.42 ms`.
pub(super) fn ms(d: Duration) -> String {
    format!("{:.2} ms", d.as_secs_f64() * 1000.0)
}
