//! The program's commands, run to their end or left running.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::lines::{Lines, PATIENCE};

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).expect("stdout is text").trim_end()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out).expect("stdout is one JSON value")
    }

    /// The name of the code on stderr, which is one JSON object.
    pub(crate) fn error(&self) -> String {
        let error: Value = serde_json::from_str(self.err.trim_end()).expect("stderr is one JSON value");
        assert!(error["error"]["message"].as_str().is_some_and(|m| m.contains(' ')), "{error}");
        error["error"]["code"].as_str().expect("a code").to_owned()
    }
}

/// The program, knowing nothing of the environment of the tests.
pub(crate) fn neuroplex(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neuroplex"));
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("NEUROPLEX_")) {
        command.env_remove(name);
    }
    // Nor of the contexts of whoever runs them.
    command.env("XDG_CONFIG_HOME", "/does/not/exist");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub(crate) fn run(server: &str, args: &[&str]) -> Ended {
    feed(server, args, b"")
}

/// Runs a command to its end, with something on its stdin.
pub(crate) fn feed(server: &str, args: &[&str], input: &[u8]) -> Ended {
    let mut command = neuroplex(args);
    command.env("NEUROPLEX_SERVER", server).stdin(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let pid = child.id();
    let (mut stdin, input) = (child.stdin.take().expect("a stdin"), input.to_vec());
    thread::spawn(move || stdin.write_all(&input));
    let (sender, ended) = channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(PATIENCE) else {
        signal(pid, Signal::KILL);
        panic!("`neuroplex {}` does not end", args.join(" "));
    };
    let output = output.expect("the program's output");
    let err = String::from_utf8(output.stderr).expect("stderr is text");
    Ended { code: output.status.code(), out: output.stdout, err }
}

/// A command that goes on until it is told to stop; it is killed when the test is over.
pub(crate) struct Running {
    child: Child,
    pub(crate) out: Lines,
    pub(crate) err: Lines,
}

impl Running {
    /// Starts a command and waits until it says on stderr that it hears.
    pub(crate) fn listening(server: &str, args: &[&str]) -> Running {
        let running = Running::started(server, args);
        running.err.until("on ");
        running
    }

    /// Starts a command.
    pub(crate) fn started(server: &str, args: &[&str]) -> Running {
        let mut command = neuroplex(args);
        let mut child = command.env("NEUROPLEX_SERVER", server).spawn().expect("the program starts");
        let out = Lines::of(child.stdout.take().expect("a stdout"));
        let err = Lines::of(child.stderr.take().expect("a stderr"));
        Running { child, out, err }
    }

    pub(crate) fn signal(&self, what: Signal) {
        signal(self.child.id(), what);
    }

    /// Its exit code, once it has closed its stdout.
    pub(crate) fn ended(mut self) -> (Option<i32>, Vec<String>) {
        let rest = self.out.rest();
        (self.child.wait().expect("an end").code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

pub(crate) fn signal(pid: u32, what: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process");
    _ = kill_process(pid, what);
}
