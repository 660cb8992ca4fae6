//! `neuroplex kv del`: deletes a key.

use client::jetstream::kv::Bucket;
use serde_json::json;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::streams::connect;

const EXAMPLES: &str = "\
Examples:
  neuroplex kv del settings color
  neuroplex kv del settings color --purge  # its earlier values as well
  # only if nobody has changed it since
  neuroplex kv del locks door --revision 7";

/// Delete a key; a bucket with a history keeps its earlier values
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The bucket
    bucket: String,

    /// The key
    key: String,

    /// Delete its earlier values as well
    #[arg(long)]
    purge: bool,

    /// Only if this is the key's last revision
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
}

/// Deletes; that it had no value is no failure.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let context = connect(global, "kv").await?;
    let bucket = Bucket::open(&context, &args.bucket).await?;
    match args.purge {
        true => bucket.purge(&args.key, args.revision).await?,
        false => bucket.delete(&args.key, args.revision).await?,
    }
    print(&match global.json {
        true => json!({ "bucket": args.bucket, "key": args.key, "deleted": true }).to_string(),
        false => format!("{} deleted", args.key),
    })
}
