//! `cargo xtask soak`: our server for a long time under mixed load and bad clients.
//!
//! It fails if a message to a healthy client was lost, doubled or damaged, if memory goes above its ceiling or keeps
//! growing, or if the server dies. It measures no speed.

mod memory;
mod nuisance;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fetch;
use crate::lab::{Cores, Lab, Place, Server, Who};
use memory::Memory;
use nuisance::Nuisance;

const HELP: &str = "cargo xtask soak [--minutes N]

  --minutes N    how long (default 10)";

/// What healthy clients do, phase by phase; in a phase at the same time, each a process of `neuroplex bench` that counts
/// every message. The fan-out, which a stalled reader shares, has a phase with little else: it must be fast enough
/// that the reader is cut.
const PHASES: &[&[&str]] = &[
    &[
        "pubsub soak.one --size 128 --duration 5",
        "pubsub soak.many --size 64 --subjects 10000 --headers --duration 5",
        "fanout soak.few --size 256 --clients 4 --duration 5",
        "request soak.ask --size 32 --clients 20 --rate 2000 --duration 5 --no-spin",
    ],
    &[
        "fanout soak.fan --size 1024 --clients 4 --duration 4",
        "request soak.ask --size 32 --clients 20 --rate 2000 --duration 4 --no-spin",
    ],
    &["connections soak.crowd --clients 2000 --duration 1"],
];
/// How long a server rests before its settled memory is read.
const REST: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let minutes = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => 10.0,
        ["--minutes", n] => {
            n.parse::<f64>().ok().filter(|n| *n > 0.0).ok_or("--minutes is a number above 0")?
        }
        ["--help" | "-h"] => {
            println!("{HELP}");
            return Ok(());
        }
        _ => return Err(HELP.into()),
    };
    let home = fetch::target_dir().join("soak");
    let lab = Lab::new(fetch::neuroplex("release")?, "".into(), home, Cores::shared()?)?;
    let mut server = lab.start(Who::Ours, Place::Anywhere)?;
    let soaked = soak(&lab, &mut server, Duration::from_secs_f64(minutes * 60.0));
    let soaked = soaked.map_err(|why| format!("{why}; its log: {}", lab.last_words(Who::Ours)))?;
    println!("{}", soaked.line(minutes));
    server.stop()
}

/// What was done.
#[derive(Debug, Default)]
struct Soaked {
    rounds: u32,
    delivered: u64,
    requests: u64,
    nuisance: nuisance::Counts,
    memory: Memory,
}

fn soak(lab: &Lab, server: &mut Server, time: Duration) -> Result<Soaked, String> {
    let end = Instant::now() + time;
    let mut soaked = Soaked::default();
    while soaked.rounds == 0 || Instant::now() < end {
        round(lab, server, &mut soaked).map_err(|why| match server.lives() {
            true => format!("round {}: {why}", soaked.rounds + 1),
            false => format!("round {}: the server died: {why}", soaked.rounds + 1),
        })?;
        soaked.rounds += 1;
        soaked.memory.settled()?;
        let Soaked { rounds, memory, .. } = &soaked;
        println!("round {rounds}: {memory}");
    }
    Ok(soaked)
}

/// Everything once: healthy loads among bad clients, then silence.
fn round(lab: &Lab, server: &Server, soaked: &mut Soaked) -> Result<(), String> {
    let over = AtomicBool::new(false);
    let Soaked { memory, delivered, requests, nuisance, .. } = soaked;
    let (watched, annoyed, loaded) = thread::scope(|scope| {
        let watch = scope.spawn(|| memory.watch(server.pid(), &over));
        let (port, over) = (server.port(), &over);
        let annoy = nuisance::ALL.map(|kind| scope.spawn(move || Nuisance::new(port, over).run(kind)));
        let loaded = healthy(lab, server, delivered, requests);
        over.store(true, Ordering::Relaxed);
        let died = || "a thread of the soak died".to_owned();
        let annoyed = annoy.map(|thread| thread.join().unwrap_or_else(|_| Err(died())));
        (watch.join().unwrap_or_else(|_| Err(died())), annoyed, loaded)
    });
    loaded?;
    watched?;
    for counts in annoyed {
        nuisance.add(&counts?);
    }
    thread::sleep(REST);
    memory.sample(server.pid())
}

fn healthy(lab: &Lab, server: &Server, delivered: &mut u64, requests: &mut u64) -> Result<(), String> {
    let (url, pid) = (server.url(), server.pid());
    let whole = |report: &Value, pointer| report.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    for phase in PHASES {
        let start = |args: &&'static str| Ok((*args, lab.start_load(&url, pid, Place::Anywhere, args)?));
        let loads: Vec<_> = phase.iter().map(start).collect::<Result<_, String>>()?;
        for (args, mut load) in loads {
            let report = load.report().map_err(|why| format!("`bench {args}`: {why}"))?;
            let count = if args.starts_with("request") { &mut *requests } else { &mut *delivered };
            *count += whole(&report, "/delivered");
            let (held, asked) = (whole(&report, "/connections/held"), whole(&report, "/connections/asked"));
            if held != asked {
                return Err(format!("of {asked} idle connections {held} were held"));
            }
        }
    }
    Ok(())
}

impl Soaked {
    fn line(&self, minutes: f64) -> String {
        let Soaked { rounds, delivered, requests, nuisance, memory } = self;
        format!(
            "soak passed: {minutes} min, {rounds} rounds, {delivered} messages and {requests} answers to healthy clients, none lost; {nuisance}; {memory}"
        )
    }
}
