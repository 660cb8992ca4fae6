//! `neuroplex consumer info`: what a consumer is to be, and how far it is.

use client::jetstream::ConsumerInfo;
use client::jetstream::api::{AckPolicy, ConsumerConfig, DeliverPolicy, SequenceInfo};
use serde_json::json;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::streams::{ago, connect, limit, moment, nanos};
use crate::table::Columns;
use crate::text::plain;

const EXAMPLES: &str = "\
Examples:
  neuroplex consumer info ORDERS kitchen
  neuroplex consumer info ORDERS kitchen --json";

/// Show a consumer: its configuration and how far it is
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The stream
    stream: String,

    /// Its name
    name: String,
}

/// Asks and shows.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let context = connect(global, "consumer").await?;
    let info = context.stream(&args.stream)?.consumer(&args.name)?.info().await?;
    show(global, &info)
}

/// A consumer for people, or as the API says it.
pub(super) fn show(global: &Global, info: &ConsumerInfo) -> Result<(), Failure> {
    if global.json {
        return print(&json!(info).to_string());
    }
    let title = format!(
        "consumer {} of stream {}, made {}",
        plain(&info.name),
        plain(&info.stream_name),
        moment(info.created)
    );
    let config = &info.config;
    let mut rows = Vec::new();
    if !config.description.is_empty() {
        rows.push(("description", config.description.clone()));
    }
    rows.push(("hears", filter(config)));
    rows.push(("begins at", begins(config)));
    rows.push(("acknowledged", config.ack_policy.as_str().into()));
    rows.push(("delivered up to", reached(&info.delivered)));
    if config.ack_policy != AckPolicy::None {
        rows.push(("acknowledged up to", reached(&info.ack_floor)));
        rows.push(("not acknowledged", info.num_ack_pending.to_string()));
        rows.push(("delivered again", info.num_redelivered.to_string()));
        rows.push(("again after", waits(config)));
        rows.push(("deliveries", limit(config.max_deliver, |n| n.to_string())));
    }
    rows.push(("not delivered yet", info.num_pending.to_string()));
    if info.paused {
        rows.push(("paused for", limit(info.pause_remaining, nanos)));
    }
    print(&format!("{title}\n{}", Columns::pairs(rows)))
}

/// What it hears.
pub(super) fn filter(config: &ConsumerConfig) -> String {
    match (config.filter_subject.as_str(), config.filter_subjects.as_slice()) {
        ("", []) => "everything".into(),
        ("", many) => many.join(", "),
        (one, _) => one.into(),
    }
}

fn begins(config: &ConsumerConfig) -> String {
    match config.deliver_policy {
        DeliverPolicy::All => "the first message".into(),
        DeliverPolicy::Last => "the last message".into(),
        DeliverPolicy::New => "the next message".into(),
        DeliverPolicy::LastPerSubject => "the last message of each subject".into(),
        DeliverPolicy::ByStartSequence => format!("message {}", config.opt_start_seq),
        DeliverPolicy::ByStartTime => moment(config.opt_start_time.unwrap_or_default()),
    }
}

/// When a message comes again that was not acknowledged.
fn waits(config: &ConsumerConfig) -> String {
    match config.backoff.as_slice() {
        [] => limit(config.ack_wait, nanos),
        waits => waits.iter().map(|ns| limit(*ns, nanos)).collect::<Vec<_>>().join(", "),
    }
}

fn reached(at: &SequenceInfo) -> String {
    if at.stream_seq == 0 {
        return "nothing".into();
    }
    let last = at.last_active.map(|time| format!(", {}", ago(time))).unwrap_or_default();
    format!("message {}{last}", at.stream_seq)
}
