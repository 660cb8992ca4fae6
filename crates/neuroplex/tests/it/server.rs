//! A node as a process of its own, gone when the test is over.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{neuroplex, signal};
use crate::lines::Lines;

/// A running node.
pub(crate) struct Server {
    child: Child,
    ready: Value,
    folder: TempDir,
    // Its stdout stays open as long as it runs.
    _out: Lines,
}

impl Server {
    /// A node with free ports and a folder of its own.
    pub(crate) fn start() -> Server {
        Server::with("", &[])
    }

    /// A node with a configuration and further arguments.
    pub(crate) fn with(config: &str, args: &[&str]) -> Server {
        Server::within(TempDir::new().expect("a folder"), config, args)
    }

    /// A node in a folder that may already hold files.
    pub(crate) fn within(folder: TempDir, config: &str, args: &[&str]) -> Server {
        Server::spawn(folder, config, "127.0.0.1:0", args)
    }

    /// A new node whose HTTP door is at an address that was free a moment ago.
    pub(crate) fn at(http: &str) -> Server {
        Server::spawn(TempDir::new().expect("a folder"), "", http, &[])
    }

    fn spawn(folder: TempDir, config: &str, http: &str, args: &[&str]) -> Server {
        let file = folder.path().join("neuroplex.toml");
        fs::write(&file, config).expect("a configuration");
        let mut command = neuroplex(&["up", "--nats", "127.0.0.1:0", "--http", http, "--json"]);
        command.arg("--data").arg(folder.path().join("data")).arg("--config").arg(&file).args(args);
        let mut child = command.current_dir(folder.path()).spawn().expect("the program starts");
        let out = Lines::of(child.stdout.take().expect("a stdout"));
        // What it logs is of no use to a test that passes; it must be read, though.
        let _log = Lines::of(child.stderr.take().expect("a stderr"));
        let ready: Value = serde_json::from_str(&out.next()).expect("the ready line is JSON");
        assert_eq!(ready["event"], "ready");
        assert_eq!(ready["pid"], child.id());
        Server { child, ready, folder, _out: out }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The URL of its NATS door.
    pub(crate) fn nats(&self) -> &str {
        self.ready["nats"].as_str().expect("a NATS door")
    }

    /// Its address, without a scheme.
    pub(crate) fn address(&self) -> &str {
        self.nats().split_once("://").expect("a URL").1
    }

    /// The URL of its HTTP door.
    pub(crate) fn http(&self) -> &str {
        self.ready["http"].as_str().expect("an HTTP door")
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn signal(&self, what: Signal) {
        signal(self.child.id(), what);
    }

    /// Kills it, and starts another on the same folder.
    pub(crate) fn killed_and_started_again(mut self) -> Server {
        self.signal(Signal::KILL);
        self.child.wait().expect("an end");
        self.again()
    }

    /// Ends it gently, and starts another on the same folder.
    pub(crate) fn stopped_and_started_again(mut self) -> Server {
        self.signal(Signal::INT);
        self.child.wait().expect("an end");
        self.again()
    }

    fn again(&mut self) -> Server {
        let folder = std::mem::replace(&mut self.folder, TempDir::new().expect("a folder"));
        let config = fs::read_to_string(folder.path().join("neuroplex.toml")).expect("a configuration");
        Server::within(folder, &config, &[])
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> ExitStatus {
        self.child.wait().expect("an end")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
