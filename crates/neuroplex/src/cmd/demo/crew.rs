//! The workers as the demo sees them: processes, and what they report. What they do is *not* here.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::node::{killed, program};
use super::told::untrue;
use super::worker::{Report, Said};
use crate::failure::Failure;

/// How long to wait for anything to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The workers.
pub(super) struct Crew {
    workers: BTreeMap<String, Worker>,
    sender: UnboundedSender<Report>,
    reports: UnboundedReceiver<Report>,
}

struct Worker {
    child: Child,
    // It ends when this is closed.
    _stdin: Option<ChildStdin>,
}

impl Crew {
    pub(super) fn new() -> Crew {
        let (sender, reports) = unbounded_channel();
        Crew { workers: BTreeMap::new(), sender, reports }
    }

    /// Starts a worker; its process.
    pub(super) fn hire(&mut self, name: &str, server: &str, fast: bool) -> Result<u32, Failure> {
        let cannot = |e: std::io::Error| untrue(format!("worker {name} cannot be started: {e}"));
        let mut command = program().map_err(cannot)?;
        command.args(["demo", "--worker", name, "--server", server]).args(fast.then_some("--fast"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(cannot)?;
        let out = child.stdout.take().ok_or_else(|| untrue("a worker has no stdout"))?;
        let (sender, worker) = (self.sender.clone(), name.to_owned());
        tokio::spawn(async move {
            let mut lines = BufReader::new(out).lines();
            let report = |said| Report { worker: worker.clone(), said };
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(said) = serde_json::from_str(&line) {
                    _ = sender.send(report(said));
                }
            }
            _ = sender.send(report(Said::Ended));
        });
        let (pid, stdin) = (child.id().unwrap_or_default(), child.stdin.take());
        self.workers.insert(name.into(), Worker { child, _stdin: stdin });
        Ok(pid)
    }

    /// What is reported next. The end of a worker that nobody wanted is a failure.
    pub(super) async fn next(&mut self) -> Result<Report, Failure> {
        loop {
            let report = timeout(PATIENCE, self.reports.recv()).await;
            let silent = || untrue(format!("no worker does anything for {} s", PATIENCE.as_secs()));
            let report = report.ok().flatten().ok_or_else(silent)?;
            match report.said {
                Said::Ended if self.workers.contains_key(&report.worker) => {
                    return Err(untrue(format!("worker {} has ended by itself", report.worker)));
                }
                Said::Ended => {}
                _ => return Ok(report),
            }
        }
    }

    /// SIGKILL; returns when the worker is dead. What it had said before may still come.
    pub(super) async fn kill(&mut self, name: &str) -> Result<(), Failure> {
        let Some(mut worker) = self.workers.remove(name) else {
            return Err(untrue(format!("there is no worker {name}")));
        };
        let signal = worker.child.start_kill();
        signal.map_err(|e| untrue(format!("{name} cannot be killed: {e}")))?;
        killed(name, &mut worker.child).await
    }

    /// Ends all of them.
    pub(super) async fn dismiss(&mut self) {
        for (_, mut worker) in std::mem::take(&mut self.workers) {
            _ = worker.child.kill().await;
        }
    }
}
