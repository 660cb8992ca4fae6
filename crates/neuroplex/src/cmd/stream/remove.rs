//! `neuroplex stream rm`: deletes a stream and everything in it.

use serde_json::json;

use crate::confirm::YesArg;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::progress::waiting;
use crate::streams::connect;

const EXAMPLES: &str = "\
Examples:
  neuroplex stream rm ORDERS
  neuroplex stream rm ORDERS --yes";

/// Delete a stream and everything in it
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Its name
    name: String,

    #[command(flatten)]
    yes: YesArg,
}

/// Asks, then deletes.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    args.yes.confirm(&format!("delete stream `{}` and everything in it", args.name))?;
    let context = connect(global, "stream").await?;
    waiting(global.json, "deleting the stream", context.delete_stream(&args.name)).await?;
    print(&match global.json {
        true => json!({ "stream": args.name, "deleted": true }).to_string(),
        false => format!("stream {} deleted", args.name),
    })
}
