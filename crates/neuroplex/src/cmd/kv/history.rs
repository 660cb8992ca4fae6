//! `neuroplex kv history`: everything that is kept of a key.

use client::jetstream::kv::Bucket;

use super::entry::{human, json};
use crate::failure::Failure;
use crate::global::Global;
use crate::output::Output;
use crate::streams::connect;

const EXAMPLES: &str = "\
Examples:
  neuroplex kv history settings color
  neuroplex kv history settings color --json  # one entry a line";

/// Show everything that is kept of a key, oldest first
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The bucket
    bucket: String,

    /// The key
    key: String,
}

/// Prints one entry a line.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let context = connect(global, "kv").await?;
    let bucket = Bucket::open(&context, &args.bucket).await?;
    let mut out = Output::new();
    for entry in bucket.history(&args.key).await? {
        out.line(&if global.json { json(&args.bucket, &entry) } else { human(&entry) })?;
    }
    out.flush()
}
