//! `neuroplex stream ls`: every stream.

use serde_json::json;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::progress::waiting;
use crate::streams::{ago, connect};
use crate::table::Columns;
use crate::units::size;

const EXAMPLES: &str = "\
Examples:
  neuroplex stream ls
  neuroplex stream ls --subject orders.new  # those that store it
  neuroplex stream ls --json";

/// List the streams
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Only those that store something that this pattern matches
    #[arg(long, value_name = "PATTERN")]
    subject: Option<String>,
}

/// Lists them by name, buckets of keys and objects included.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let context = connect(global, "stream").await?;
    let all = waiting(global.json, "listing", context.streams(args.subject.as_deref())).await?;
    if global.json {
        return print(&json!(all).to_string());
    }
    let mut table = Columns::new(&["name", "subjects", "#messages", "#size", "#consumers", "last message"]);
    for info in &all {
        table.row([
            info.config.name.clone(),
            info.config.subjects.join(", "),
            info.state.messages.to_string(),
            size(info.state.bytes),
            info.state.consumer_count.to_string(),
            ago(info.state.last_ts),
        ]);
    }
    print(&table.text("no streams"))
}
