//! The guide, the README and the page of the examples, run with curl, Python and Node.js. The engine is the end-to-end
//! tests' own (`crates/neuroplex/tests/it/guide`), which leaves such blocks out when it runs alone.

use std::process::Command;

use super::Stage;
use super::server::Kind;
use super::tally::Tally;
use crate::fetch;

const TEST: &str = "guide::every_page_holds";

/// Runs every page to its last block.
pub(crate) fn run(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    if !matches!(stage.tested, Kind::Neuroplex) {
        println!("the guide is about neuroplex: nothing to run against another server");
        return Ok(());
    }
    let python = fetch::python()?;
    let programs = python.parent().ok_or("a folder of python")?;
    let modules = fetch::node_folder()?.join("node_modules");
    fetch::run(Command::new("curl").arg("--version"), "apt-get install curl")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut test = Command::new(cargo);
    test.args(["test", "--quiet", "--locked", "--package", "neuroplex", "--test", "it", "--"]);
    test.args(["--exact", "--show-output", TEST]).current_dir(fetch::root());
    test.env("RUST_BACKTRACE", "0").env("GUIDE_PATH", programs).env("GUIDE_NODE_MODULES", modules);
    let ran = fetch::run(&mut test, "the page and the line are named above");
    let held = ran.and_then(|said| {
        said.lines()
            .filter(|line| line.contains("blocks run") || line.starts_with("  "))
            .for_each(|line| println!("{line}"));
        match said.contains("1 passed") {
            true => Ok(()),
            false => Err(format!("`{TEST}` was not run")),
        }
    });
    tally.count("every page of the guide", held);
    Ok(())
}
