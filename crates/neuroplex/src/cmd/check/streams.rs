//! Durable streams: whether somebody keeps them, and whether what is kept is whole.

use std::time::{Duration, Instant};

use client::{Client, Error};
use kernel::Code;
use serde::Deserialize;

use super::tick::{Tick, ms};
use crate::door::Door;
use crate::text::count;

const STEP_TIMEOUT: Duration = Duration::from_secs(5);
/// Where the API tells about the account.
const API: &str = "$JS.API.INFO";
/// The metric of records that were found damaged since the node began.
const DAMAGED: &str = "neuroplex_store_damaged_records_total";

/// The answer to the question for an account, as far as it matters here.
#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    streams: u64,
    #[serde(default)]
    consumers: u64,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    description: String,
}

/// The API of streams answers.
pub(super) async fn answer(client: &Client) -> Tick {
    const NAME: &str = "streams";
    let start = Instant::now();
    let answer = match client.request((API, ""), STEP_TIMEOUT).await {
        Ok(answer) => answer,
        Err(Error::NoResponders { .. }) => {
            let fix = "To keep messages, use a server with streams: `neuroplex up`, or nats-server with -js.";
            return Tick::warning(NAME, "this server keeps no streams", fix);
        }
        Err(e) if e.code() == Code::PermissionDenied => {
            let fix = "To use streams, let this user publish to `$JS.API.>` and hear `_INBOX.>`.";
            return Tick::warning(NAME, "this user may not use streams", fix);
        }
        Err(e) => return Tick::failure(NAME, e.into()),
    };
    let took = ms(start.elapsed());
    match serde_json::from_slice::<Account>(&answer.payload) {
        Ok(Account { error: None, streams, consumers }) => {
            let held = format!("{} and {}", count(streams, "stream"), count(consumers, "consumer"));
            Tick::good(NAME, format!("{held}, told in {took}"))
        }
        Ok(Account { error: Some(e), .. }) => {
            let what = format!("the API of streams refuses: {}", crate::text::plain(&e.description));
            Tick::bad(NAME, Code::ServiceUnavailable, what, "Look at the server's log.")
        }
        Err(_) => {
            let what = format!("what answers on {} is no API of streams", API);
            let fix = "Find the service that listens there, and give it another subject.";
            Tick::bad(NAME, Code::InvalidRequest, what, fix)
        }
    }
}

/// What the node has found damaged since it began, by its HTTP door.
pub(super) async fn damage(door: Option<Door>) -> Tick {
    const NAME: &str = "damage";
    let Some(mut door) = door else { return Tick::skipped(NAME, "no HTTP door to ask") };
    let metrics = match door.get("/metrics").await {
        Err(e) if matches!(e.code(), Some(Code::AuthFailed | Code::PermissionDenied)) => {
            let what = format!("not known: {}", e.message().trim_end_matches('.'));
            let fix = "It is told to a user of the node's own tenant who may publish on `$NP.monitor`.";
            return Tick::warning(NAME, what, fix);
        }
        metrics => metrics.ok(),
    };
    match metrics.as_deref().and_then(damaged) {
        None => Tick::skipped(NAME, "the HTTP door does not tell; a proxy may hide `/metrics`"),
        Some(0) => Tick::good(NAME, "every stored record that was read is whole"),
        Some(n) => {
            let what = format!("{} damaged in the store since the node began", count(n, "record"));
            let fix = "The node's log names each file and place (\"damage in the store\"). What else can be read is served; \
                       copy it, look at the disk (`smartctl -a`), and put the folder back from a backup.";
            Tick::bad(NAME, Code::DataFolderUnusable, what, fix)
        }
    }
}

fn damaged(metrics: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(metrics).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(DAMAGED)?.strip_prefix(' '))?;
    line.trim().parse::<f64>().ok().map(|n| n as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_records_are_found_among_the_metrics() {
        let text = "# HELP neuroplex_store_damaged_records_total x\n\
                    neuroplex_store_damaged_records_total 3\nneuroplex_store_syncs_total 9\n";
        assert_eq!(damaged(text.as_bytes()), Some(3));
        assert_eq!(damaged(b"<html>"), None);
    }
}
