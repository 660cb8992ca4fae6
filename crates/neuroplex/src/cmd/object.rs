//! `neuroplex object`: files and other large things.

mod get;
mod list;
mod put;
mod remove;

use crate::failure::Failure;
use crate::global::Global;

const EXAMPLES: &str = "\
Examples:
  neuroplex object put photos tea.jpg
  neuroplex object ls photos
  neuroplex object get photos tea.jpg --output copy.jpg
  neuroplex object rm photos tea.jpg --yes";

/// Objects: files and other large things, kept in buckets
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Put(put::Args),
    Get(get::Args),
    Ls(list::Args),
    Rm(remove::Args),
}

/// Runs the one that was asked for.
pub(crate) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Put(args) => put::run(global, args).await,
        Command::Get(args) => get::run(global, args).await,
        Command::Ls(args) => list::run(global, args).await,
        Command::Rm(args) => remove::run(global, args).await,
    }
}
