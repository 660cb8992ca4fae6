//! The project's own chores: `cargo xtask NAME`. One row in [`CHORES`] for each; the work is in the module of that name.

mod compare;
mod crash;
mod deploy;
mod dist;
mod fetch;
mod lab;
mod pages;
mod peers;
mod sim;
mod soak;
mod tidy;

use std::process::ExitCode;

/// A chore: its name, one line of help, and what does it.
struct Chore {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<(), String>,
}

const CHORES: &[Chore] = &[
    Chore {
        name: "tidy",
        about: "checks the rules of the house: layers, bans, headers, paths, codes",
        run: tidy::run,
    },
    Chore {
        name: "pages",
        about: "writes the pages that are made from code: error codes, schema and keys of the configuration",
        run: pages::run,
    },
    Chore {
        name: "peers",
        about: "runs real clients and transcripts against us, and nats-server beside us",
        run: peers::run,
    },
    Chore {
        name: "compare",
        about: "measures us against a real server, alternating in one run",
        run: compare::run,
    },
    Chore {
        name: "crash",
        about: "kills the server under load again and again, and holds it to what it acknowledged",
        run: crash::run,
    },
    Chore {
        name: "sim",
        about: "simulates a node under every fault, many seeds, and holds it to its promises",
        run: sim::run,
    },
    Chore {
        name: "dist",
        about: "packs what users are given, unpacks it again and tries it",
        run: dist::run,
    },
    Chore {
        name: "deploy",
        about: "lets systemd judge the unit, and hadolint the Dockerfile",
        run: deploy::run,
    },
    Chore { name: "soak", about: "runs for a long time and watches memory and errors", run: soak::run },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = words.split_first() else {
        print_help();
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print_help();
        return ExitCode::SUCCESS;
    }
    let Some(chore) = CHORES.iter().find(|chore| chore.name == name) else {
        eprintln!("error: there is no chore `{name}`; `cargo xtask help` lists them");
        return ExitCode::from(2);
    };
    match (chore.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn print_help() {
    println!("cargo xtask CHORE [OPTIONS]    (`cargo xtask CHORE --help` for its options)\n");
    for Chore { name, about, .. } in CHORES {
        println!("  {name:<9} {about}");
    }
}
