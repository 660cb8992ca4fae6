//! A bench to measure on: a server pinned to one core, the load pinned to another, both stopped when dropped.
//!
//! It decides nothing about what is measured: `compare` and `soak` do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;

/// How long a server may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// Longest time that one run of the load may take.
const LOAD_LIMIT: Duration = Duration::from_secs(120);

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

    /// Starts a server as its users do, and waits until it answers a PING.
    pub(crate) fn start(&self, who: Who, place: Place) -> Result<Server, String> {
        let started = Instant::now();
        let mut server = match who {
            Who::Ours => self.start_ours(place, started)?,
            Who::Theirs => self.start_theirs(place)?,
        };
        while !server.answers() {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("{who:?} ended with {status}: {}", self.last_words(who)));
            }
            if started.elapsed() > PATIENCE {
                return Err(format!("{who:?} does not answer: {}", self.last_words(who)));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        server.ready_ms = started.elapsed().as_secs_f64() * 1e3;
        Ok(server)
    }

    fn start_ours(&self, place: Place, started: Instant) -> Result<Server, String> {
        let data = self.home.join("data");
        // Each start is the first one: identity and data folder are made.
        _ = std::fs::remove_dir_all(&data);
        let port = free_port()?;
        let mut command = Command::new(&self.ours);
        command.args(["up", "--json", "--http", "127.0.0.1:0", "--nats", &format!("127.0.0.1:{port}")]);
        command.arg("--data").arg(&data).stdout(Stdio::piped()).stderr(self.log(Who::Ours)?);
        let mut server = Server::new(self.cores.spawn(&self.cores.server, place, &mut command)?, port);
        let mut out = BufReader::new(server.child.stdout.take().ok_or("no standard output")?);
        let mut line = String::new();
        out.read_line(&mut line).map_err(|e| format!("our ready line: {e}"))?;
        server.line_ms = Some(started.elapsed().as_secs_f64() * 1e3);
        let ready = serde_json::from_str::<Value>(&line).ok();
        if ready.is_none_or(|event| event.get("event").is_none_or(|e| e != "ready")) {
            return Err(format!("ours said {line:?} instead of ready: {}", self.last_words(Who::Ours)));
        }
        server.out = Some(out);
        Ok(server)
    }

    fn start_theirs(&self, place: Place) -> Result<Server, String> {
        let port = free_port()?;
        let mut command = Command::new(&self.theirs);
        command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
        command.stdout(Stdio::null()).stderr(self.log(Who::Theirs)?);
        Ok(Server::new(self.cores.spawn(&self.cores.server, place, &mut command)?, port))
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

    fn log(&self, who: Who) -> Result<std::fs::File, String> {
        let path = self.log_path(who);
        std::fs::File::create(&path).map_err(|e| format!("{}: {e}", path.display()))
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

    /// The binary that is ours.
    pub(crate) fn ours(&self) -> &Path {
        &self.ours
    }

    /// The binary that is theirs.
    pub(crate) fn theirs(&self) -> &Path {
        &self.theirs
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
    /// From its start to its first answer.
    pub(crate) ready_ms: f64,
    /// From its start to its ready line.
    pub(crate) line_ms: Option<f64>,
    /// Kept open: a server whose output nobody holds might end.
    out: Option<BufReader<ChildStdout>>,
}

impl Server {
    fn new(child: Child, port: u16) -> Server {
        Server { child, port, ready_ms: 0.0, line_ms: None, out: None }
    }

    /// Where its NATS door is, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still there.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether a client gets a PONG.
    pub(crate) fn answers(&self) -> bool {
        let pong = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"CONNECT {\"verbose\":false}\r\nPING\r\n")?;
            let mut said = Vec::new();
            let mut byte = [0];
            while !said.ends_with(b"\nPONG\r\n") {
                if stream.read(&mut byte)? == 0 {
                    return Ok(false);
                }
                said.extend_from_slice(&byte);
            }
            Ok(true)
        };
        pong().unwrap_or(false)
    }

    /// Asks it to end, waits, and says whether it ended well.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let pid = i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or("no process id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(|e| e.to_string())?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().map_err(|e| e.to_string())? {
                Some(_) => return Ok(()),
                None if Instant::now() > deadline => return Err("did not end on SIGTERM".into()),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
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

/// A port that was free a moment ago.
fn free_port() -> Result<u16, String> {
    let socket = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    socket.map(|address| address.port()).map_err(|e| e.to_string())
}
