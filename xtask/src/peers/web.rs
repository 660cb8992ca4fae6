//! The NATS client for browsers over WebSocket: in Node, and in a page in a real browser. Only our server is tested: what
//! is expected is what the same client expects of nats-server over TCP.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::Stage;
use super::server::{Kind, Server};
use super::setup::SETUPS;
use super::suite::Line;
use super::tally::Tally;

/// In Node.
pub(crate) fn node(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    run(stage, tally, "node", "")
}

/// In Chromium.
pub(crate) fn browser(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    let chromium = crate::fetch::chromium()?;
    run(stage, tally, "browser", &chromium.to_string_lossy())
}

fn run(stage: &Stage, tally: &mut Tally, place: &str, chromium: &str) -> Result<(), String> {
    if stage.tested != Kind::Neuroplex {
        return Ok(());
    }
    let folder = crate::fetch::web_folder()?;
    for file in ["suite.js", "web.mjs"] {
        crate::fetch::copy(&crate::fetch::root().join("xtask/peers/web").join(file), &folder.join(file))?;
    }
    let setup = SETUPS.iter().find(|setup| setup.name == "streams").ok_or("there is no setup `streams`")?;
    let home = stage.work.join(format!("web-{place}"));
    let mut server = Server::start(stage.tested, &stage.binary, setup, &home, &stage.work, 0)?;
    let peers = serde_json::json!({ "http": server.http, "only": tally.filter(), "chromium": chromium });
    // A suite that hangs is ended: nothing in it takes longer.
    let mut command = Command::new("timeout");
    command.args(["180", "node", "web.mjs", place]).current_dir(&folder).env("PEERS", peers.to_string());
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|e| format!("node: {e}"))?;
    let out = child.stdout.take().ok_or("no standard output")?;
    for line in BufReader::new(out).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Line::Result { test, error }) => tally.count(&test, error.map_or(Ok(()), Err)),
            _ => println!("       {line}"),
        }
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    server.stop()?;
    if status.success() { Ok(()) } else { Err(format!("the suite itself ended with {status}")) }
}
