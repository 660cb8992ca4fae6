//! `neuroplex kv rm`: deletes a bucket and everything in it.

use client::jetstream::kv::Bucket;
use serde_json::json;

use crate::confirm::YesArg;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::progress::waiting;
use crate::streams::connect;

const EXAMPLES: &str = "\
Examples:
  neuroplex kv rm settings
  neuroplex kv rm settings --yes

One key is deleted by `kv del`.";

/// Delete a bucket and everything in it
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The bucket
    bucket: String,

    #[command(flatten)]
    yes: YesArg,
}

/// Asks, then deletes.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    args.yes.confirm(&format!("delete bucket `{}` and every key in it", args.bucket))?;
    let context = connect(global, "kv").await?;
    waiting(global.json, "deleting the bucket", Bucket::remove(&context, &args.bucket)).await?;
    print(&match global.json {
        true => json!({ "bucket": args.bucket, "deleted": true }).to_string(),
        false => format!("bucket {} deleted", args.bucket),
    })
}
