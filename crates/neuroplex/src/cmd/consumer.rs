//! `neuroplex consumer`: readers of a stream that the server remembers.

mod add;
mod info;
mod list;
mod next;
mod remove;

use crate::failure::Failure;
use crate::global::Global;

const EXAMPLES: &str = "\
Examples:
  neuroplex consumer add ORDERS kitchen --filter 'orders.tea.*' --ack-wait 1m
  neuroplex consumer next ORDERS kitchen --count 10
  neuroplex consumer info ORDERS kitchen
  neuroplex consumer rm ORDERS kitchen --yes";

/// Consumers: who has read how far in a stream
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Add(Box<add::Args>),
    Info(info::Args),
    Ls(list::Args),
    Next(next::Args),
    Rm(remove::Args),
}

/// Runs the one that was asked for.
pub(crate) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Add(args) => add::run(global, *args).await,
        Command::Info(args) => info::run(global, args).await,
        Command::Ls(args) => list::run(global, args).await,
        Command::Next(args) => next::run(global, args).await,
        Command::Rm(args) => remove::run(global, args).await,
    }
}
