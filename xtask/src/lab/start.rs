//! How each server is started: its command line, its data folder, and the wait until it answers.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::server::{PATIENCE, Server};
use super::{Lab, Place, Who};
use crate::fetch;

/// Who is compared with, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// nats-server in its default configuration, without streams.
    Nats,
    /// nats-server with JetStream.
    JetStream {
        /// `sync_interval: always`: every publish is synced before it is acknowledged.
        always: bool,
    },
    /// Redis whose every write is synced before it is answered.
    Redis,
    /// A bare program of `crates/bench/examples` with its arguments, which prints where it listens.
    Bare(&'static str),
    /// Nobody: only ours is measured.
    Nobody,
}

/// A start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) who: Who,
    pub(crate) peer: Peer,
    pub(crate) place: Place,
    /// Whether the data folder is emptied before.
    pub(crate) fresh: bool,
}

impl Peer {
    /// Its command line as a person repeats it.
    pub(crate) fn command(self) -> String {
        match self {
            Peer::Nats => "`nats-server`".into(),
            Peer::JetStream { always: false } => {
                "`nats-server -c FILE` with `jetstream { store_dir: DIR }`".into()
            }
            Peer::JetStream { always: true } => {
                "`nats-server -c FILE` with `jetstream { store_dir: DIR, sync_interval: always }`".into()
            }
            Peer::Redis => "`redis-server --save '' --appendonly yes --appendfsync always --dir DIR`".into(),
            Peer::Bare(line) => {
                let (program, args) = line.split_once(' ').unwrap_or((line, ""));
                format!("`cargo run -p bench --example {program} -- {args}`").replace(" -- `", "`")
            }
            Peer::Nobody => "nobody".into(),
        }
    }
}

impl Lab {
    /// Starts a server as its users do, without anything left from before, and waits until it answers a PING.
    pub(crate) fn start(&self, who: Who, place: Place) -> Result<Server, String> {
        self.start_as(&Start { who, peer: Peer::Nats, place, fresh: true })
    }

    /// Starts a server and waits until it answers a PING.
    pub(crate) fn start_as(&self, start: &Start) -> Result<Server, String> {
        let who = start.who;
        if start.fresh {
            _ = std::fs::remove_dir_all(self.data(who));
        }
        let port = free_port()?;
        let mut command = match who {
            Who::Ours => self.our_command(port),
            Who::Theirs => self.their_command(start.peer, port)?,
        };
        command.stderr(self.log(who, start.fresh)?);
        let bare = who == Who::Theirs && matches!(start.peer, Peer::Bare(_));
        let redis = who == Who::Theirs && start.peer == Peer::Redis;
        let started = Instant::now();
        let child = self.cores.spawn(&self.cores.server, start.place, &mut command)?;
        let mut server = Server::new(child, port, redis, started);
        if who == Who::Ours {
            self.ready_line(&mut server)?;
        }
        if bare {
            address_line(&mut server)?;
            return Ok(server);
        }
        while !server.answers() {
            if let Ok(Some(status)) = server.child().try_wait() {
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

    /// Where a server keeps its data.
    pub(crate) fn data(&self, who: Who) -> PathBuf {
        self.home.join(if who == Who::Ours { "data" } else { "their-data" })
    }

    fn our_command(&self, port: u16) -> Command {
        let mut command = Command::new(&self.ours);
        command.args(["up", "--json", "--http", "127.0.0.1:0", "--nats", &format!("127.0.0.1:{port}")]);
        command.arg("--data").arg(self.data(Who::Ours)).stdout(Stdio::piped());
        command
    }

    fn their_command(&self, peer: Peer, port: u16) -> Result<Command, String> {
        let mut command = Command::new(&self.theirs);
        let data = self.data(Who::Theirs);
        let port = port.to_string();
        match peer {
            Peer::Nats => _ = command.args(["-a", "127.0.0.1", "-p", &port]),
            Peer::JetStream { always } => {
                let file = self.home.join("nats-server.conf");
                let sync = if always { "sync_interval: always" } else { "" };
                let text = format!("jetstream {{\n  store_dir: \"{}\"\n  {sync}\n}}\n", data.display());
                std::fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
                command.arg("-c").arg(file).args(["-a", "127.0.0.1", "-p", &port]);
            }
            Peer::Bare(line) => {
                let (program, args) = line.split_once(' ').unwrap_or((line, ""));
                command = Command::new(self.theirs.join(program));
                command.args(args.split_whitespace()).stdout(Stdio::piped());
                return Ok(command);
            }
            Peer::Nobody => return Err("there is nobody to start".into()),
            Peer::Redis => {
                fetch::make_dir(&data)?;
                command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--daemonize", "no"]);
                command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]).arg(&data);
                command.arg("--logfile").arg(self.log_path(Who::Theirs));
            }
        }
        command.stdout(Stdio::null());
        Ok(command)
    }

    /// Waits for the line in which ours says that it is ready.
    fn ready_line(&self, server: &mut Server) -> Result<(), String> {
        let mut out = BufReader::new(server.child().stdout.take().ok_or("no standard output")?);
        let mut line = String::new();
        out.read_line(&mut line).map_err(|e| format!("our ready line: {e}"))?;
        server.line_ms = Some(server.started.elapsed().as_secs_f64() * 1e3);
        let ready = serde_json::from_str::<Value>(&line).ok();
        server.web = ready.as_ref().and_then(|r| r.get("http")?.as_str().map(str::to_owned));
        if ready.is_none_or(|event| event.get("event").is_none_or(|e| e != "ready")) {
            return Err(format!("ours said {line:?} instead of ready: {}", self.last_words(Who::Ours)));
        }
        server.out = Some(out);
        Ok(())
    }
}

/// Waits for the line in which a bare program says where it listens: then it does.
fn address_line(server: &mut Server) -> Result<(), String> {
    let mut out = BufReader::new(server.child().stdout.take().ok_or("no standard output")?);
    let mut line = String::new();
    out.read_line(&mut line).map_err(|e| format!("its address: {e}"))?;
    server.ready_ms = server.started.elapsed().as_secs_f64() * 1e3;
    server.web = Some(line.trim().to_owned()).filter(|line| line.starts_with("http://"));
    server.out = Some(out);
    Ok(())
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, String> {
    let socket = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    socket.map(|address| address.port()).map_err(|e| e.to_string())
}
