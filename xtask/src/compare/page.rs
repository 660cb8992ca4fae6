//! The outcome for people: a line on the terminal for each row, and `docs/benchmarks.md`, in which each contest has a
//! part of its own.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::Command;

use serde_json::Value;

use super::contest::{CONTESTS, Contest, said, version};
use super::disk::Disk;
use super::reopen::Size;
use super::rows::{Kind, Scenario, Unit};
use super::section;
use super::table::{self, Line, Rounds};
use super::{Plan, half_rate};
use crate::fetch;
use crate::lab::{Lab, Peer, Place};

const PAGE: &str = "docs/benchmarks.md";

/// What the weaker acknowledgement is on both sides.
const LEVELS: &str = "- *Given to the system*: our streams have `\"np.ack\": \"os\"` in their metadata, nats-server syncs every two minutes, as it does by default. Both survive kill -9 and neither a power cut.\n";

/// Runs whose maximum is measured against a server that does nothing.
const CEILINGS: &[(&str, &str)] =
    &[("pubsub", "16 1"), ("pubsub", "128 1"), ("fanout", "128 4"), ("fanout", "128 100")];

/// A row in one or two lines.
pub(crate) fn plain(line: &Line) -> String {
    let Line { title, ours, theirs, ratio, goal, verdict, notes } = line;
    let mut text = format!("{title:<66} {ours:>11} {theirs:>11}  {ratio:<21} {goal:<31} {verdict}");
    for note in notes {
        _ = write!(text, "\n    {note}");
    }
    text
}

/// What the load reaches when nothing holds it back: deliveries a second, and its own CPU for one.
pub(crate) struct Ceiling {
    run: String,
    delivered_per_s: f64,
    load_us: f64,
}

/// Runs the load against the sink, pinned as in every other run.
pub(crate) fn ceilings(lab: &Lab, profile: &str) -> Result<Vec<Ceiling>, String> {
    let sink = fetch::examples(profile, &["sink"])?.join("sink");
    let mut ceilings = Vec::new();
    for (mode, size_and_clients) in CEILINGS {
        let (size, clients) = size_and_clients.split_once(' ').unwrap_or_default();
        let mut command = Command::new(&sink);
        let (sink, url) = lab.start_other(command.args([mode, "bench", size, clients]))?;
        let args = format!("{mode} bench --size {size} --clients {clients} --duration 2");
        let report = lab.load(&url, sink.pid(), Place::Pinned, &args)?;
        let figure = |pointer| report.pointer(pointer).and_then(Value::as_f64).unwrap_or_default();
        let delivered_per_s = figure("/delivered_per_s");
        let ceiling = Ceiling { run: args, delivered_per_s, load_us: figure("/load/us_per_msg") };
        println!(
            "load alone: {:<50} {:>11}, {:.4} µs of the load's CPU each",
            ceiling.run,
            Unit::PerSecond.show(ceiling.delivered_per_s),
            ceiling.load_us
        );
        ceilings.push(ceiling);
    }
    Ok(ceilings)
}

/// Writes a contest's part of the page, and what stands at the head of the page if it is the first.
pub(super) fn write(
    lab: &Lab,
    plan: &Plan,
    measured: &HashMap<&str, Rounds>,
    disk: &Disk,
) -> Result<(), String> {
    let Contest { name, .. } = *plan.contest;
    let path = fetch::root().join(PAGE);
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let first = CONTESTS.first().is_some_and(|first| first.name == name);
    let page = match first {
        true => {
            let others: Vec<&str> = CONTESTS.iter().skip(1).map(|contest| contest.name).collect();
            let text = head(lab, plan)? + &body(plan, measured) + &load_alone(&ceilings(lab, &plan.profile)?);
            section::replaced_outside(&old, &others, &text)
        }
        false if name == "http" => {
            section::replaced(&old, name, &(web_head(lab, plan)? + &body(plan, measured)))
        }
        false => section::replaced(&old, name, &(durable_head(lab, plan, disk)? + &body(plan, measured))),
    };
    std::fs::write(&path, page).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("\nwrote {PAGE}");
    Ok(())
}

/// The table with its notes, who was the limit, and the commands.
fn body(plan: &Plan, measured: &HashMap<&str, Rounds>) -> String {
    let Contest { name, heading, theirs, scenarios, rows, .. } = *plan.contest;
    let first = CONTESTS.first().is_some_and(|first| first.name == name);
    let mut page = if first { format!("\n## {heading}\n") } else { String::new() };
    _ = write!(
        page,
        "\n| measured | ours | {theirs} | ratio (min–max) | to reach | |\n|---|---|---|---|---|---|\n"
    );
    let mut notes = String::new();
    for row in rows {
        let line = table::line(row, measured.get(row.scenario).unwrap_or(&Rounds::default()));
        let Line { title, ours, theirs, ratio, goal, verdict, .. } = &line;
        _ = writeln!(page, "| {title} | {ours} | {theirs} | {ratio} | {goal} | {verdict} |");
        for note in &line.notes {
            _ = writeln!(notes, "- {title}: {note}");
        }
    }
    for scenario in scenarios {
        for text in measured.get(scenario.name).map(table::failed).unwrap_or_default() {
            _ = writeln!(notes, "- {}: {text}", scenario.name);
        }
        if let Some(text) = measured.get(scenario.name).and_then(table::disturbed) {
            _ = writeln!(notes, "- disturbed, {}: {text}", scenario.name);
        }
    }
    if !notes.is_empty() {
        page += "\n";
        page += &notes;
    }
    let level = if first { "##" } else { "###" };
    page + &busy(plan, measured, level) + &commands(plan, measured, level)
}

fn load_alone(ceilings: &[Ceiling]) -> String {
    let mut page = "\n## The load alone\n\nAgainst a sink that counts bytes and writes prebuilt deliveries (`cargo run --profile dist -p bench --example sink`):\n\n| run | delivered/s | the load's CPU each |\n|---|---|---|\n".to_owned();
    for Ceiling { run, delivered_per_s, load_us } in ceilings {
        _ = writeln!(page, "| `{run}` | {} | {load_us:.4} µs |", Unit::PerSecond.show(*delivered_per_s));
    }
    page
}

/// Who is compared, on what disk.
pub(super) fn versions(lab: &Lab, contest: &Contest, disk: &Disk) -> Result<String, String> {
    let (ours, theirs) = (version(lab.ours())?, (contest.said)(lab.theirs())?);
    Ok(format!("ours: {ours}\ntheirs: {theirs}\n{}", disk.line()))
}

/// The machine in words.
fn machine() -> Result<String, String> {
    let kernel = said("uname".as_ref(), "-sr")?;
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |m| m.1);
    let cores = info.lines().filter(|l| l.starts_with("processor")).count();
    Ok(format!("{model}, {cores} cores, {kernel}"))
}

fn profile_option(plan: &Plan) -> String {
    if plan.profile == "dist" { String::new() } else { format!(" --profile {}", plan.profile) }
}

/// What a part about durable streams begins with.
fn durable_head(lab: &Lab, plan: &Plan, disk: &Disk) -> Result<String, String> {
    let Contest { name, heading, .. } = *plan.contest;
    Ok(format!(
        "## {heading}

Written by `cargo xtask compare {name} --rounds {rounds}{profile}` on {date}; do not edit.

- Ours: {ours}, cargo profile `{cargo}`, as `neuroplex up` starts it; an acknowledgement means *on disk*, unless the row says otherwise.
- Theirs: {theirs}; started as the commands below say.
- Machine: {machine}. {disk}. How often that goes in a second limits a server that syncs every publish by itself.
- A fresh server with an empty data folder for every run, alternating, who begins changing each round; {rounds} rounds of {seconds} s. Figures are medians, ratios are ours by theirs, and their spread is that of the rounds.
- The server has one core, the load another; starts and memory are measured with nothing pinned. Ratios of throughput are what a user gets, whether CPU or disk was the limit; the server's CPU stands beside.
- The load is one thread with raw sockets. Every acknowledgement must carry a sequence that no other has, and what is stored is counted afterwards; every reader must get every sequence once, with the payload that was published there; anything else fails the run.
{levels}",
        rounds = plan.rounds,
        profile = profile_option(plan),
        date = said("date".as_ref(), "+%Y-%m-%d")?,
        ours = version(lab.ours())?,
        cargo = plan.profile,
        theirs = version(lab.theirs())?,
        machine = machine()?,
        disk = disk.line(),
        seconds = plan.seconds(),
        levels = if name == "nats-js" { LEVELS } else { "" },
    ))
}

/// What the part about the HTTP door begins with.
fn web_head(lab: &Lab, plan: &Plan) -> Result<String, String> {
    let Contest { name, heading, said: theirs, .. } = *plan.contest;
    Ok(format!(
        "## {heading}

Written by `cargo xtask compare {name} --rounds {rounds}{profile}` on {date}; do not edit.

- Ours: {ours}, cargo profile `{cargo}`, as `neuroplex up` starts it. Nobody hears what is posted; events and frames are published over WebSocket.
- Theirs: {theirs}; the same cargo profile. `http_accept` is a handler that only answers 202; `web_fanout` reads what is published and writes ready bytes.
- Machine: {machine}.
- A fresh server for every run, alternating, who begins changing each round; {rounds} rounds of {seconds} s. Figures are medians, ratios are ours by theirs, and their spread is that of the rounds.
- Pinned: the server has one core, the load another; the last rows are measured with nothing pinned. A throughput counts where both servers' core was idle for at most 5 % of the time; where one was not, the row is judged by the server's CPU a delivery (a request), and says so.
- The load is one thread with raw sockets. Every request must have its own answer, a 202; every byte that a subscriber gets is compared with what was sent; anything else fails the run. The publisher is at most 64 KiB ahead of the slowest of the 1000 subscribers.
",
        rounds = plan.rounds,
        profile = profile_option(plan),
        date = said("date".as_ref(), "+%Y-%m-%d")?,
        ours = version(lab.ours())?,
        cargo = plan.profile,
        theirs = theirs(lab.theirs())?,
        machine = machine()?,
        seconds = plan.seconds(),
    ))
}

fn head(lab: &Lab, plan: &Plan) -> Result<String, String> {
    let (ours, theirs) = (version(lab.ours())?, version(lab.theirs())?);
    let date = said("date".as_ref(), "+%Y-%m-%d")?;
    let machine = machine()?;
    Ok(format!(
        "# Benchmarks

Written by `cargo xtask compare nats --rounds {rounds}{profile}` on {date}; do not edit.

- Ours: {ours}, cargo profile `{name}`, HTTP door open, as `neuroplex up` starts it.
- Theirs: {theirs}, default configuration.
- Machine: {machine}.
- A fresh server for every run, alternating, who begins changing each round; {rounds} rounds of {seconds} s. Figures are medians, ratios are ours by theirs, and their spread is that of the rounds.
- Pinned: the server has one core, the load another. A throughput counts where both servers' core was idle for at most 5 % of the time; where one was not, the row is judged by the server's CPU a delivery, and says so.
- The load is one thread that writes prebuilt blocks and compares every byte received with what was sent; a message lost, doubled or damaged fails the run. Publishers are at most 4 MiB ahead of the slowest subscriber, the same for both servers.
- Fixed rate: half of the closed-loop maximum of the slower server. Requests leave on schedule whether answers came or not, and latency counts from the scheduled moment, so that a pause of the server is charged to every request it delayed. Measured twice: with nothing pinned and clients that sleep until an answer comes, as users run both; and pinned, the load spinning while it waits, so that its own wake-up is no part of a latency.
",
        rounds = plan.rounds,
        profile = profile_option(plan),
        name = plan.profile,
        seconds = plan.seconds(),
    ))
}

/// How busy server and load were in the throughput runs.
fn busy(plan: &Plan, measured: &HashMap<&str, Rounds>, level: &str) -> String {
    let mut text = format!(
        "\n{level} Who was the limit\n\nMedians: CPU time by wall time, and the cores that other programs used meanwhile. A run in which they used more than 0.05 is called disturbed above.\n\n| run | our server | load | others | {} | load | others |\n|---|---|---|---|---|---|---|\n",
        plan.contest.theirs
    );
    let loads =
        |scenario: &&Scenario| matches!(scenario.kind, Kind::Load(_) | Kind::Web(_) | Kind::HalfRate(..));
    for scenario in plan.contest.scenarios.iter().filter(loads) {
        let Some(Rounds { ours, theirs, .. }) = measured.get(scenario.name) else { continue };
        let side = |reports: &[Value]| {
            let figure = |pointer| table::medium(reports, pointer);
            let percent = |x: Option<f64>| x.map_or("–".into(), |x| format!("{:.0} %", x * 100.0));
            let spins = reports.iter().any(|r| r.pointer("/load/spinning") == Some(&Value::Bool(true)));
            let load = if spins { "spins".into() } else { percent(figure("/load/busy")) };
            let others = figure("/machine/others").map_or("–".into(), |x| format!("{x:.2}"));
            format!("{} | {load} | {others}", percent(figure("/cost/busy")))
        };
        _ = writeln!(text, "| {} | {} | {} |", scenario.name, side(ours), side(theirs));
    }
    text
}

/// The command of every run, to repeat it by hand.
fn commands(plan: &Plan, measured: &HashMap<&str, Rounds>, level: &str) -> String {
    let mut text = format!("\n{level} Commands\n\n");
    for scenario in plan.contest.scenarios.iter().filter(|s| !matches!(s.kind, Kind::Idle)) {
        _ = writeln!(text, "- {}: {}", scenario.name, command(plan, scenario, measured));
    }
    text + "\nEach `neuroplex bench` ran with `--json --server URL --server-pid PID`; pinned runs as under `taskset -c 1`, the server as under `taskset -c 0`.\n"
}

/// What one run is, as a person repeats it.
pub(super) fn command(plan: &Plan, scenario: &Scenario, measured: &HashMap<&str, Rounds>) -> String {
    let run = match scenario.kind {
        Kind::Load(args) | Kind::Web(args) => {
            format!("`neuroplex bench {args} --duration {}`", plan.seconds())
        }
        Kind::Whole(args) => format!("`neuroplex bench {args}`"),
        Kind::HalfRate(of, args) => {
            let rate = half_rate(measured.get(of)).map_or("?".into(), |rate| rate.to_string());
            format!("`neuroplex bench {args} --duration {} --rate {rate}`", plan.seconds())
        }
        Kind::Idle => "a node a second after its start".into(),
        Kind::Microbenchmark(example) => {
            format!("`cargo run --profile {} -p fabric --example {example}`", plan.profile)
        }
        Kind::Reopen => Size::of(plan.quick).reopen_in_words(),
        Kind::EmptyStreams => Size::of(plan.quick).empty_in_words(),
    };
    match scenario.peer {
        Peer::Nats | Peer::Nobody => run,
        peer => format!("{run}, beside {}", peer.command()),
    }
}
