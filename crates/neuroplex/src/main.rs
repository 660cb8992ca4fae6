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
use kernel::Code;

use crate::failure::Failure;

/// The exit code of what cannot be understood.
const WRONG_USAGE: u8 = 2;

/// The nervous system for AI agents
#[derive(clap::Parser, Debug)]
#[command(name = "neuroplex", version, propagate_version = true)]
#[command(
    after_help = "See what it does with `neuroplex demo`. Start a node with `neuroplex up`, then try `neuroplex sub 'events.>'` and `neuroplex pub events.hello hi`.
Exit codes: 0 done, 2 wrong usage, 10 connection, 20 credentials and permissions, 30 models, 40 request or configuration, 50 node or disk, 60 streams and messages, 130 interrupted. They are ten times the family of the error's code: `neuroplex explain 1001`."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: global::Global,
    #[command(subcommand)]
    command: cmd::Command,
}

fn main() -> ExitCode {
    let started = Instant::now();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return misused(&e),
    };
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

/// Help and the version where they were asked for; else what is wrong with the command line, as JSON to who wants it so.
fn misused(e: &clap::Error) -> ExitCode {
    let mut words = std::env::args_os().take_while(|word| word != "--");
    if !e.use_stderr() || !words.any(|word| word == "--json") {
        e.exit();
    }
    let text = e.to_string();
    let said = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let said = said.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let message =
        format!("{}. `--help` has examples.", said.trim_start_matches("error: ").trim_end_matches('.'));
    if let Some(line) = Failure::new(Code::InvalidRequest, message).line(true) {
        output::note(&line);
    }
    ExitCode::from(WRONG_USAGE)
}
