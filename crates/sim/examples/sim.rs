//! Runs seeds, each twice: `sim --seeds N [--from N] [--json] [--go-on]`. It ends with the first failure, unless it is to
//! go on.

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let (mut from, mut seeds, mut json, mut go_on) = (0, 1000, false, false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|n| n.parse::<u64>().ok());
        match word.as_str() {
            "--from" => from = number().unwrap_or(from),
            "--seeds" => seeds = number().unwrap_or(seeds),
            "--json" => json = true,
            "--go-on" => go_on = true,
            other => {
                eprintln!("error: {other}? sim [--seeds N] [--from N] [--json] [--go-on]");
                return ExitCode::from(2);
            }
        }
    }
    let begun = Instant::now();
    let (mut figures, mut violations) = (sim::Figures::default(), 0_u64);
    for seed in from..from + seeds {
        match sim::twice(seed) {
            Ok(run) => figures.add(&run.figures),
            Err(failure) if go_on => {
                violations += 1;
                println!("seed {}: {}: {}", failure.seed, failure.promise, failure.what);
            }
            Err(failure) => {
                eprintln!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    if json {
        let counts: Vec<String> = figures.all().iter().map(|(name, n)| format!("\"{name}\":{n}")).collect();
        println!(
            "{{\"seeds\":{seeds},\"from\":{from},\"violations\":{violations},\"seconds\":{seconds:.1},{}}}",
            counts.join(",")
        );
    } else {
        println!("{seeds} seeds from {from}, each twice, in {seconds:.1} s; {violations} broke a promise");
        figures.all().iter().for_each(|(name, n)| println!("  {n:>10} {}", name.replace('_', " ")));
    }
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
