//! `neuroplex completions`: a script that completes our words in a shell.

use clap_complete::Shell;
use serde_json::json;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::{Output, print};

const EXAMPLES: &str = "\
Examples:
  source <(neuroplex completions bash)  # or in your ~/.bashrc
  neuroplex completions bash | sudo tee /etc/bash_completion.d/neuroplex
  mkdir -p ~/.zfunc && neuroplex completions zsh > ~/.zfunc/_neuroplex
  neuroplex completions fish > ~/.config/fish/completions/neuroplex.fish";

/// Print a completion script for a shell
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(global: &Global, args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::program(), "neuroplex", &mut script);
    if global.json {
        let script = String::from_utf8_lossy(&script);
        return print(&json!({ "shell": args.shell.to_string(), "script": script }).to_string());
    }
    let mut out = Output::new();
    out.bytes(&script)?;
    out.flush()
}
