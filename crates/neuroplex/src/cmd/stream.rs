//! `neuroplex stream`: streams, and what is in them.

mod add;
mod edit;
mod get;
mod info;
mod limits;
mod list;
mod purge;
mod remove;

use crate::failure::Failure;
use crate::global::Global;

const EXAMPLES: &str = "\
Examples:
  neuroplex stream add ORDERS --subjects 'orders.>' --max-age 7d
  neuroplex pub orders.new '{\"tea\":2}' --ack
  neuroplex stream info ORDERS
  neuroplex stream get ORDERS 1
  neuroplex stream purge ORDERS --keep 100
  neuroplex stream rm ORDERS --yes";

/// Streams: messages that are kept
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Add(Box<add::Args>),
    Edit(Box<edit::Args>),
    Info(info::Args),
    Ls(list::Args),
    Get(get::Args),
    Purge(purge::Args),
    Rm(remove::Args),
}

/// Runs the one that was asked for.
pub(crate) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Add(args) => add::run(global, *args).await,
        Command::Edit(args) => edit::run(global, *args).await,
        Command::Info(args) => info::run(global, args).await,
        Command::Ls(args) => list::run(global, args).await,
        Command::Get(args) => get::run(global, args).await,
        Command::Purge(args) => purge::run(global, args).await,
        Command::Rm(args) => remove::run(global, args).await,
    }
}
