//! Runs a suite that is a program in another language. It gets the servers in the variable `PEERS` as JSON and prints
//! lines of JSON: `{"test":NAME,"error":null}` for a result, `{"please":ORDER}` for something only we can do, which
//! is answered by one line, `done` or what went wrong.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Deserialize;

use super::Stage;
use super::fleet::Fleet;
use super::server::Kind;
use super::setup::Setup;
use super::tally::Tally;

/// How long a suite may be silent: longer than any of its tests may take.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Result { test: String, error: Option<String> },
    Order { please: String },
}

/// The core protocol through nats-py.
pub(crate) fn python(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    run(in_python("core.py")?, stage, |setup| !setup.streams, tally)
}

/// Durable streams through nats-py.
pub(crate) fn python_streams(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    run(in_python("streams.py")?, stage, |setup| setup.streams, tally)
}

/// Key-value buckets and object stores through nats-py.
pub(crate) fn python_stores(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    run(in_python("stores.py")?, stage, |setup| setup.streams, tally)
}

/// Traces, logs and metrics to a real collector; it starts what it needs itself.
pub(crate) fn telemetry(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    match stage.tested {
        Kind::Neuroplex => run(in_python("telemetry.py")?, stage, |_| false, tally),
        Kind::NatsServer => Err("only neuroplex sends telemetry".into()),
    }
}

/// The core protocol through the client from npm.
pub(crate) fn javascript(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    run(in_javascript("core.mjs")?, stage, |setup| !setup.streams, tally)
}

/// Durable streams through the client from npm.
pub(crate) fn javascript_streams(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    run(in_javascript("streams.mjs")?, stage, |setup| setup.streams, tally)
}

/// Key-value buckets and object stores through the client from npm.
pub(crate) fn javascript_stores(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    run(in_javascript("stores.mjs")?, stage, |setup| setup.streams, tally)
}

fn suites() -> PathBuf {
    crate::fetch::root().join("xtask/peers")
}

fn in_python(suite: &str) -> Result<Command, String> {
    let mut command = Command::new(crate::fetch::python()?);
    command.arg("-B").arg(suites().join(suite));
    Ok(command)
}

fn in_javascript(suite: &str) -> Result<Command, String> {
    beside_modules(&suites().join("harness.mjs"))?;
    let mut command = Command::new("node");
    command.arg(beside_modules(&suites().join(suite))?);
    Ok(command)
}

/// Copies a script to where its imports are found.
pub(crate) fn beside_modules(script: &Path) -> Result<PathBuf, String> {
    let name = script.file_name().ok_or("a script has a name")?;
    let copy = crate::fetch::node_folder()?.join(name);
    crate::fetch::copy(script, &copy)?;
    Ok(copy)
}

fn run(
    mut command: Command,
    stage: &Stage,
    needed: fn(&Setup) -> bool,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut fleet = Fleet::start("tested", stage.tested, &stage.binary, &stage.work, needed, tally);
    let peers = serde_json::json!({ "ports": fleet.ports(), "certificates": stage.work, "only": tally.filter(), "binary": stage.binary });
    command.env("PEERS", peers.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child =
        command.spawn().map_err(|e| format!("{}: {e}", command.get_program().to_string_lossy()))?;
    let heard = listen(&mut child, &mut fleet, tally);
    if heard.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    heard?;
    fleet.stop(tally);
    if status.success() { Ok(()) } else { Err(format!("the suite itself ended with {status}")) }
}

/// Reads the suite's lines until it ends.
fn listen(child: &mut Child, fleet: &mut Fleet, tally: &mut Tally) -> Result<(), String> {
    let (out, mut input) = child.stdout.take().zip(child.stdin.take()).ok_or("the suite has no pipes")?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
    });
    loop {
        let line = match told.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                return Err(format!("the suite said nothing for {PATIENCE:?}"));
            }
        };
        match serde_json::from_str(&line) {
            Ok(Line::Result { test, error }) => tally.count(&test, error.map_or(Ok(()), Err)),
            Ok(Line::Order { please }) => answer(&mut input, fleet.obey(&please))?,
            Err(_) => println!("       {line}"),
        }
    }
}

fn answer(input: &mut ChildStdin, result: Result<(), String>) -> Result<(), String> {
    let line = result.err().unwrap_or("done".into()).replace('\n', " ");
    writeln!(input, "{line}")
        .and_then(|()| input.flush())
        .map_err(|e| format!("the suite does not listen: {e}"))
}
