//! What `/metrics` says, read by Prometheus's own `promtool`, which also judges names and help texts.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Stage;
use super::server::Kind;
use super::tally::Tally;

/// The row that comes last: its numbers are taken after the scrape that asks for them.
const OF_A_CONSUMER: &str = "message_queue_depth{";
/// How long it is waited for, and how long between two scrapes.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// Names that a test looks for, so that a page with nothing in it does not pass.
const WANTED: &[&str] = &[
    "http_requests_total{",
    "http_request_duration_seconds_bucket{",
    OF_A_CONSUMER,
    "memory_usage{",
    "neuroplex_stream_messages{",
    "process_resident_memory_bytes ",
];

/// Asks a fresh node for its metrics and gives them to promtool.
pub(crate) fn run(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    if stage.tested != Kind::Neuroplex {
        return Err("only neuroplex has these metrics".into());
    }
    let promtool = crate::fetch::promtool()?;
    let home = stage.work.join("metrics");
    crate::fetch::make_dir(&home)?;
    let mut command = Command::new(&stage.binary);
    command.args(["up", "--json", "--http", "127.0.0.1:0", "--nats", "127.0.0.1:0", "--data"]);
    let mut child = command
        .arg(home.join("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("{}: {e}", stage.binary.display()))?;
    let text = read(&mut child);
    let _ = child.kill();
    let _ = child.wait();
    let text = text?;
    let missing: Vec<&str> = WANTED.iter().copied().filter(|name| !text.contains(name)).collect();
    let there = if missing.is_empty() { Ok(()) } else { Err(format!("missing: {missing:?}")) };
    tally.count("what must be there is there", there);
    tally.count("promtool reads every line and has nothing to say", judge(&promtool, &text));
    Ok(())
}

/// Makes something to count, and reads the page.
fn read(child: &mut std::process::Child) -> Result<String, String> {
    let out = child.stdout.take().ok_or("no standard output")?;
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).map_err(|e| e.to_string())?;
    let ready: serde_json::Value = serde_json::from_str(&line).map_err(|e| format!("{e}: {line}"))?;
    let address = ready.get("http").and_then(|url| url.as_str()).unwrap_or_default();
    let address = address.trim_start_matches("http://");
    let config = r#"{"subjects":["jobs.>"]}"#;
    ask(address, "PUT", "/v1/streams/JOBS", config)?;
    ask(address, "PUT", "/v1/streams/JOBS/consumers/worker", r#"{"ack_policy":"explicit"}"#)?;
    ask(address, "POST", "/v1/streams/JOBS/messages", r#"{"subject":"jobs.a","payload":1}"#)?;
    ask(address, "GET", "/nowhere", "")?;
    // Single streams are told as of a look that an earlier scrape asked for.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = ask(address, "GET", "/metrics", "")?;
        if text.contains(OF_A_CONSUMER) || Instant::now() >= deadline {
            return Ok(text);
        }
        std::thread::sleep(PAUSE);
    }
}

fn ask(address: &str, method: &str, path: &str, body: &str) -> Result<String, String> {
    let io = |e: std::io::Error| format!("{method} {path}: {e}");
    let mut stream = TcpStream::connect(address).map_err(io)?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).map_err(io)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(io)?;
    let (_, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("{method} {path}: no answer"))?;
    Ok(body.to_owned())
}

/// What promtool says.
fn judge(promtool: &Path, text: &str) -> Result<(), String> {
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("promtool: {e}"))?;
    let input = child.stdin.take().ok_or("no standard input")?;
    { input }.write_all(text.as_bytes()).map_err(|e| e.to_string())?;
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    let said = [output.stdout, output.stderr].concat();
    match output.status.success() && said.is_empty() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&said).into_owned()),
    }
}
