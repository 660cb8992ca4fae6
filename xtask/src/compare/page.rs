//! The outcome for people: a line on the terminal for each row, and `docs/benchmarks.md`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::Command;

use serde_json::Value;

use super::rows::{Kind, ROWS, SCENARIOS, Unit};
use super::table::{self, Line, Rounds};
use super::{Plan, half_rate};
use crate::fetch;
use crate::lab::{Lab, Place};

const PAGE: &str = "docs/benchmarks.md";

/// Runs whose maximum is measured against a server that does nothing.
const CEILINGS: &[(&str, &str)] =
    &[("pubsub", "16 1"), ("pubsub", "128 1"), ("fanout", "128 4"), ("fanout", "128 100")];

/// A row in one or two lines.
pub(crate) fn plain(line: &Line) -> String {
    let Line { title, ours, theirs, ratio, goal, verdict, notes } = line;
    let mut text = format!("{title:<50} {ours:>11} {theirs:>11}  {ratio:<21} {goal:<27} {verdict}");
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
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    fetch::run(
        Command::new(cargo)
            .args([
                "build",
                "--quiet",
                "--locked",
                "--profile",
                profile,
                "--package",
                "bench",
                "--example",
                "sink",
            ])
            .current_dir(fetch::root()),
        "make the example build first",
    )?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let sink = fetch::target_dir().join(folder).join("examples/sink");
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

/// Writes the page.
pub(super) fn write(
    lab: &Lab,
    plan: &Plan,
    measured: &HashMap<&str, Rounds>,
    ceilings: &[Ceiling],
) -> Result<(), String> {
    let mut page = head(lab, plan)?;
    page += "\n## The table\n\n| measured | ours | nats-server | ratio (min–max) | to reach | |\n|---|---|---|---|---|---|\n";
    let mut notes = String::new();
    for row in ROWS {
        let line = table::line(row, measured.get(row.scenario).unwrap_or(&Rounds::default()));
        let Line { title, ours, theirs, ratio, goal, verdict, .. } = &line;
        _ = writeln!(page, "| {title} | {ours} | {theirs} | {ratio} | {goal} | {verdict} |");
        for note in &line.notes {
            _ = writeln!(notes, "- {title}: {note}");
        }
    }
    for scenario in SCENARIOS {
        if let Some(text) = measured.get(scenario.name).and_then(table::disturbed) {
            _ = writeln!(notes, "- disturbed, {}: {text}", scenario.name);
        }
    }
    if !notes.is_empty() {
        page += "\n";
        page += &notes;
    }
    page += &busy(measured);
    page += &commands(plan, measured);
    page += "\n## The load alone\n\nAgainst a sink that counts bytes and writes prebuilt deliveries (`cargo run --profile dist -p bench --example sink`):\n\n| run | delivered/s | the load's CPU each |\n|---|---|---|\n";
    for Ceiling { run, delivered_per_s, load_us } in ceilings {
        _ = writeln!(page, "| `{run}` | {} | {load_us:.4} µs |", Unit::PerSecond.show(*delivered_per_s));
    }
    let path = fetch::root().join(PAGE);
    std::fs::write(&path, page).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("\nwrote {PAGE}");
    Ok(())
}

fn head(lab: &Lab, plan: &Plan) -> Result<String, String> {
    let said = |program: &std::path::Path, arg: &str| {
        fetch::run(Command::new(program).arg(arg), "does it start?").map(|s| s.trim().to_owned())
    };
    let (ours, theirs) = (said(lab.ours(), "--version")?, said(lab.theirs(), "--version")?);
    let date = said("date".as_ref(), "+%Y-%m-%d")?;
    let kernel = said("uname".as_ref(), "-sr")?;
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |m| m.1);
    let cores = info.lines().filter(|l| l.starts_with("processor")).count();
    Ok(format!(
        "# Benchmarks

Written by `cargo xtask compare nats --rounds {rounds}{profile}` on {date}; do not edit.

- Ours: {ours}, cargo profile `{name}`, HTTP door open, as `neuroplex up` starts it.
- Theirs: {theirs}, default configuration.
- Machine: {model}, {cores} cores, {kernel}.
- A fresh server for every run, alternating, who begins changing each round; {rounds} rounds of {seconds} s. Figures are medians, ratios are ours by theirs, and their spread is that of the rounds.
- Pinned: the server has one core, the load another. A throughput counts where both servers' core was idle for at most 5 % of the time; where one was not, the row is judged by the server's CPU a delivery, and says so.
- The load is one thread that writes prebuilt blocks and compares every byte received with what was sent; a message lost, doubled or damaged fails the run. Publishers are at most 4 MiB ahead of the slowest subscriber, the same for both servers.
- Fixed rate: half of the closed-loop maximum of the slower server. Requests leave on schedule whether answers came or not, and latency counts from the scheduled moment, so that a pause of the server is charged to every request it delayed. Measured twice: with nothing pinned and clients that sleep until an answer comes, as users run both; and pinned, the load spinning while it waits, so that its own wake-up is no part of a latency.
",
        rounds = plan.rounds,
        profile = if plan.profile == "dist" { String::new() } else { format!(" --profile {}", plan.profile) },
        name = plan.profile,
        seconds = plan.seconds(),
    ))
}

/// How busy server and load were in the throughput runs.
fn busy(measured: &HashMap<&str, Rounds>) -> String {
    let mut text = "\n## Who was the limit\n\nMedians: CPU time by wall time, and the cores that other programs used meanwhile. A run in which they used more than 0.05 is called disturbed above.\n\n| run | our server | load | others | nats-server | load | others |\n|---|---|---|---|---|---|---|\n".to_owned();
    for scenario in
        SCENARIOS.iter().filter(|s| !matches!(s.kind, Kind::Idle | Kind::Microbenchmark(_) | Kind::Whole(_)))
    {
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
fn commands(plan: &Plan, measured: &HashMap<&str, Rounds>) -> String {
    let mut text = "\n## Commands\n\n".to_owned();
    for scenario in SCENARIOS {
        let args = match scenario.kind {
            Kind::Load(args) => format!("neuroplex bench {args} --duration {}", plan.seconds()),
            Kind::Whole(args) => format!("neuroplex bench {args}"),
            Kind::HalfRate(of, args) => {
                let rate = half_rate(measured.get(of)).map_or("?".into(), |rate| rate.to_string());
                format!("neuroplex bench {args} --duration {} --rate {rate}", plan.seconds())
            }
            Kind::Idle => continue,
            Kind::Microbenchmark(example) => {
                format!("cargo run --profile {} -p fabric --example {example}", plan.profile)
            }
        };
        _ = writeln!(text, "- {}: `{args}`", scenario.name);
    }
    text + "\nEach `neuroplex bench` ran with `--json --server URL --server-pid PID`; pinned runs as under `taskset -c 1`, the server as under `taskset -c 0`.\n"
}
