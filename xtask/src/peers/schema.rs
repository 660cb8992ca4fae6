//! The HTTP door against its own description: schemathesis reads `/openapi.json` of a running node and asks every route
//! what its schemas allow and what they forbid. Routes whose answer never ends are left out by name.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::Stage;
use super::server::Kind;
use super::tally::Tally;

/// Examples for each route.
const EXAMPLES: u32 = 200;
/// The same where a run must be short, and where it begins then, so that it finds today what it found yesterday.
const QUICK: (u32, u64) = (15, 1);
/// Routes whose answer lasts as long as the client stays.
const ENDLESS: &[&str] = &["subscribe", "readStream", "webSocket", "natsWebSocket"];

/// A node that is gone when the part is over.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs it all.
pub(crate) fn run(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    if stage.tested != Kind::Neuroplex || !tally.wants("openapi") {
        return Ok(());
    }
    let program = crate::fetch::schemathesis()?;
    let data = stage.work.join("schema");
    let mut up = Command::new(&stage.binary);
    up.args(["up", "--nats", "off", "--http", "127.0.0.1:0", "--json", "--data"]).arg(&data);
    let child = up.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut node = Node(child.map_err(|e| format!("{}: {e}", stage.binary.display()))?);
    let out = node.0.stdout.take().ok_or("the node has no output")?;
    let mut out = BufReader::new(out);
    let mut line = String::new();
    out.read_line(&mut line).map_err(|e| e.to_string())?;
    let ready: serde_json::Value = serde_json::from_str(&line).map_err(|e| format!("{line:?}: {e}"))?;
    let url = ready["http"].as_str().ok_or("the node has no HTTP door")?;
    let mut command = Command::new(program);
    command.arg("--config-file").arg(crate::fetch::root().join("xtask/peers/schemathesis.toml"));
    command.args(["run", &format!("{url}/openapi.json"), "--checks", "all", "--no-color"]);
    let (examples, seed) = match stage.quick {
        true => (QUICK.0, Some(stage.seed.unwrap_or(QUICK.1))),
        false => (EXAMPLES, stage.seed),
    };
    command.args(["--max-examples", &examples.to_string(), "--continue-on-failure"]);
    seed.iter().for_each(|seed| _ = command.args(["--seed", &seed.to_string()]));
    ENDLESS.iter().for_each(|name| _ = command.args(["--exclude-operation-id", name]));
    command.current_dir(&stage.work);
    let done = crate::fetch::run(&mut command, "run the same command by hand to see all of it");
    tally.count("openapi", done.map(drop));
    let ended = node.0.try_wait().map_err(|e| e.to_string())?;
    tally.count("openapi: the node still runs", ended.map_or(Ok(()), |status| Err(status.to_string())));
    Ok(())
}
