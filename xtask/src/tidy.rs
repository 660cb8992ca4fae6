//! `cargo xtask tidy`: style as a test. Each rule of the house is one row of [`CHECKS`]; each finding names a file, a
//! line and the fix.
//!
//! Checks look at a [`House`], which is the repository read into memory, so that their own tests plant violations
//! without touching a disk. Only `tree` asks cargo.

mod arrows;
mod bans;
mod codes;
mod files;
mod house;
mod map;
mod source;
mod tree;

pub(crate) use house::House;

/// A rule: its name, and what finds the places that break it.
struct Check {
    name: &'static str,
    run: fn(&House) -> Vec<Finding>,
}

const CHECKS: &[Check] = &[
    Check { name: "arrows point down", run: arrows::check },
    Check { name: "pure layers stay pure", run: bans::check },
    Check { name: "every file says what it is", run: files::opening },
    Check { name: "no file grows past one idea", run: files::length },
    Check { name: "nothing left unfinished", run: files::leftovers },
    Check { name: "the map is true, and links lead somewhere", run: map::check },
    Check { name: "every error code has its page", run: codes::check },
    Check { name: "no second crypto provider", run: tree::check },
];

/// One place that breaks a rule. Line 0 means the file as a whole.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) what: String,
    pub(crate) fix: String,
}

impl Finding {
    fn new(file: &str, line: usize, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { file: file.into(), line, what: what.into(), fix: fix.into() }
    }
}

/// Runs every check over the repository.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if !args.is_empty() {
        return Err("tidy takes no options: cargo xtask tidy".into());
    }
    let house = House::read(&crate::fetch::root())?;
    let mut total = 0;
    for check in CHECKS {
        let findings = (check.run)(&house);
        println!("{} {}", if findings.is_empty() { "✓" } else { "✗" }, check.name);
        for Finding { file, line, what, fix } in &findings {
            println!("    {file}:{line}: {what}\n        fix: {fix}");
        }
        total += findings.len();
    }
    match total {
        0 => Ok(()),
        1 => Err("tidy: 1 finding".into()),
        _ => Err(format!("tidy: {total} findings")),
    }
}
