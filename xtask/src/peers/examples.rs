//! The worked examples as a reader would run them: a server, two workers, a planner that must end well, and the
//! examples of durable streams, each of which says itself whether all went well.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::Stage;
use super::server::Server;
use super::setup::SETUPS;
use super::tally::Tally;

const PATIENCE: Duration = Duration::from_secs(20);

/// A language: its folder under `examples/`, and how one of its scripts is run.
struct Language {
    name: &'static str,
    /// How the names of its scripts end.
    ending: &'static str,
    command: fn(&Path) -> Result<Command, String>,
}

const LANGUAGES: &[Language] = &[
    Language { name: "python", ending: "py", command: python },
    Language { name: "javascript", ending: "mjs", command: node },
];

/// Examples that need nobody else, and what each shows.
const DURABLE: &[(&str, &str)] = &[
    ("jobs", "a work queue outlives whoever works"),
    ("settings", "a bucket of keys tells whoever watches"),
    ("pictures", "a store of objects keeps every byte"),
];

fn python(script: &Path) -> Result<Command, String> {
    let mut command = Command::new(crate::fetch::python()?);
    command.arg(script);
    Ok(command)
}

fn node(script: &Path) -> Result<Command, String> {
    let mut command = Command::new("node");
    command.arg(super::suite::beside_modules(script)?);
    Ok(command)
}

/// Runs the example of each language.
pub(crate) fn run(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    let setup = SETUPS.iter().find(|setup| setup.name == "streams").ok_or("there is no setup `streams`")?;
    let mut server =
        Server::start(stage.tested, &stage.binary, setup, &stage.work.join("examples"), &stage.work, 0)?;
    let url = format!("nats://127.0.0.1:{}", server.port);
    for language in LANGUAGES {
        if !tally.wants(language.name) {
            continue;
        }
        tally.count(
            &format!("{}: alone, the planner says that nobody works", language.name),
            alone(language, &url),
        );
        tally.count(
            &format!("{}: a planner and two workers share a queue", language.name),
            together(language, &url),
        );
        for (example, shows) in DURABLE {
            tally.count(&format!("{}: {shows}", language.name), ends_well(language, example, &url));
        }
    }
    server.stop()
}

fn alone(language: &Language, url: &str) -> Result<(), String> {
    let output = script(language, "planner", url)?.output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    let right = output.status.code() == Some(1) && said.contains("start two workers first");
    if right { Ok(()) } else { Err(format!("{}: {said}", output.status)) }
}

fn together(language: &Language, url: &str) -> Result<(), String> {
    let workers = ["ada", "grace"].map(|name| Worker::start(language, name, url));
    for worker in workers.iter() {
        worker.as_ref().map_err(String::clone)?;
    }
    let output = script(language, "planner", url)?.output().map_err(|e| e.to_string())?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() && said.contains("ada") && said.contains("grace") {
        return Ok(());
    }
    Err(format!("{}\n{said}", output.status))
}

fn ends_well(language: &Language, example: &str, url: &str) -> Result<(), String> {
    let output = script(language, example, url)?.output().map_err(|e| e.to_string())?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(format!("{}\n{said}", output.status)) }
}

fn script(language: &Language, name: &str, url: &str) -> Result<Command, String> {
    let path =
        crate::fetch::root().join("examples").join(language.name).join(format!("{name}.{}", language.ending));
    let mut command = (language.command)(&path)?;
    command.env("NEUROPLEX_SERVER", url).stdin(Stdio::null());
    Ok(command)
}

/// A worker's process, ended when dropped.
struct Worker(Child);

impl Worker {
    /// Starts a worker and waits until it says that it is ready.
    fn start(language: &Language, name: &str, url: &str) -> Result<Self, String> {
        let mut command = script(language, "worker", url)?;
        let mut worker = Self(command.arg(name).stdout(Stdio::piped()).spawn().map_err(|e| e.to_string())?);
        let out = worker.0.stdout.take().ok_or("no standard output")?;
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        match told.recv_timeout(PATIENCE) {
            Ok(line) if line == format!("{name} is ready") => Ok(worker),
            Ok(line) => Err(format!("worker {name} said `{line}`")),
            Err(_) => Err(format!("worker {name} was not ready within {PATIENCE:?}")),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}
