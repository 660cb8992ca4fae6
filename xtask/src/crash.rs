//! `cargo xtask crash`: the real program under load, killed with SIGKILL at random moments, started again, and held to
//! everything that it acknowledged.
//!
//! What it checks is what clients were promised (`crash/oracle.rs`), so it takes the real nats-server as well. It is not
//! a simulation: the moments of a run cannot be repeated, only its choices.

mod consumer;
mod inspect;
mod message;
mod oracle;
mod plan;
mod publisher;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bench::{BenchError, Caller, Rng};
use serde_json::{Value, json};

use crate::fetch;
use crate::lab::{Cores, Lab, Peer, Place, Server, Start, Who};
use consumer::Consumer;
use oracle::{Kind, Oracle};
use publisher::Publisher;

const HELP: &str =
    "cargo xtask crash [--kills N] [--seed S] [--quick] [--json] [--server ours|nats] [--profile PROFILE]

  --kills N           how often the server is killed (default 200)
  --seed S            of everything that is drawn (default: from the clock)
  --quick             10 kills
  --json              statistics as one JSON object
  --server WHICH      ours, or nats: the real nats-server with `sync_interval: always` (default ours)
  --profile PROFILE   how neuroplex is built (default release)";

/// The server is killed so long after it is ready, in milliseconds.
const KILL_AFTER_MS: std::ops::Range<u64> = 50..800;

/// What nats-server does not promise: it confirms an acknowledgement, and writes the consumer's state up to a tenth of a
/// second later. Counted, and no failure there.
const NATS_FORGIVEN: &[Kind] = &[Kind::Redelivered];

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    kills: u64,
    seed: u64,
    json: bool,
    who: Who,
    profile: String,
}

/// A server between its start and its end, as its clients see it.
struct Scene<'a> {
    url: &'a str,
    oracle: &'a Mutex<Oracle>,
    killed: AtomicBool,
    ending: AtomicBool,
    over: AtomicBool,
}

impl Scene<'_> {
    fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether errors are what is to be expected.
    fn killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// Whether nothing new is to be published, and everything acknowledged.
    fn ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// Whether consumers may leave.
    fn over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{HELP}");
        return Ok(());
    }
    let plan = Plan::parse(args)?;
    let (ours, theirs) = match plan.who {
        Who::Ours => (fetch::neuroplex(&plan.profile)?, "".into()),
        Who::Theirs => ("".into(), fetch::nats_server()?),
    };
    let lab = Lab::new(ours, theirs, fetch::target_dir().join("crash"), Cores::shared()?)?;
    eprintln!("seed {}", plan.seed);
    let mut run = Run::new(&plan);
    let outcome = run.whole(&lab);
    let oracle = run.oracle.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{}", statistics(&plan, &run.starts, &oracle));
    for text in oracle.told() {
        eprintln!("{text}");
    }
    let where_it_is = format!("seed {}; its data and log: {}", plan.seed, lab.home().display());
    outcome.map_err(|why| format!("{why}; {where_it_is}; {}", lab.last_words(plan.who)))?;
    match plan.broken(&oracle) {
        0 => Ok(()),
        _ => Err(format!("promises were broken: {:?}; {where_it_is}", oracle.violations())),
    }
}

impl Plan {
    /// Violations of what this server promises.
    fn broken(&self, oracle: &Oracle) -> u64 {
        let forgiven = if self.who == Who::Theirs { NATS_FORGIVEN } else { &[] };
        oracle.violations().iter().filter(|(kind, _)| !forgiven.contains(kind)).map(|(_, count)| count).sum()
    }

    fn parse(args: &[String]) -> Result<Plan, String> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
        let (kills, who) = (200, Who::Ours);
        let mut plan = Plan { kills, seed: clock, json: false, who, profile: "release".into() };
        let mut words = args.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().cloned().ok_or_else(|| format!("{word} needs a value\n\n{HELP}"));
            match word.as_str() {
                "--kills" => plan.kills = value()?.parse().map_err(|_| "--kills is a number")?,
                "--seed" => plan.seed = value()?.parse().map_err(|_| "--seed is a number")?,
                "--quick" => plan.kills = 10,
                "--json" => plan.json = true,
                "--profile" => plan.profile = value()?,
                "--server" => {
                    plan.who = match value()?.as_str() {
                        "ours" => Who::Ours,
                        "nats" => Who::Theirs,
                        other => return Err(format!("--server is ours or nats, not `{other}`")),
                    }
                }
                other => return Err(format!("unknown option `{other}`\n\n{HELP}")),
            }
        }
        Ok(plan)
    }
}

/// The clients over all starts of the server.
struct Run<'a> {
    plan: &'a Plan,
    oracle: Mutex<Oracle>,
    publishers: Vec<Publisher>,
    consumers: Vec<Consumer>,
    rng: Rng,
    /// How long each start after a kill took until a PING was answered, in milliseconds.
    starts: Vec<f64>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan) -> Self {
        let seed = plan.seed;
        let publishers = plan::PUBLISHERS.iter().enumerate();
        let consumers = plan::CONSUMERS.iter().enumerate();
        Self {
            plan,
            oracle: Mutex::new(plan::oracle()),
            publishers: publishers.map(|(nth, plan)| Publisher::new(plan, nth, seed)).collect(),
            consumers: consumers.map(|(nth, plan)| Consumer::new(plan, nth, seed)).collect(),
            rng: Rng::new(seed),
            starts: Vec::new(),
        }
    }

    /// Every kill, and one more start in which everything is brought to its end and looked at.
    fn whole(&mut self, lab: &Lab) -> Result<(), String> {
        for nth in 0..self.plan.kills {
            let (server, mut caller) = self.start(lab, nth == 0)?;
            let after = KILL_AFTER_MS.start + self.rng.below(KILL_AFTER_MS.end - KILL_AFTER_MS.start);
            self.until_killed(server, &mut caller, Duration::from_millis(after))?;
            if !self.plan.json && nth % 10 == 9 {
                eprintln!("{} kills, {:?}", nth + 1, self.lock().counts());
            }
            if self.plan.broken(&self.lock()) > 0 {
                break;
            }
        }
        let (server, mut caller) = self.start(lab, self.plan.kills == 0)?;
        self.finish(&server, &mut caller)?;
        inspect::at_end(&mut caller, &mut self.lock()).map_err(told)?;
        server.stop()
    }

    fn lock(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the server on what it left, and looks at what was promised last; the first time makes streams and
    /// consumers.
    fn start(&mut self, lab: &Lab, fresh: bool) -> Result<(Server, Caller), String> {
        let peer = Peer::JetStream { always: true };
        let server = lab.start_as(&Start { who: self.plan.who, peer, place: Place::Anywhere, fresh })?;
        let mut caller = Caller::connect(&server.url()).map_err(told)?;
        match fresh {
            true => {
                for (verb, request) in plan::requests() {
                    caller.api(&verb, &request).map_err(told)?;
                }
                for stream in plan::STREAMS {
                    self.lock().stream_is(stream.name, true);
                }
            }
            false => {
                inspect::after_start(&mut caller, &mut self.lock()).map_err(told)?;
                self.starts.push(server.ready_ms);
            }
        }
        Ok((server, caller))
    }

    /// Everybody at work until SIGKILL, which comes at once when the last streams were made and removed.
    fn until_killed(&mut self, server: Server, caller: &mut Caller, after: Duration) -> Result<(), String> {
        let url = server.url();
        let scene = scene(&url, &self.oracle);
        let (nth, made) = (self.starts.len(), &self.oracle);
        thread::scope(|threads| {
            let scene = &scene;
            self.publishers.iter_mut().for_each(|p| drop(threads.spawn(|| p.run(scene))));
            self.consumers.iter_mut().for_each(|c| drop(threads.spawn(|| c.run(scene))));
            thread::sleep(after);
            if let Err(why) = turn_over(made, caller, nth) {
                scene.oracle().refused(|| why.to_string());
            }
            scene.killed.store(true, Ordering::SeqCst);
            let killed = server.kill();
            scene.over.store(true, Ordering::SeqCst);
            killed
        })
    }

    /// Everything that is open is published again, and consumed to the last message.
    fn finish(&mut self, server: &Server, caller: &mut Caller) -> Result<(), String> {
        let url = server.url();
        let scene = scene(&url, &self.oracle);
        thread::scope(|threads| {
            let scene = &scene;
            self.consumers.iter_mut().for_each(|c| drop(threads.spawn(|| c.run(scene))));
            scene.ending.store(true, Ordering::SeqCst);
            let publishing: Vec<_> =
                self.publishers.iter_mut().map(|p| threads.spawn(|| p.run(scene))).collect();
            let ended = publishing.into_iter().all(|thread| thread.join().is_ok());
            let drained = inspect::drained(caller);
            scene.over.store(true, Ordering::SeqCst);
            drained.map_err(told)?;
            if ended { Ok(()) } else { Err("a thread of the chore died".into()) }
        })
    }
}

/// Makes stream number `nth` and removes the one before.
fn turn_over(oracle: &Mutex<Oracle>, caller: &mut Caller, nth: usize) -> Result<(), BenchError> {
    let oracle = || oracle.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("TURN_{nth}");
    oracle().asks_for_stream(&name);
    let config = json!({"name": name, "subjects": [format!("crash.turn.{nth}")], "storage": "file"});
    caller.api(&format!("STREAM.CREATE.{name}"), &config)?;
    oracle().stream_is(&name, true);
    if let Some(before) = nth.checked_sub(1) {
        let name = format!("TURN_{before}");
        oracle().asks_for_stream(&name);
        caller.api(&format!("STREAM.DELETE.{name}"), &Value::Null)?;
        oracle().stream_is(&name, false);
    }
    Ok(())
}

fn scene<'a>(url: &'a str, oracle: &'a Mutex<Oracle>) -> Scene<'a> {
    let (killed, ending, over) = Default::default();
    Scene { url, oracle, killed, ending, over }
}

fn told(why: BenchError) -> String {
    why.to_string()
}

/// What was done, for a program or for a person.
fn statistics(plan: &Plan, starts: &[f64], oracle: &Oracle) -> String {
    let counts = oracle.counts();
    let longest = starts.iter().copied().fold(0.0, f64::max);
    let violations = plan.broken(oracle);
    if plan.json {
        let mut all = json!({
            "server": if plan.who == Who::Ours { "neuroplex" } else { "nats-server" },
            "seed": plan.seed,
            "kills": starts.len(),
            "start_max_ms": longest,
            "violations": violations,
            "by_kind": oracle.violations(),
        });
        if let (Value::Object(all), Ok(Value::Object(counts))) = (&mut all, serde_json::to_value(counts)) {
            all.extend(counts);
        }
        return all.to_string();
    }
    let oracle::Counts { published, acknowledged, retried, recognised, delivered, redelivered, confirmed } =
        counts;
    format!(
        "{} kills: {published} publishes, {acknowledged} acknowledged, {retried} sent again, {recognised} of them recognised; {delivered} deliveries, {redelivered} again, {confirmed} acknowledgements confirmed; longest start {longest:.0} ms; {violations} violations {:?}",
        starts.len(),
        oracle.violations()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_read_or_explained() {
        let plan = |line: &str| Plan::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let read = plan("--kills 7 --seed 3 --json --server nats").unwrap();
        assert_eq!((read.kills, read.seed, read.json, read.who), (7, 3, true, Who::Theirs));
        assert_eq!((plan("").unwrap().kills, plan("--quick").unwrap().kills), (200, 10));
        for wrong in ["--kills", "--kills x", "--server redis", "more"] {
            assert!(plan(wrong).is_err(), "{wrong}");
        }
    }
}
