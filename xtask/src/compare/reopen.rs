//! Servers that start again with much on disk, and servers with very many streams: what the load alone cannot measure.

use std::time::Duration;

use bench::Caller;
use serde_json::{Value, json};

use crate::lab::{Lab, Peer, Place, Server, Start, Who, resident_bytes};

/// How long a server rests after a start before its memory is read.
const REST: Duration = Duration::from_secs(1);

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    streams: usize,
    messages: u64,
    empty_ours: usize,
    /// Theirs gets so few that it does not take minutes; what it needs for one stream is told.
    empty_theirs: usize,
}

impl Size {
    /// The whole, or one to see that everything runs.
    pub(crate) fn of(quick: bool) -> Size {
        match quick {
            false => Size { streams: 1000, messages: 1_000_000, empty_ours: 100_000, empty_theirs: 2000 },
            true => Size { streams: 100, messages: 20_000, empty_ours: 1000, empty_theirs: 200 },
        }
    }
}

impl Size {
    /// The arguments of the load that fills the streams.
    fn filling(self) -> String {
        let Size { streams, messages, .. } = self;
        format!("publish-ack reopen --streams {streams} --msgs {messages} --in-flight 4000 --warmup 0 --keep")
    }

    /// What [`reopen`] does.
    pub(crate) fn reopen_in_words(self) -> String {
        format!(
            "`neuroplex bench {}`, then SIGKILL, start, SIGTERM, start; until `STREAM.INFO` of one stream is answered",
            self.filling()
        )
    }

    /// What [`empty_streams`] does.
    pub(crate) fn empty_in_words(self) -> String {
        let Size { empty_ours, empty_theirs, .. } = self;
        format!(
            "`neuroplex bench streams empty --streams {empty_ours} --keep`; theirs with {empty_theirs}, because more would take minutes, so its whole memory is not measured"
        )
    }
}

/// Fills the streams, kills the server as soon as the last publish is acknowledged, starts it, stops it cleanly, starts
/// it again; after each start every stream's messages are counted.
pub(crate) fn reopen(lab: &Lab, who: Who, peer: Peer, size: Size) -> Result<Value, String> {
    let start = Start { who, peer, place: Place::Anywhere, fresh: true };
    let server = lab.start_as(&start)?;
    let filled = lab.load(&server.url(), server.pid(), Place::Anywhere, &size.filling())?;
    server.kill()?;
    let again = Start { fresh: false, ..start };
    let (server, killed) = opened(lab, &again, size)?;
    server.stop()?;
    let (server, clean) = opened(lab, &again, size)?;
    server.stop()?;
    Ok(json!({
        "killed_ms": killed.ready_ms,
        "clean_ms": clean.ready_ms,
        "killed_line_ms": killed.line_ms,
        "clean_line_ms": clean.line_ms,
        "filled_per_s": filled.get("msgs_per_s"),
    }))
}

/// What a start took.
struct Opened {
    /// Until a stream could be asked about.
    ready_ms: f64,
    line_ms: Option<f64>,
}

/// Starts a server on what is there, until it answers a PING and knows a stream; then counts.
fn opened(lab: &Lab, start: &Start, size: Size) -> Result<(Server, Opened), String> {
    let server = lab.start_as(start)?;
    let mut caller = Caller::connect(&server.url()).map_err(|e| e.to_string())?;
    caller.api(&format!("STREAM.INFO.{}", name(0)), &Value::Null).map_err(|e| e.to_string())?;
    let ready_ms = server.started.elapsed().as_secs_f64() * 1e3;
    count(&mut caller, size)?;
    let line_ms = server.line_ms;
    Ok((server, Opened { ready_ms, line_ms }))
}

/// The name that the load gives its stream number `nth`.
fn name(nth: usize) -> String {
    format!("BENCH_reopen_{nth:06x}")
}

/// Every stream has its part of the messages, or the run fails.
fn count(caller: &mut Caller, size: Size) -> Result<(), String> {
    for nth in 0..size.streams {
        let info = caller.api(&format!("STREAM.INFO.{}", name(nth)), &Value::Null);
        let info = info.map_err(|e| e.to_string())?;
        let held = info.pointer("/state/messages").and_then(Value::as_u64).unwrap_or_default();
        let share = size.messages / size.streams as u64
            + u64::from((nth as u64) < size.messages % size.streams as u64);
        if held != share {
            return Err(format!("{} has {held} messages after the start, not {share}", name(nth)));
        }
    }
    Ok(())
}

/// Makes very many empty streams; resident memory then, and after a restart.
pub(crate) fn empty_streams(lab: &Lab, who: Who, peer: Peer, size: Size) -> Result<Value, String> {
    let start = Start { who, peer, place: Place::Anywhere, fresh: true };
    let server = lab.start_as(&start)?;
    let streams = if who == Who::Ours { size.empty_ours } else { size.empty_theirs };
    let args = format!("streams empty --streams {streams} --keep");
    let report = lab.load(&server.url(), server.pid(), Place::Anywhere, &args)?;
    let rss = resident_bytes(server.pid());
    let figure = |pointer| report.pointer(pointer).cloned().unwrap_or_default();
    server.stop()?;
    let mut outcome = json!({
        "bytes_each": figure("/durable/bytes_each"),
        "created_per_s": figure("/msgs_per_s"),
    });
    if who == Who::Ours {
        let server = lab.start_as(&Start { fresh: false, ..start })?;
        let mut caller = Caller::connect(&server.url()).map_err(|e| e.to_string())?;
        let last = format!("STREAM.INFO.BENCH_empty_{:06x}", streams - 1);
        caller.api(&last, &Value::Null).map_err(|e| e.to_string())?;
        std::thread::sleep(REST);
        outcome["rss"] = json!(rss);
        outcome["rss_restarted"] = json!(resident_bytes(server.pid()));
        server.stop()?;
    }
    Ok(outcome)
}
