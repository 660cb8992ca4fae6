//! With whom we are compared, and in what: one entry for each `cargo xtask compare PEER`. The rows are in `rows.rs`
//! (messages), `durable_rows.rs` (streams) and `web_rows.rs` (the HTTP door).

use std::path::{Path, PathBuf};
use std::process::Command;

use super::rows::{ROWS, Row, SCENARIOS, Scenario};
use super::{durable_rows, web_rows};
use crate::fetch;

/// A peer and what is measured beside it.
#[derive(Debug)]
pub(crate) struct Contest {
    /// What is typed, and the name of its part of the page.
    pub(crate) name: &'static str,
    /// The heading of its part of the page; the first contest is the page itself.
    pub(crate) heading: &'static str,
    /// The other server, as columns call it.
    pub(crate) theirs: &'static str,
    pub(crate) scenarios: &'static [Scenario],
    pub(crate) rows: &'static [Row],
    /// Finds the other server, or the folder of the bare programs, built with this cargo profile.
    pub(crate) binary: fn(&str) -> Result<PathBuf, String>,
    /// What it says of itself.
    pub(crate) said: fn(&Path) -> Result<String, String>,
}

pub(crate) const CONTESTS: &[Contest] = &[
    Contest {
        name: "nats",
        heading: "The table",
        theirs: "nats-server",
        scenarios: SCENARIOS,
        rows: ROWS,
        binary: |_| fetch::nats_server(),
        said: version,
    },
    Contest {
        name: "nats-js",
        heading: "Durable streams, beside nats-server's JetStream",
        theirs: "nats-server",
        scenarios: durable_rows::NATS_SCENARIOS,
        rows: durable_rows::NATS_ROWS,
        binary: |_| fetch::nats_server(),
        said: version,
    },
    Contest {
        name: "redis",
        heading: "Durable streams, beside Redis",
        theirs: "Redis",
        scenarios: durable_rows::REDIS_SCENARIOS,
        rows: durable_rows::REDIS_ROWS,
        binary: |_| fetch::redis_server(),
        said: version,
    },
    Contest {
        name: "http",
        heading: "The HTTP door, beside bare programs",
        theirs: "a bare program",
        scenarios: web_rows::SCENARIOS,
        rows: web_rows::ROWS,
        binary: |profile| fetch::examples(profile, &["http_accept", "web_fanout"]),
        said: bare,
    },
];

/// What a program says to `--version`, in one line.
pub(crate) fn version(program: &Path) -> Result<String, String> {
    said(program, "--version")
}

/// What the bare programs are made of.
fn bare(_: &Path) -> Result<String, String> {
    let lock = fetch::read(&fetch::root().join("Cargo.lock"))?;
    let version = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        rest.split('"').next().map(str::to_owned)
    };
    let [axum, hyper, tokio] = ["axum", "hyper", "tokio"].map(|name| version(name).unwrap_or_default());
    Ok(format!(
        "bare programs of crates/bench/examples: axum {axum}, hyper {hyper}, tokio {tokio}; raw sockets"
    ))
}

/// What a program says to one argument.
pub(crate) fn said(program: &Path, arg: &str) -> Result<String, String> {
    fetch::run(Command::new(program).arg(arg), "does it start?").map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::rows::Kind;
    use super::*;

    #[test]
    fn every_row_has_its_scenario_and_every_half_rate_an_earlier_one() {
        for Contest { scenarios, rows, name, .. } in CONTESTS {
            let place = |name| scenarios.iter().position(|s| s.name == name);
            assert!(rows.iter().all(|row| place(row.scenario).is_some()), "{name}");
            for (nth, scenario) in scenarios.iter().enumerate() {
                let shown = rows.iter().any(|row| row.scenario == scenario.name);
                assert!(shown, "{} is shown nowhere", scenario.name);
                if let Kind::HalfRate(of, _) = scenario.kind {
                    assert!(place(of).is_some_and(|earlier| earlier < nth));
                }
            }
        }
    }
}
