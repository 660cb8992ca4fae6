//! One server process: ours or the real one, started with a setup, found by its port, stopped when dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::setup::{self, Setup};

/// How long a server may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Neuroplex,
    NatsServer,
}

impl Kind {
    /// The kind of that name.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        match name {
            "neuroplex" => Ok(Kind::Neuroplex),
            "nats-server" => Ok(Kind::NatsServer),
            _ => Err(format!("`{name}` is no server that peers knows: neuroplex, nats-server")),
        }
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// The port of its NATS door, on 127.0.0.1.
    pub(crate) port: u16,
    /// The URL of its HTTP door; empty: it has none.
    pub(crate) http: String,
    kind: Kind,
}

impl Server {
    /// Starts a server with its configuration, data and log in `home`, and waits until it says that it is ready.
    /// Port 0 means any free one.
    pub(crate) fn start(
        kind: Kind,
        binary: &Path,
        setup: &Setup,
        home: &Path,
        certificates: &Path,
        port: u16,
    ) -> Result<Self, String> {
        crate::fetch::make_dir(home)?;
        let started = match kind {
            Kind::Neuroplex => start_neuroplex(binary, &setup::neuroplex(setup, certificates), home, port),
            Kind::NatsServer => start_nats_server(binary, setup, certificates, home, port)
                .map(|(child, port)| (child, port, String::new())),
        };
        let (child, port, http) =
            started.map_err(|why| format!("{kind:?} with setup `{}`: {why}", setup.name))?;
        Ok(Self { child, port, http, kind })
    }

    /// Ends the process without warning.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|e| e.to_string())
    }

    /// Asks the server to send its clients away before it ends: our SIGTERM, nats-server's SIGUSR2.
    pub(crate) fn retire(&self) -> Result<(), String> {
        self.signal(if self.kind == Kind::Neuroplex { "TERM" } else { "USR2" })
    }

    /// Asks the server to end, and waits for it. Ours must end with status 0.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        self.signal("TERM")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().map_err(|e| e.to_string())? {
                Some(status) if status.success() || self.kind == Kind::NatsServer => return Ok(()),
                Some(status) => return Err(format!("ended with {status} on SIGTERM; expected 0")),
                None if Instant::now() > deadline => {
                    return Err(format!("did not end within {PATIENCE:?} of SIGTERM"));
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    fn signal(&self, name: &str) -> Result<(), String> {
        // the shell's own `kill`: a small machine may have no other
        let line = format!("kill -{name} {}", self.child.id());
        crate::fetch::run(Command::new("sh").args(["-c", &line]), "did the server end by itself? see its log")
            .map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn start_neuroplex(
    binary: &Path,
    configuration: &str,
    home: &Path,
    port: u16,
) -> Result<(Child, u16, String), String> {
    let config = home.join("neuroplex.toml");
    write(&config, configuration)?;
    let mut command = Command::new(binary);
    command.args(["up", "--json", "--http", "127.0.0.1:0", "--nats", &format!("127.0.0.1:{port}")]);
    command.arg("--data").arg(home.join("data")).arg("--config").arg(&config);
    let log = home.join("log");
    let mut child = spawn(command.stdout(Stdio::piped()).stderr(append(&log)?))?;
    let out = child.stdout.take().ok_or("no standard output")?;
    let ready = wait_for(&mut child, out, |line| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        let url = event.get("nats").filter(|_| event.get("event").is_some_and(|e| e == "ready"))?.as_str()?;
        let port = url.rsplit(':').next()?.trim_end_matches('/').parse().ok()?;
        Some((port, event.get("http")?.as_str()?.to_owned()))
    });
    let (port, http) = ready.ok_or_else(|| not_ready(&mut child, &log))?;
    Ok((child, port, http))
}

fn start_nats_server(
    binary: &Path,
    setup: &Setup,
    certificates: &Path,
    home: &Path,
    port: u16,
) -> Result<(Child, u16), String> {
    let port = if port == 0 { free_port()? } else { port };
    let (config, log) = (home.join("nats.conf"), home.join("log"));
    write(&config, &setup::nats_server(setup, certificates, home, port))?;
    let mut command = Command::new(binary);
    command.arg("--config").arg(&config);
    let mut child = spawn(command.stdout(Stdio::null()).stderr(Stdio::piped()))?;
    let err = child.stderr.take().ok_or("no standard error")?;
    let copy = append(&log)?;
    let ready = wait_for(&mut child, Tee { from: err, to: copy }, |line| {
        line.contains("Server is ready").then_some(())
    });
    ready.ok_or_else(|| not_ready(&mut child, &log))?;
    Ok((child, port))
}

fn spawn(command: &mut Command) -> Result<Child, String> {
    command
        .stdin(Stdio::null())
        .spawn()
        .map_err(|e| format!("{}: {e}", command.get_program().to_string_lossy()))
}

/// Waits for the line in which `found` sees what it looks for, and keeps emptying the pipe afterwards.
fn wait_for<T: Send + 'static>(
    child: &mut Child,
    pipe: impl Read + Send + 'static,
    found: impl Fn(&str) -> Option<T> + Send + 'static,
) -> Option<T> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if let Some(found) = found(&line) {
                let _ = tell.send(found);
            }
        }
    });
    let ready = told.recv_timeout(PATIENCE).ok();
    if ready.is_none() {
        let _ = child.kill();
    }
    ready
}

fn not_ready(child: &mut Child, log: &Path) -> String {
    let status = child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
    let said = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = said.lines().collect();
    format!(
        "was not ready ({status}); it said: {}",
        lines.split_at(lines.len().saturating_sub(5)).1.join(" | ")
    )
}

/// Passes a pipe on and keeps a copy of it.
struct Tee<R, W> {
    from: R,
    to: W,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(into)?;
        self.to.write_all(&into[..count])?;
        Ok(count)
    }
}

fn free_port() -> Result<u16, String> {
    let socket = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    socket.map(|address| address.port()).map_err(|e| e.to_string())
}

fn append(path: &Path) -> Result<std::fs::File, String> {
    std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|e| format!("{}: {e}", path.display()))
}

fn write(path: &PathBuf, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}
