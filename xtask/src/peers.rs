//! `cargo xtask peers`: clients that others wrote, against our server. What they expect is what the real nats-server
//! does: `--against nats-server` runs the same suites on that one, which proves the expectations themselves.
//!
//! Each part is a row of [`PARTS`]. Nothing is skipped: what cannot be fetched or started is a failure.

mod examples;
mod fleet;
mod guide;
mod jetstream;
mod metrics;
mod schema;
mod server;
mod setup;
mod suite;
mod tally;
mod transcript;
mod transcripts;
mod web;

use std::path::PathBuf;

use server::Kind;
use tally::Tally;

/// Something to run: its name, one line of help, and what runs it.
struct Part {
    name: &'static str,
    about: &'static str,
    run: fn(&Stage, &mut Tally) -> Result<(), String>,
}

const PARTS: &[Part] = &[
    Part { name: "examples", about: "the worked examples, in Python and in JavaScript", run: examples::run },
    Part { name: "guide", about: "the guide and the README, every block of them", run: guide::run },
    Part { name: "python", about: "the core protocol through nats-py", run: suite::python },
    Part {
        name: "javascript",
        about: "the core protocol through @nats-io/transport-node",
        run: suite::javascript,
    },
    Part {
        name: "python-streams",
        about: "durable streams and consumers through nats-py",
        run: suite::python_streams,
    },
    Part {
        name: "python-stores",
        about: "key-value buckets and object stores through nats-py",
        run: suite::python_stores,
    },
    Part {
        name: "javascript-streams",
        about: "durable streams and consumers through @nats-io/jetstream",
        run: suite::javascript_streams,
    },
    Part {
        name: "javascript-stores",
        about: "key-value buckets and object stores through @nats-io/kv and @nats-io/obj",
        run: suite::javascript_stores,
    },
    Part { name: "web", about: "the client for browsers over WebSocket, in Node", run: web::node },
    Part {
        name: "browser",
        about: "the same in a page in Chromium, and the documentation page",
        run: web::browser,
    },
    Part { name: "telemetry", about: "traces, logs and metrics to a real collector", run: suite::telemetry },
    Part { name: "metrics", about: "/metrics, read by promtool", run: metrics::run },
    Part {
        name: "transcripts",
        about: "raw bytes to both servers; the answers must be equal",
        run: transcripts::run,
    },
    Part {
        name: "jetstream",
        about: "the JetStream API to both servers; the answers must be equal, field by field",
        run: jetstream::run,
    },
    Part {
        name: "openapi",
        about: "every route of the HTTP door against its description, by schemathesis",
        run: schema::run,
    },
];

/// What every part needs to know.
pub(crate) struct Stage {
    /// The server under test.
    tested: Kind,
    /// Its binary.
    binary: PathBuf,
    /// The real nats-server.
    nats_server: PathBuf,
    /// Data folders, configurations, logs and certificates of this run.
    work: PathBuf,
    /// Prints transcripts that are equal, too.
    show: bool,
    /// Less of everything that takes long.
    quick: bool,
    /// Where chance begins.
    seed: Option<u64>,
}

struct Options {
    only: Option<String>,
    without: Vec<String>,
    tested: Kind,
    profile: String,
    binary: Option<PathBuf>,
    show: bool,
    quick: bool,
    seed: Option<u64>,
}

/// Runs the parts asked for and ends with one line of numbers.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let Some(options) = parse(args)? else {
        print_help();
        return Ok(());
    };
    let (only, filter) = match options.only.as_deref() {
        None => (None, ""),
        Some(only) => only.split_once('/').map_or((Some(only), ""), |(part, filter)| (Some(part), filter)),
    };
    let stage = set_up(&options)?;
    let mut tally = Tally::new(filter);
    let left_out = |part: &&Part| options.without.iter().any(|name| name == part.name);
    for part in PARTS.iter().filter(left_out) {
        println!("left out: {} ({})", part.name, part.about);
    }
    let wanted = |part: &&Part| only.is_none_or(|only| only == part.name) && !left_out(part);
    for part in PARTS.iter().filter(wanted) {
        tally.enter(part.name);
        if let Err(why) = (part.run)(&stage, &mut tally) {
            tally.failed("as a whole", &why);
        }
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    match (tally.failed, tally.passed) {
        (0, 0) => Err(format!("peers: nothing is called `{filter}`")),
        (0, _) => std::fs::remove_dir_all(&stage.work).map_err(|e| format!("{}: {e}", stage.work.display())),
        _ => Err(format!("peers: logs and configurations are in {}", stage.work.display())),
    }
}

fn set_up(options: &Options) -> Result<Stage, String> {
    let nats_server = crate::fetch::nats_server()?;
    let binary = match (&options.binary, options.tested) {
        (Some(binary), _) => binary.clone(),
        (None, Kind::Neuroplex) => crate::fetch::neuroplex(&options.profile)?,
        (None, Kind::NatsServer) => nats_server.clone(),
    };
    let work = crate::fetch::peers_dir().join(format!("run-{}", std::process::id()));
    crate::fetch::make_dir(&work)?;
    setup::certificates(&work)?;
    let Options { tested, show, quick, seed, .. } = *options;
    Ok(Stage { tested, binary, nats_server, work, show, quick, seed })
}

fn parse(args: &[String]) -> Result<Option<Options>, String> {
    let mut options = Options {
        only: None,
        without: Vec::new(),
        tested: Kind::Neuroplex,
        profile: "dev".into(),
        binary: None,
        show: false,
        quick: false,
        seed: None,
    };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().cloned().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--only" => options.only = Some(value()?),
            "--without" => options.without.push(value()?),
            "--binary" => options.binary = Some(value()?.into()),
            "--profile" => options.profile = value()?,
            "--show" => options.show = true,
            "--quick" => options.quick = true,
            "--seed" => {
                let value = value()?;
                options.seed = Some(value.parse().map_err(|_| format!("--seed {value}: it is a number"))?);
            }
            "--against" => options.tested = Kind::named(&value()?)?,
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("peers does not know `{word}`; see `cargo xtask peers --help`")),
        }
    }
    let only = options.only.as_deref().map(|only| only.split('/').next().unwrap_or(only));
    let mut named = only.into_iter().chain(options.without.iter().map(String::as_str));
    match named.find(|name| !PARTS.iter().any(|row| row.name == *name)) {
        Some(part) => Err(format!("there is no part `{part}`; see `cargo xtask peers --help`")),
        None => Ok(Some(options)),
    }
}

fn print_help() {
    println!(
        "cargo xtask peers [--only PART[/WORDS]] [--without PART] [--against neuroplex|nats-server] [--profile NAME] [--quick] [--seed N] [--show]\n"
    );
    for Part { name, about, .. } in PARTS {
        println!("  {name:<18} {about}");
    }
    println!("\n  --only PART/WORDS  only that part, and in it only what has WORDS in its name");
    println!("  --without PART     not that part, which is said; may be given again");
    println!("  --against NAME     the server under test; neuroplex unless said otherwise");
    println!("  --profile NAME     the cargo profile that builds neuroplex; dev unless said otherwise");
    println!("  --binary PATH      a server that is built already");
    println!("  --quick            fewer examples where many are made up (openapi)");
    println!("  --seed N           where chance begins (openapi)");
    println!("  --show             print every transcript, equal ones too");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn options_are_read_and_strange_ones_refused() {
        let options = parse(&words("--only python/queue --against nats-server --show"));
        assert!(options.is_ok_and(|o| o.is_some_and(|o| o.tested == Kind::NatsServer && o.show)));
        for line in ["--only cobol", "--without cobol", "--against iis", "--only", "--fast"] {
            assert!(parse(&words(line)).is_err(), "{line}");
        }
    }
}
