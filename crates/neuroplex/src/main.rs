//! The neuroplex binary: reads the command line, runs one command, turns its end into an exit code.

mod body;
mod cmd;
mod confirm;
mod context;
mod failure;
mod global;
mod link;
mod output;
mod progress;
mod service;
mod streams;
mod supervisor;
mod table;
mod text;
mod units;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

/// The nervous system for AI agents
#[derive(clap::Parser, Debug)]
#[command(name = "neuroplex", version, propagate_version = true)]
#[command(
    after_help = "See what it does with `neuroplex demo`. Start a node with `neuroplex up`, then try `neuroplex sub 'events.>'` and `neuroplex pub events.hello hi`.
Exit codes: 0 done, 2 wrong usage, 10 to 60 for the families of error codes (`neuroplex explain 1001`)."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: global::Global,
    #[command(subcommand)]
    command: cmd::Command,
}

fn main() -> ExitCode {
    let started = Instant::now();
    let cli = Cli::parse();
    match cli.command.run(&cli.global, started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(line) = failure.line(cli.global.json) {
                output::note(&line);
            }
            ExitCode::from(failure.exit_code())
        }
    }
}
