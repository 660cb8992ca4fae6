//! The neuroplex binary: reads the command line, runs one command, turns its end into an exit code.

mod body;
mod cmd;
mod confirm;
mod context;
mod door;
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

use clap::{CommandFactory as _, FromArgMatches as _};
use kernel::Code;

use crate::failure::Failure;

/// The exit code of what cannot be understood.
const WRONG_USAGE: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  neuroplex demo                 # what it does, in half a minute; needs nothing
  neuroplex up                   # a node here; then, in other terminals:
  neuroplex sub 'events.>'       # show what comes
  neuroplex pub events.hello hi  # send something
  neuroplex check                # is everything as it should be?
  neuroplex pub --help           # every command has examples

Exit codes:
  0    done
  2    wrong usage
  10   connection: nobody there, no answer in time, TLS
  20   credentials and permissions
  30   models
  40   the request or the configuration
  50   the node or its disk
  60   streams, messages, keys and objects
  130  interrupted
`neuroplex explain 6001` explains the code of an error.";

/// Messages, durable streams, keys, objects and HTTP in one program: the nervous system for AI agents
#[derive(clap::Parser, Debug)]
#[command(name = "neuroplex", version, propagate_version = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: global::Global,
    #[command(subcommand)]
    command: cmd::Command,
}

/// Commands that reach no server. They take the options that say where one is, so that an alias with them works, and do not
/// show them.
const WITHOUT_SERVER: &[&str] = &["up", "demo", "explain", "config", "completions", "man"];

/// The command line as it is parsed, and as help, pages and completions show it.
pub(crate) fn program() -> clap::Command {
    let program = Cli::command();
    let unused: Vec<_> = program
        .get_arguments()
        .filter(|arg| arg.is_global_set() && arg.get_id() != "json")
        .map(|arg| arg.clone().hide(true))
        .collect();
    let hide =
        |program: clap::Command, name| program.mut_subcommand(name, |c| c.args(unused.iter().cloned()));
    WITHOUT_SERVER.iter().fold(program, hide)
}

fn main() -> ExitCode {
    let started = Instant::now();
    let matches = program().try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(e) => return misused(e),
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
fn misused(e: clap::Error) -> ExitCode {
    let e = e.format(&mut program());
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
