//! `neuroplex consumer ls`: the consumers of a stream.

use serde_json::json;

use super::info::filter;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::streams::{ago, connect};
use crate::table::Columns;

const EXAMPLES: &str = "\
Examples:
  neuroplex consumer ls ORDERS
  neuroplex consumer ls ORDERS --json";

/// List the consumers of a stream
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The stream
    stream: String,
}

/// Lists them by name.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let context = connect(global, "consumer").await?;
    let all = context.stream(&args.stream)?.consumers().await?;
    if global.json {
        return print(&json!(all).to_string());
    }
    let mut table =
        Columns::new(&["name", "hears", "ack", "#delivered", "#unacknowledged", "#waiting", "last delivery"]);
    for info in &all {
        table.row([
            info.name.clone(),
            filter(&info.config),
            info.config.ack_policy.as_str().into(),
            info.delivered.stream_seq.to_string(),
            info.num_ack_pending.to_string(),
            info.num_pending.to_string(),
            ago(info.delivered.last_active.unwrap_or_default()),
        ]);
    }
    print(&table.text("no consumers"))
}
