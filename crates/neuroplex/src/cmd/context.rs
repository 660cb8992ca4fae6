//! `neuroplex context`: servers under names.

mod add;
mod choose;
mod list;
mod remove;
mod show;

use crate::context::{Folder, no_folder};
use crate::failure::Failure;
use crate::global::Global;

const EXAMPLES: &str = "\
Examples:
  neuroplex context add prod --server tls://fabric.example:4222 --user ann \\
    --password-file ~/.prod-password
  neuroplex context use prod             # from now on, every command goes there
  neuroplex --context staging stream ls  # this one goes elsewhere
  neuroplex context show                 # what counts now, and who said it

Nearer wins: flags, then NEUROPLEX_SERVER and NEUROPLEX_CONTEXT, then the
context that `context use` chose, then nats://127.0.0.1:4222. A server that is
named nearer than the context sets the whole context aside: its credentials are
for its own server.

Each is a TOML file in $XDG_CONFIG_HOME/neuroplex/contexts (without it
~/.config/neuroplex/contexts) that only you can read.";

/// Contexts: servers under names, with credentials and certificates
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Add(Box<add::Args>),
    Use(choose::Args),
    Ls(list::Args),
    Show(show::Args),
    Rm(remove::Args),
}

/// Runs the one that was asked for.
pub(crate) fn run(global: &Global, args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Add(args) => add::run(global, *args),
        Command::Use(args) => choose::run(global, &args),
        Command::Ls(args) => list::run(global, &args),
        Command::Show(args) => show::run(global, args),
        Command::Rm(args) => remove::run(global, &args),
    }
}

/// Where they lie.
fn folder() -> Result<Folder, Failure> {
    Folder::of_environment().ok_or_else(no_folder)
}
