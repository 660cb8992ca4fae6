//! `neuroplex stream purge`: removes messages; the stream and its consumers stay.

use client::jetstream::Purge;
use serde_json::json;

use crate::confirm::YesArg;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::progress::waiting;
use crate::streams::connect;
use crate::text::count;

const EXAMPLES: &str = "\
Examples:
  neuroplex stream purge ORDERS                      # everything; asks first
  neuroplex stream purge ORDERS --subject orders.old --yes
  neuroplex stream purge ORDERS --keep 100 --yes     # all but the last hundred
  neuroplex stream purge ORDERS --before 5000 --yes  # numbers below 5000";

/// Remove messages of a stream
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The stream
    name: String,

    /// Only those whose subject this pattern matches
    #[arg(long, value_name = "PATTERN")]
    subject: Option<String>,

    /// Only those with a lower number
    #[arg(long, value_name = "SEQ", conflicts_with = "keep", value_parser = clap::value_parser!(u64).range(1..))]
    before: Option<u64>,

    /// All but the last so many
    #[arg(long, value_name = "N")]
    keep: Option<u64>,

    #[command(flatten)]
    yes: YesArg,
}

/// Asks, removes, and says how many.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let which = match (&args.subject, args.before, args.keep) {
        (None, None, None) => "every message",
        _ => "messages",
    };
    args.yes.confirm(&format!("remove {which} of stream `{}`", args.name))?;
    let context = connect(global, "stream").await?;
    let purge = Purge {
        filter: args.subject.unwrap_or_default(),
        seq: args.before.unwrap_or_default(),
        keep: args.keep.unwrap_or_default(),
    };
    let stream = context.stream(&args.name)?;
    let purged = waiting(global.json, "removing messages", stream.purge(&purge)).await?;
    print(&match global.json {
        true => json!({ "stream": args.name, "purged": purged }).to_string(),
        false => format!("{} removed from {}", count(purged, "message"), args.name),
    })
}
