//! `neuroplex consumer rm`: forgets a consumer; the messages stay.

use serde_json::json;

use crate::confirm::YesArg;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::streams::connect;

const EXAMPLES: &str = "\
Examples:
  neuroplex consumer rm ORDERS kitchen
  neuroplex consumer rm ORDERS kitchen --yes";

/// Delete a consumer; how far it was is forgotten
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The stream
    stream: String,

    /// Its name
    name: String,

    #[command(flatten)]
    yes: YesArg,
}

/// Asks, then deletes.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    args.yes.confirm(&format!("delete consumer `{}` of stream `{}`", args.name, args.stream))?;
    let context = connect(global, "consumer").await?;
    context.stream(&args.stream)?.delete_consumer(&args.name).await?;
    print(&match global.json {
        true => json!({ "stream": args.stream, "consumer": args.name, "deleted": true }).to_string(),
        false => format!("consumer {} of stream {} deleted", args.name, args.stream),
    })
}
