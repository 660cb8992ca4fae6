//! `cargo xtask sim`: many seeds of the simulator, each twice, built in release. What a run is, and how a failure is
//! read, stands in `docs/internals/simulation.md`; nothing of it is here.

use std::process::Command;

use crate::fetch;

const HELP: &str = "cargo xtask sim [--seeds N] [--from N] [--json] [--go-on]

  --seeds N    how many seeds (default 1000)
  --from N     the first of them (default 0)
  --json       figures as one JSON object
  --go-on      name every seed that fails, instead of ending with the first";

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => {
                println!("{HELP}");
                return Ok(());
            }
            "--json" | "--go-on" => {}
            "--seeds" | "--from" if words.next().is_some_and(|n| n.parse::<u64>().is_ok()) => {}
            _ => return Err(HELP.into()),
        }
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--release", "--package", "sim", "--example", "sim", "--"]);
    let ended = command.args(args).current_dir(fetch::root()).status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("a promise is broken, or the simulator could not be built".into()),
        Err(e) => Err(format!("cargo cannot be started: {e}")),
    }
}
