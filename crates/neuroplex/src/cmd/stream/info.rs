//! `neuroplex stream info`: what a stream is to be, and what is in it.

use client::jetstream::StreamInfo;
use client::jetstream::api::{StreamConfig, StreamState};
use serde_json::json;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::streams::{ago, connect, limit, moment, nanos};
use crate::table::Columns;
use crate::text::{count, plain};
use crate::units::size;

const EXAMPLES: &str = "\
Examples:
  neuroplex stream info ORDERS
  # and how many messages each subject has
  neuroplex stream info ORDERS --subjects 'orders.*'
  # with the field names of the JetStream API
  neuroplex stream info ORDERS --json";

/// Show a stream: its configuration and what is in it
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Its name
    name: String,

    /// Count the messages of each subject that this pattern matches
    #[arg(long, value_name = "PATTERN")]
    subjects: Option<String>,
}

/// Asks and shows.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let context = connect(global, "stream").await?;
    let stream = context.stream(&args.name)?;
    let info = match &args.subjects {
        Some(pattern) => stream.info_with_subjects(pattern).await?,
        None => stream.info().await?,
    };
    show(global, &info)?;
    if global.json || args.subjects.is_none() {
        return Ok(());
    }
    let subjects = &info.state.subjects;
    let mut table = Columns::new(&["subject", "#messages"]);
    subjects.iter().for_each(|(subject, messages)| table.row([subject.clone(), messages.to_string()]));
    print(&format!("\n{}", table.text("no messages on such subjects")))
}

/// A stream for people, or as the API says it.
pub(super) fn show(global: &Global, info: &StreamInfo) -> Result<(), Failure> {
    if global.json {
        return print(&json!(info).to_string());
    }
    let StreamInfo { config, state, .. } = info;
    let title = format!("stream {}, made {}", plain(&config.name), moment(info.created));
    let mut rows = about(config);
    rows.extend(holds(state));
    print(&format!("{title}\n{}", Columns::pairs(rows)))
}

fn about(config: &StreamConfig) -> Vec<(&'static str, String)> {
    let mut rows = vec![("subjects", config.subjects.join(", "))];
    if !config.description.is_empty() {
        rows.insert(0, ("description", config.description.clone()));
    }
    let replicas = config.num_replicas.max(1).unsigned_abs();
    rows.push(("storage", format!("{}, {}", config.storage.as_str(), count(replicas, "replica"))));
    rows.push(("retention", format!("{}, discards {}", config.retention.as_str(), config.discard.as_str())));
    rows.push(("max age", limit(config.max_age, nanos)));
    rows.push(("max bytes", limit(config.max_bytes, size)));
    rows.push(("max messages", limit(config.max_msgs, |n| n.to_string())));
    for (name, value) in [
        ("max per subject", limit(config.max_msgs_per_subject, |n| n.to_string())),
        ("max message", limit(config.max_msg_size.into(), size)),
        ("duplicates", limit(config.duplicate_window, nanos)),
    ] {
        if value != "no limit" {
            rows.push((name, value));
        }
    }
    let allowed = [
        (config.allow_direct, "direct reads"),
        (config.allow_rollup_hdrs, "rollups"),
        (config.allow_msg_ttl, "time to live"),
        (config.deny_delete, "no deleting"),
        (config.deny_purge, "no purging"),
        (config.sealed, "sealed"),
    ];
    let allowed: Vec<&str> = allowed.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    if !allowed.is_empty() {
        rows.push(("allows", allowed.join(", ")));
    }
    rows
}

fn holds(state: &StreamState) -> Vec<(&'static str, String)> {
    let mut rows = vec![("holds", format!("{}, {}", count(state.messages, "message"), size(state.bytes)))];
    if state.messages > 0 {
        rows.push(("numbers", format!("{} to {}", state.first_seq, state.last_seq)));
        rows.push(("first", format!("{} ({})", moment(state.first_ts), ago(state.first_ts))));
        rows.push(("last", format!("{} ({})", moment(state.last_ts), ago(state.last_ts))));
        rows.push(("of subjects", state.num_subjects.to_string()));
    }
    if state.num_deleted > 0 {
        rows.push(("deleted", state.num_deleted.to_string()));
    }
    rows.push(("consumers", state.consumer_count.to_string()));
    rows
}
