//! A bench to measure on: a server pinned to one core, the load pinned to another, both stopped when dropped.
//!
//! It decides nothing about what is measured: `compare`, `soak` and `crash` do.

mod server;
mod start;

pub(crate) use server::Server;
pub(crate) use start::{Peer, Start};

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;

/// Longest time that one run of the load may take.
const LOAD_LIMIT: Duration = Duration::from_secs(300);

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Ours,
    Theirs,
}

/// Binaries and cores.
#[derive(Debug)]
pub(crate) struct Lab {
    ours: PathBuf,
    theirs: PathBuf,
    home: PathBuf,
    cores: Cores,
}

/// Where a run may use the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The server on one core, the load on another.
    Pinned,
    /// Both wherever the system puts them, as users run them.
    Anywhere,
}

/// One core for the server, one for the load, and all of them.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    server: CpuSet,
    load: CpuSet,
    all: CpuSet,
}

impl Cores {
    /// Whatever this process may use, for everybody: nothing can be pinned.
    pub(crate) fn shared() -> Result<Cores, String> {
        let all = sched_getaffinity(None).map_err(|e| format!("cannot ask for the cores: {e}"))?;
        Ok(Cores { server: all, load: all, all })
    }

    /// The first two cores that this process may use; it moves to the second itself.
    pub(crate) fn apart() -> Result<Cores, String> {
        let all = Cores::shared()?.all;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        let (Some(server), Some(load)) = (cores.next(), cores.next()) else {
            return Err("two cores are needed, one for the server and one for the load".into());
        };
        let only = |core| {
            let mut set = CpuSet::new();
            set.set(core);
            set
        };
        let cores = Cores { server: only(server), load: only(load), all };
        move_to(&cores.load)?;
        Ok(cores)
    }

    /// Starts a process on some cores. A child inherits those of the thread that starts it, so this one goes there and
    /// comes back: the child is pinned from its first instruction, and a runtime that counts cores counts one.
    fn spawn(&self, cores: &CpuSet, place: Place, command: &mut Command) -> Result<Child, String> {
        move_to(if place == Place::Pinned { cores } else { &self.all })?;
        let child = spawn(command);
        move_to(&self.load)?;
        child
    }
}

fn move_to(cores: &CpuSet) -> Result<(), String> {
    sched_setaffinity(None, cores).map_err(|e| format!("cannot choose a core: {e}"))
}

impl Lab {
    /// `home` holds data folders and logs, and is emptied.
    pub(crate) fn new(ours: PathBuf, theirs: PathBuf, home: PathBuf, cores: Cores) -> Result<Lab, String> {
        if home.exists() {
            std::fs::remove_dir_all(&home).map_err(|e| format!("{}: {e}", home.display()))?;
        }
        crate::fetch::make_dir(&home)?;
        Ok(Lab { ours, theirs, home, cores })
    }

    /// Starts any other program on the server's core and reads its first line.
    pub(crate) fn start_other(&self, command: &mut Command) -> Result<(Load, String), String> {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = Load(self.cores.spawn(&self.cores.server, Place::Pinned, command)?);
        let mut line = String::new();
        let out = program.0.stdout.take().ok_or("no standard output")?;
        BufReader::new(out).read_line(&mut line).map_err(|e| e.to_string())?;
        Ok((program, line.trim().to_owned()))
    }

    /// Runs `neuroplex bench` with `args` and returns its report.
    pub(crate) fn load(&self, url: &str, pid: u32, place: Place, args: &str) -> Result<Value, String> {
        let mut load = self.start_load(url, pid, place, args)?;
        let deadline = Instant::now() + LOAD_LIMIT;
        while load.0.try_wait().map_err(|e| e.to_string())?.is_none() {
            if Instant::now() > deadline {
                return Err(format!("`bench {args}` did not end within {LOAD_LIMIT:?}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        load.report().map_err(|why| format!("`bench {args}`: {why}"))
    }

    /// Starts `neuroplex bench` with `args`.
    pub(crate) fn start_load(&self, url: &str, pid: u32, place: Place, args: &str) -> Result<Load, String> {
        let mut command = Command::new(&self.ours);
        command.arg("bench").args(args.split_whitespace());
        command.args(["--json", "--server", url, "--server-pid", &pid.to_string()]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // A report and an error fit into the pipes, so that reading them may wait for the end.
        self.cores.spawn(&self.cores.load, place, &mut command).map(Load)
    }

    /// A server's log, emptied for a fresh one.
    fn log(&self, who: Who, fresh: bool) -> Result<std::fs::File, String> {
        let path = self.log_path(who);
        let mut how = std::fs::OpenOptions::new();
        how.create(true).write(true).truncate(fresh).append(!fresh);
        how.open(&path).map_err(|e| format!("{}: {e}", path.display()))
    }

    fn log_path(&self, who: Who) -> PathBuf {
        self.home.join(format!("{who:?}.log").to_lowercase())
    }

    /// The end of a server's log.
    pub(crate) fn last_words(&self, who: Who) -> String {
        let said = std::fs::read_to_string(self.log_path(who)).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines.split_at(lines.len().saturating_sub(5)).1.join(" | ")
    }

    /// Where data folders and logs are.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The binary that is ours.
    pub(crate) fn ours(&self) -> &Path {
        &self.ours
    }

    /// The binary that is theirs.
    pub(crate) fn theirs(&self) -> &Path {
        &self.theirs
    }
}

/// A running load, or another helper.
#[derive(Debug)]
pub(crate) struct Load(Child);

impl Load {
    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits for its end and reads its report; without a good one, what it said on stderr.
    pub(crate) fn report(&mut self) -> Result<Value, String> {
        let (mut report, mut error) = (String::new(), String::new());
        let read = |pipe: Option<&mut dyn Read>, text: &mut String| pipe.map(|p| p.read_to_string(text));
        _ = read(self.0.stdout.as_mut().map(|p| p as &mut dyn Read), &mut report);
        _ = read(self.0.stderr.as_mut().map(|p| p as &mut dyn Read), &mut error);
        let status = self.0.wait().map_err(|e| e.to_string())?;
        let report: Option<Value> = serde_json::from_str(&report).ok();
        match (status.success(), report) {
            (true, Some(report)) => Ok(report),
            (_, report) => {
                let faults = report.as_ref().and_then(|r| r.get("faults")).map(Value::to_string);
                Err(format!("{status}: {} {}", error.trim(), faults.unwrap_or_default()))
            }
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn spawn(command: &mut Command) -> Result<Child, String> {
    let child = command.stdin(Stdio::null()).spawn();
    child.map_err(|e| format!("{}: {e}", command.get_program().to_string_lossy()))
}
