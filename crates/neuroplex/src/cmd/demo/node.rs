//! The demo's node: this program's own `up`, as a process that can be killed and started again.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use kernel::Code;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::told::untrue;
use crate::failure::Failure;

/// How long a node may take to be ready, or a process to die.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a node may take to end gently.
const GRACE: Duration = Duration::from_secs(5);

/// A running node.
pub(super) struct Node {
    child: Child,
    folder: PathBuf,
    pub(super) ready: Ready,
    // Its stdout stays open as long as it runs.
    _out: Lines<BufReader<ChildStdout>>,
}

/// What it says when it is ready.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Ready {
    pub(super) nats: String,
    pub(super) pid: u32,
    /// Whether its data folder is new.
    pub(super) created: bool,
    #[serde(skip)]
    pub(super) after: Duration,
}

impl Node {
    /// Starts one with its data below `folder`; port 0 is a free one.
    pub(super) async fn start(folder: &Path, address: &str) -> Result<Node, Failure> {
        let cannot = |e: std::io::Error| untrue(format!("a node cannot be started: {e}"));
        let log = File::create(folder.join("node.log")).map_err(cannot)?;
        let mut command = program().map_err(cannot)?;
        command
            .args(["up", "--json", "--http", "off", "--nats", address])
            .arg("--data")
            .arg(folder.join("data"));
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let started = Instant::now();
        let mut child = command.spawn().map_err(cannot)?;
        let out = child.stdout.take().ok_or_else(|| untrue("the node has no stdout"))?;
        let mut out = BufReader::new(out).lines();
        let line = timeout(PATIENCE, out.next_line()).await;
        let line = line.ok().and_then(Result::ok).flatten().unwrap_or_default();
        let Ok(mut ready) = serde_json::from_str::<Ready>(&line) else {
            let log = std::fs::read_to_string(folder.join("node.log")).unwrap_or_default();
            let last = log.lines().last().unwrap_or("it says nothing").to_owned();
            return Err(Failure::new(Code::ServiceUnavailable, format!("the node does not start: {last}")));
        };
        ready.after = started.elapsed();
        Ok(Node { child, folder: folder.into(), ready, _out: out })
    }

    /// Its address, to be found again.
    fn address(&self) -> &str {
        self.ready.nats.split_once("://").map_or("127.0.0.1:0", |(_, address)| address)
    }

    /// SIGKILL, at once: it has no say.
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        self.child.start_kill().map_err(|e| untrue(format!("the node cannot be killed: {e}")))
    }

    /// Waits until it is dead of it.
    pub(super) async fn dead(&mut self) -> Result<(), Failure> {
        killed("the node", &mut self.child).await
    }

    /// Starts another one on the same folder and address.
    pub(super) async fn again(&mut self) -> Result<(), Failure> {
        let address = self.address().to_owned();
        *self = Node::start(&self.folder, &address).await?;
        Ok(())
    }

    /// Ends it, gently if it likes.
    pub(super) async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            _ = kill_process(pid, Signal::INT);
        }
        if timeout(GRACE, self.child.wait()).await.is_err() {
            _ = self.child.kill().await;
        }
    }
}

/// Waits for a process's end, and knows what ended it.
pub(super) async fn killed(what: &str, child: &mut Child) -> Result<(), Failure> {
    match timeout(PATIENCE, child.wait()).await {
        Ok(Ok(status)) if status.signal() == Some(Signal::KILL.as_raw()) => Ok(()),
        Ok(Ok(status)) => Err(untrue(format!("{what} did not die of SIGKILL: {status}"))),
        Ok(Err(e)) => Err(untrue(format!("{what} cannot be waited for: {e}"))),
        Err(_) => Err(untrue(format!("{what} outlives SIGKILL"))),
    }
}

/// This program, to be run again: without our environment's wishes, and in a group of its own, because Ctrl-C is for us.
pub(super) fn program() -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("NEUROPLEX_")) {
        command.env_remove(name);
    }
    command.process_group(0).kill_on_drop(true);
    Ok(command)
}
