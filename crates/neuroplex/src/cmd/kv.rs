//! `neuroplex kv`: keys and their values.

mod add;
mod delete;
mod entry;
mod get;
mod history;
mod list;
mod put;
mod remove;
mod watch;

use crate::failure::Failure;
use crate::global::Global;

const EXAMPLES: &str = "\
Examples:
  neuroplex kv add settings --history 5
  neuroplex kv put settings color blue
  neuroplex kv get settings color
  neuroplex kv watch settings 'door.*'
  neuroplex kv ls settings
  neuroplex kv del settings color
  neuroplex kv rm settings --yes";

/// Keys and their values, kept in buckets
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Add(add::Args),
    Get(get::Args),
    Put(put::Args),
    Del(delete::Args),
    Watch(watch::Args),
    History(history::Args),
    Ls(list::Args),
    Rm(remove::Args),
}

/// Runs the one that was asked for.
pub(crate) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Add(args) => add::run(global, args).await,
        Command::Get(args) => get::run(global, args).await,
        Command::Put(args) => put::run(global, args).await,
        Command::Del(args) => delete::run(global, args).await,
        Command::Watch(args) => watch::run(global, args).await,
        Command::History(args) => history::run(global, args).await,
        Command::Ls(args) => list::run(global, args).await,
        Command::Rm(args) => remove::run(global, args).await,
    }
}
