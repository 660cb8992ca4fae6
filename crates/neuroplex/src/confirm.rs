//! The question before something is removed.

use std::io::{self, IsTerminal as _, Write as _};

use kernel::Code;

use crate::failure::Failure;

/// What commands take that remove something.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct YesArg {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

impl YesArg {
    /// Asks on the terminal whether to `what`. Where there is none, `--yes` must have been said.
    pub(crate) fn confirm(self, what: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Err(Failure::new(
                Code::InvalidRequest,
                format!("nobody can be asked whether to {what}: stdin is no terminal. Add --yes."),
            ));
        }
        let mut err = io::stderr();
        _ = write!(err, "{} [y/N] ", sentence(what)).and_then(|()| err.flush());
        let mut answer = String::new();
        match stdin.read_line(&mut answer).is_ok() && is_yes(&answer) {
            true => Ok(()),
            false => Err(Failure::new(Code::InvalidRequest, "not confirmed; nothing was changed.")),
        }
    }
}

/// `delete x` becomes `Delete x?`.
fn sentence(what: &str) -> String {
    let mut chars = what.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}?", chars.as_str())
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes(" YES ") && !is_yes("") && !is_yes("no") && !is_yes("yess"));
        assert_eq!(sentence("delete stream `A`"), "Delete stream `A`?");
    }

    #[test]
    fn who_said_yes_is_not_asked() {
        assert!(YesArg { yes: true }.confirm("delete everything").is_ok());
    }
}
