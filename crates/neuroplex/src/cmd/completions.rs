//! `neuroplex completions`: a script that completes our words in a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::failure::Failure;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  neuroplex completions bash | sudo tee /etc/bash_completion.d/neuroplex
  neuroplex completions zsh > ~/.zfunc/_neuroplex
  neuroplex completions fish > ~/.config/fish/completions/neuroplex.fish";

/// Print a completion script for a shell
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Cli::command(), "neuroplex", &mut script);
    let mut out = Output::new();
    out.bytes(&script)?;
    out.flush()
}
