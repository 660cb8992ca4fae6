//! `cargo xtask compare PEER`: a real server and ours, alternating in one run, on one core each in turn.
//!
//! Prints medians and ratios, and after a full run writes them to its part of `docs/benchmarks.md`.

mod contest;
mod disk;
mod durable_rows;
mod page;
mod reopen;
mod rows;
mod section;
mod table;
mod web_rows;

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fetch;
use crate::lab::{Cores, Lab, Peer, Place, Start, Who, resident_bytes};
use contest::{CONTESTS, Contest};
use disk::Disk;
use reopen::Size;
use rows::{Kind, Scenario};
use table::Rounds;

const HELP: &str =
    "cargo xtask compare nats|nats-js|redis|http [--rounds N] [--quick] [--only SCENARIO] [--profile PROFILE]

  nats                messages, beside nats-server
  nats-js             durable streams, beside nats-server's JetStream
  redis               durable streams, beside Redis Streams
  http                the HTTP door, beside bare programs that do nothing else
  --rounds N          rounds of every scenario, at least 5 for a table worth keeping (default 5)
  --quick             one short round: to see that everything runs
  --only SCENARIO     one scenario, or all whose name begins so; the page is not written
  --profile PROFILE   how neuroplex is built (default dist: thin LTO, one codegen unit)";

/// What was asked for.
#[derive(Debug, Clone)]
struct Plan {
    contest: &'static Contest,
    rounds: usize,
    quick: bool,
    only: Option<String>,
    profile: String,
}

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{HELP}");
        return Ok(());
    }
    let plan = Plan::parse(args)?;
    let Contest { scenarios, rows, binary, .. } = plan.contest;
    let theirs = binary(&plan.profile)?;
    let ours = fetch::neuroplex(&plan.profile)?;
    let lab = Lab::new(ours, theirs, fetch::target_dir().join("compare"), Cores::apart()?)?;
    let disk = Disk::measure(lab.home())?;
    println!("{}\n", page::versions(&lab, plan.contest, &disk)?);
    let mut measured = HashMap::new();
    for scenario in scenarios.iter().filter(|s| plan.wants(s)) {
        println!("{}: {}", scenario.name, page::command(&plan, scenario, &measured));
        let rounds = measure(&lab, &plan, scenario, &measured);
        for row in rows.iter().filter(|row| row.scenario == scenario.name) {
            println!("{}", page::plain(&table::line(row, &rounds)));
        }
        for text in table::failed(&rounds) {
            println!("    {text}");
        }
        if let Some(text) = table::disturbed(&rounds) {
            println!("    disturbed: {text}");
        }
        measured.insert(scenario.name, rounds);
    }
    if plan.only.is_some() || plan.quick {
        println!("\ndocs/benchmarks.md is left as it is: only a full run writes it");
    } else {
        page::write(&lab, &plan, &measured, &disk)?;
    }
    match measured.values().flat_map(|rounds| &rounds.failures).count() {
        0 => Ok(()),
        n => Err(format!("{n} runs failed; the lines above say why")),
    }
}

impl Plan {
    fn parse(args: &[String]) -> Result<Plan, String> {
        let (mut rounds, mut quick, mut only, mut profile) = (5, false, None, "dist".to_owned());
        let mut words = args.iter();
        let mut peer = None;
        while let Some(word) = words.next() {
            let mut value = || words.next().cloned().ok_or_else(|| format!("{word} needs a value\n\n{HELP}"));
            match word.as_str() {
                "--rounds" => {
                    rounds = value()?.parse().ok().filter(|n| *n > 0).ok_or("--rounds is at least 1")?;
                }
                "--quick" => quick = true,
                "--only" => only = Some(value()?),
                "--profile" => profile = value()?,
                name if !name.starts_with('-') && peer.is_none() => peer = Some(name.to_owned()),
                other => return Err(format!("unknown option `{other}`\n\n{HELP}")),
            }
        }
        let peer = peer.ok_or(HELP)?;
        let names = |of: Vec<&str>| of.join(", ");
        let contest = CONTESTS.iter().find(|contest| contest.name == peer).ok_or_else(|| {
            let known = names(CONTESTS.iter().map(|contest| contest.name).collect());
            format!("there is no peer `{peer}`; compare knows: {known}")
        })?;
        let plan = Plan { contest, rounds: if quick { 1 } else { rounds }, quick, only, profile };
        if contest.scenarios.iter().any(|scenario| plan.wants(scenario)) {
            return Ok(plan);
        }
        let known = names(contest.scenarios.iter().map(|scenario| scenario.name).collect());
        Err(format!("--only takes one of: {known}"))
    }

    /// The name of a half rate begins the name of the scenario in which the rate is measured, and brings it along.
    fn wants(&self, scenario: &Scenario) -> bool {
        self.only.as_ref().is_none_or(|only| scenario.name.starts_with(only.as_str()))
    }

    fn seconds(&self) -> u32 {
        if self.quick { 1 } else { 3 }
    }
}

/// All rounds of a scenario. Who begins changes from round to round.
fn measure(lab: &Lab, plan: &Plan, scenario: &Scenario, earlier: &HashMap<&str, Rounds>) -> Rounds {
    let mut rounds = Rounds::default();
    let args = match arguments(plan, scenario.kind, earlier) {
        Ok(args) => args,
        Err(why) => return Rounds { failures: vec![why], ..rounds },
    };
    for round in 0..plan.rounds {
        let order = if round % 2 == 0 { [Who::Ours, Who::Theirs] } else { [Who::Theirs, Who::Ours] };
        for who in order {
            if who == Who::Theirs && scenario.peer == Peer::Nobody {
                continue;
            }
            let report = match scenario.kind {
                Kind::Microbenchmark(example) if who == Who::Ours => microbenchmark(example, &plan.profile),
                Kind::Microbenchmark(_) => continue,
                Kind::Idle => idle(lab, who),
                Kind::Reopen => reopen::reopen(lab, who, scenario.peer, Size::of(plan.quick)),
                Kind::EmptyStreams => reopen::empty_streams(lab, who, scenario.peer, Size::of(plan.quick)),
                _ => loaded(lab, who, scenario, &args),
            };
            match (report, who) {
                (Ok(report), Who::Ours) => rounds.ours.push(report),
                (Ok(report), Who::Theirs) => rounds.theirs.push(report),
                (Err(why), _) => rounds.failures.push(format!("{who:?}: {why}")),
            }
        }
    }
    rounds
}

fn arguments(plan: &Plan, kind: Kind, earlier: &HashMap<&str, Rounds>) -> Result<String, String> {
    let seconds = plan.seconds();
    match kind {
        Kind::Load(args) | Kind::Web(args) => Ok(format!("{args} --duration {seconds}")),
        Kind::Whole(args) => Ok(args.into()),
        Kind::Idle | Kind::Microbenchmark(_) | Kind::Reopen | Kind::EmptyStreams => Ok(String::new()),
        Kind::HalfRate(of, args) => {
            let rate = half_rate(earlier.get(of)).ok_or_else(|| format!("no rate was measured by {of}"))?;
            Ok(format!("{args} --duration {seconds} --rate {rate}"))
        }
    }
}

/// Half of what the slower server reached, to the nearest hundred.
fn half_rate(rounds: Option<&Rounds>) -> Option<u64> {
    let reached = |reports: &[Value]| table::medium(reports, "/msgs_per_s");
    let rounds = rounds?;
    let slower = reached(&rounds.ours)?.min(reached(&rounds.theirs)?);
    Some(((slower / 200.0).round() as u64 * 100).max(100))
}

fn loaded(lab: &Lab, who: Who, scenario: &Scenario, args: &str) -> Result<Value, String> {
    let Scenario { place, peer, .. } = *scenario;
    let server = lab.start_as(&Start { who, peer, place, fresh: true })?;
    let url = if matches!(scenario.kind, Kind::Web(_)) { server.web_url()? } else { server.url() };
    let report = lab.load(&url, server.pid(), place, args);
    let report = report.map_err(|why| format!("{why} (its log: {})", lab.last_words(who)))?;
    server.stop()?;
    Ok(report)
}

/// A node a second after its start, when what starting needs has been given back.
fn idle(lab: &Lab, who: Who) -> Result<Value, String> {
    let server = lab.start(who, Place::Anywhere)?;
    std::thread::sleep(Duration::from_secs(1));
    let report = json!({
        "rss": resident_bytes(server.pid()),
        "ready_ms": server.ready_ms,
        "line_ms": server.line_ms,
    });
    server.stop()?;
    Ok(report)
}

/// An example of `fabric` prints lines of a name and a number.
fn microbenchmark(example: &str, profile: &str) -> Result<Value, String> {
    let printed = fetch::run(
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args([
                "run",
                "--quiet",
                "--locked",
                "--profile",
                profile,
                "--package",
                "fabric",
                "--example",
                example,
            ])
            .current_dir(fetch::root()),
        "make the example build first",
    )?;
    let figures = printed.lines().filter_map(|line| {
        let (name, figure) = line.split_once(' ')?;
        Some((name.to_owned(), json!(figure.trim().parse::<f64>().ok()?)))
    });
    Ok(Value::Object(figures.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str) -> Result<Plan, String> {
        Plan::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line_is_read_or_explained() {
        let full = plan("nats --rounds 7 --profile release").unwrap();
        assert_eq!((full.rounds, full.quick, full.profile.as_str()), (7, false, "release"));
        assert_eq!(plan("nats --quick").unwrap().rounds, 1);
        assert_eq!(plan("redis --only ack").unwrap().contest.name, "redis");
        for wrong in ["", "kafka", "nats --rounds 0", "nats --rounds", "nats --fast", "nats --only nothing"] {
            assert!(plan(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_half_rate_brings_its_measurement_along() {
        let plan = plan("nats --only request-1-pinned").unwrap();
        let names: Vec<_> = plan.contest.scenarios.iter().filter(|s| plan.wants(s)).map(|s| s.name).collect();
        assert_eq!(names, ["request-1-pinned-max", "request-1-pinned"]);
    }

    #[test]
    fn the_rate_is_half_of_the_slower_one() {
        let of = |rates: &[f64]| rates.iter().map(|r| json!({ "msgs_per_s": r })).collect();
        let rounds =
            Rounds { ours: of(&[9e4, 8e4, 7e4]), theirs: of(&[3e4, 2e4, 1e4]), failures: Vec::new() };
        assert_eq!(half_rate(Some(&rounds)), Some(10_000));
        assert_eq!(half_rate(Some(&Rounds::default())), None);
    }
}
