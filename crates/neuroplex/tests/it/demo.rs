//! `neuroplex demo`, as users start it: what it says is complete, and nothing stays behind, however it ends.

use std::fs;
use std::path::Path;
use std::process::Child;

use rustix::process::{Pid, Signal, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{neuroplex, signal};
use crate::lines::Lines;

/// A demo whose temporary files are in a folder of its own.
struct Demo {
    child: Child,
    out: Lines,
    err: Lines,
    folder: TempDir,
}

impl Demo {
    fn start() -> Demo {
        let folder = TempDir::new().unwrap();
        let mut command = neuroplex(&["demo", "--fast", "--json"]);
        // What the user has set for other commands does not reach the demo's own node.
        command.env("TMPDIR", folder.path()).env("NEUROPLEX_NATS_LISTEN", "127.0.0.1:1");
        let mut child = command.spawn().unwrap();
        let out = Lines::of(child.stdout.take().unwrap());
        let err = Lines::of(child.stderr.take().unwrap());
        Demo { child, out, err, folder }
    }

    /// The next event.
    fn next(&self) -> Value {
        serde_json::from_str(&self.out.next()).unwrap()
    }

    /// Events up to and with the first of this name.
    fn until(&self, name: &str) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            events.push(self.next());
            if events.last().is_some_and(|event| event["event"] == name) {
                return events;
            }
        }
    }

    fn ended(mut self) -> (Option<i32>, Vec<String>, TempDir) {
        let rest = self.err.rest();
        let code = self.child.wait().unwrap().code();
        (code, rest, self.folder)
    }
}

fn event<'e>(events: &'e [Value], name: &str) -> &'e Value {
    let found = events.iter().find(|event| event["event"] == name);
    found.unwrap_or_else(|| panic!("no event `{name}` in {events:#?}"))
}

/// Every process that an event names.
fn processes(events: &[Value]) -> Vec<Pid> {
    let pids = events.iter().filter_map(|event| event["pid"].as_i64());
    pids.map(|pid| Pid::from_raw(pid.try_into().unwrap()).unwrap()).collect()
}

fn nothing_is_left(processes: &[Pid], folder: &Path) {
    for pid in processes {
        assert!(test_kill_process(*pid).is_err(), "process {pid:?} is left");
    }
    let left: Vec<_> = fs::read_dir(folder).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_demo_keeps_every_promise_and_leaves_nothing() {
    let demo = Demo::start();
    let events = demo.until("swept");
    let (code, errors, folder) = demo.ended();
    assert_eq!((code, errors.as_slice()), (Some(0), &[][..]));
    assert_eq!(event(&events, "lease_ended")["attempt"], 2);
    assert_ne!(event(&events, "lease_ended")["worker"], event(&events, "worker_killed")["worker"]);
    assert_eq!(event(&events, "stale_refused")["code"], 6004);
    let (killed, kept) = (event(&events, "node_killed"), event(&events, "acked_kept"));
    assert_eq!((&kept["acked"], &kept["lost"]), (&killed["acked"], &0.into()));
    assert_eq!(event(&events, "sent_again")["jobs"], killed["on_their_way"]);
    assert_eq!(event(&events, "kv_conflict")["code"], 6009);
    assert!(event(&events, "object")["digest"].as_str().is_some_and(|d| d.starts_with("SHA-256=")));
    let summary = event(&events, "summary");
    assert_eq!((&summary["lost"], &summary["twice"], &summary["kills"]), (&0.into(), &0.into(), &2.into()));
    assert_eq!(summary["jobs"], event(&events, "each_once")["jobs"]);
    assert!(events.iter().all(|event| event["event"].is_string() && event["ms"].is_u64()));
    let processes = processes(&events);
    assert_eq!(processes.len(), 5, "a node, three workers, the node again");
    nothing_is_left(&processes, folder.path());
}

#[test]
fn a_demo_that_is_interrupted_takes_everything_with_it() {
    for (how, when) in [(Signal::INT, "took"), (Signal::TERM, "lease_ended"), (Signal::HUP, "node")] {
        let demo = Demo::start();
        let events = demo.until(when);
        signal(demo.child.id(), how);
        let (code, errors, folder) = demo.ended();
        assert_eq!(code, Some(130), "{how:?}: {errors:?}");
        assert!(errors.concat().contains("stopped before its end"), "{errors:?}");
        nothing_is_left(&processes(&events), folder.path());
    }
}
