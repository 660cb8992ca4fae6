//! The examples of every `--help`, typed into a shell as they stand there, in a world that has what they speak of.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::command::{Running, neuroplex, run};
use crate::server::Server;

/// Commands that go on until they are stopped, have a screen of their own or take long by intention; their tests are
/// elsewhere.
const LONG: &[&str] = &["up", "demo", "sub", "reply", "kv watch", "bench", "top"];

/// What an example may need that is not here.
const NOT_HERE: &[(&str, &str)] = &[
    ("sudo ", "the rights to change this machine"),
    ("systemctl ", "a unit"),
    ("pass show", "somebody's passwords"),
    ("10.0.0.7", "another machine"),
    ("--data /var/lib", "the folder of a service"),
    ("--only http", "a node on the usual port"),
    ("man -l", "a reader of manual pages"),
    ("| jq ", "jq"),
];

const ORDERS: &str = "neuroplex stream add ORDERS --subjects 'orders.>'";
const KITCHEN: &str = "neuroplex stream add ORDERS --subjects 'orders.>'
    neuroplex pub orders.new x --ack --count 200
    neuroplex consumer add ORDERS kitchen";
const KEYS: &str = "neuroplex kv add settings --history 5; neuroplex kv add locks; neuroplex kv add photos
    for i in 1 2 3 4 5 6; do
        neuroplex kv put settings color blue; neuroplex kv put locks door me; neuroplex kv put photos tea.jpg x
    done";
const OBJECTS: &str =
    "neuroplex object put photos tea.jpg; neuroplex object put photos tea.jpg --name 2026/tea.jpg
    tar c folder | neuroplex object put backups - --name folder.tar; rm tea.jpg";
const CONTEXTS: &str =
    "for name in prod staging; do neuroplex context add $name --server $NEUROPLEX_SERVER; done";

/// What must be there before the examples of a command, by its first words; the longest counts.
const BEFORE: &[(&str, &str)] = &[
    ("pub", "neuroplex stream add JOBS --subjects 'jobs.>'; neuroplex stream add ORDERS --subjects 'orders.>'"),
    ("stream ", KITCHEN),
    ("stream add", ""),
    ("consumer", "neuroplex stream add ORDERS --subjects 'orders.>'; neuroplex pub orders.tea.green x --ack --count 20"),
    ("consumer ", KITCHEN),
    ("consumer add", ORDERS),
    ("kv ", KEYS),
    ("kv add", ""),
    ("kv put", "neuroplex kv add photos; neuroplex kv add locks; neuroplex kv add settings; neuroplex kv put settings a b
        for i in 1 2 3 4 5; do neuroplex kv put settings color blue; done"),
    ("kv del", "neuroplex kv add locks; neuroplex kv add settings; neuroplex kv put settings color blue
        for i in 1 2 3 4 5 6 7; do neuroplex kv put locks door me; done"),
    ("object ", OBJECTS),
    ("object put", ""),
    ("context", "umask 077; echo s3cret > .prod-password; neuroplex context add staging --server $NEUROPLEX_SERVER"),
    ("context ", CONTEXTS),
    ("context add", "umask 077; echo s3cret > .prod-password; touch ca.pem"),
];

/// The examples of each command, one or more lines each as a shell takes them.
fn examples(names: &[String]) -> BTreeMap<String, Vec<String>> {
    let of = |name: &String| {
        let words: Vec<&str> = name.split(' ').filter(|word| !word.is_empty()).chain(["--help"]).collect();
        let help = run("", &words).text().replace("\\\n", "");
        let block = help.split("Examples:\n").nth(1).expect("examples");
        let lines = block.lines().take_while(|line| line.starts_with("  ")).map(str::trim);
        lines.filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    names.iter().map(|name| (name.clone(), of(name))).collect()
}

/// Every command, with those that only hold others.
fn names() -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let made = run("", &["man", "--out", folder.path().to_str().unwrap(), "--json"]).json();
    let name = |file: &serde_json::Value| {
        let page = file.as_str().unwrap().trim_end_matches(".1");
        page.trim_start_matches("neuroplex").trim_start_matches('-').replace('-', " ")
    };
    made["files"].as_array().unwrap().iter().map(name).collect()
}

/// Types a script into a shell; what went wrong, with what it said.
fn shell(folder: &Path, server: &str, script: &str) -> Result<(), String> {
    let ours = neuroplex(&[]);
    let bin = Path::new(ours.get_program()).parent().unwrap().display().to_string();
    let mut command = std::process::Command::new("bash");
    command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
    command.env("PATH", path).env("HOME", folder).env("XDG_CONFIG_HOME", folder.join(".config"));
    command.env("NEUROPLEX_SERVER", server).current_dir(folder).stdin(std::process::Stdio::null());
    let output =
        command.args(["-c", &format!("set -o pipefail\n{script}")]).output().map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

#[test]
fn every_example_runs_as_it_is_written() {
    let names = names();
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, examples) in examples(&names) {
        let is_long = |line: &str| LONG.iter().any(|long| line.contains(&format!("neuroplex {long} ")));
        let here: Vec<&String> = examples
            .iter()
            .filter(|line| {
                !is_long(&format!("{line} ")) && !NOT_HERE.iter().any(|(part, _)| line.contains(part))
            })
            .collect();
        if here.is_empty() {
            continue;
        }
        let (server, folder) = (Server::start(), TempDir::new().unwrap());
        for file in [
            "tea.jpg",
            "photo.jpg",
            "prompt.txt",
            "neuroplex.toml",
            "folder/file",
            ".config/fish/completions/x",
        ] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let _answers = (name == "request").then(|| {
            ["sum", "models.echo"].map(|subject| Running::listening(server.nats(), &["reply", subject, "3"]))
        });
        let before =
            BEFORE.iter().filter(|(words, _)| name.starts_with(words)).max_by_key(|(words, _)| words.len());
        if let Some((_, script)) = before {
            shell(folder.path(), server.nats(), script).unwrap_or_else(|e| panic!("before {name:?}: {e}"));
        }
        for line in here {
            count += 1;
            let said = shell(folder.path(), server.nats(), line);
            let asks = [" rm ", " purge "].iter().any(|word| line.contains(word)) && !line.contains("--yes");
            match (said, asks) {
                (Ok(()), false) => {}
                // Nobody sits at this terminal.
                (Err(e), true) if e.contains("Add --yes") => {}
                (said, _) => wrong.push(format!("`{line}` of {name:?}: {said:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 80, "{count} examples");
}
