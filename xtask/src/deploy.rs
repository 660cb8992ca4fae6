//! The files that run a node elsewhere: the unit of systemd is read and judged by systemd, the Dockerfile by hadolint.
//! Nothing is started or built.

use std::path::Path;
use std::process::Command;

use crate::fetch::{hadolint, read, root, run as run_command};

const UNIT: &str = "deploy/systemd/neuroplex.service";
const DOCKERFILE: &str = "deploy/container/Dockerfile";
/// Where the unit expects the binary, which a machine that checks it need not have.
const BINARY: &str = "/usr/local/bin/neuroplex";
/// Most that the unit may leave open, in tenths of what `systemd-analyze security` counts from 0 (safe) to 10.
const EXPOSURE_TENTHS_MAX: u32 = 15;

/// Judges both; the first that does not hold is the error.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if !args.is_empty() {
        return Err("deploy takes no options: cargo xtask deploy".into());
    }
    unit()?;
    dockerfile()
}

fn unit() -> Result<(), String> {
    const TOOL: &str = "systemd-analyze";
    run_command(Command::new(TOOL).arg("--version"), "apt-get install --no-install-recommends systemd")?;
    let text = read(&root().join(UNIT))?;
    if !text.contains(BINARY) {
        return Err(format!("{UNIT} does not start {BINARY}"));
    }
    // A program that every machine has stands in for ours.
    let folder = std::env::temp_dir().join(format!("neuroplex-deploy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let copy = folder.join("neuroplex.service");
    let judged = std::fs::write(&copy, text.replace(BINARY, "/bin/true"))
        .map_err(|e| format!("{}: {e}", copy.display()))
        .and_then(|()| judge(TOOL, &copy));
    std::fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    judged
}

fn judge(tool: &str, unit: &Path) -> Result<(), String> {
    let fix = format!("correct {UNIT}");
    let mut verify = Command::new(tool);
    verify.args(["verify", "--man=no"]).arg(unit);
    // What it only warns of does not end it, and is to be corrected all the same.
    let output = verify.output().map_err(|e| format!("{tool}: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || said.contains("neuroplex.service") {
        return Err(format!("{tool} verify; fix: {fix}\n  {}", said.trim()));
    }
    let mut security = Command::new(tool);
    security.args(["security", "--offline=yes", "--no-pager"]);
    let said = run_command(security.arg(format!("--threshold={EXPOSURE_TENTHS_MAX}")).arg(unit), &fix)?;
    let verdict = said.lines().rev().find(|line| line.contains("exposure level")).unwrap_or_default();
    println!("✓ {UNIT}: {}", verdict.trim_start_matches(['→', ' ']));
    Ok(())
}

fn dockerfile() -> Result<(), String> {
    let mut command = Command::new(hadolint()?);
    command.args(["--no-color", DOCKERFILE]).current_dir(root());
    run_command(&mut command, &format!("correct {DOCKERFILE}"))?;
    println!("✓ {DOCKERFILE}");
    Ok(())
}
