//! `neuroplex kv get`: a key's value.

use client::jetstream::kv::{Bucket, Operation};
use kernel::Code;

use super::entry::json;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::Output;
use crate::streams::connect;

const EXAMPLES: &str = "\
Examples:
  neuroplex kv get settings color
  # an earlier value, if it is kept
  neuroplex kv get settings color --revision 3
  neuroplex kv get photos tea.jpg > tea.jpg
  neuroplex kv get settings color --json  # with its revision";

/// Print the value of a key
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The bucket
    bucket: String,

    /// The key
    key: String,

    /// The value with this revision instead of the last one
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
}

/// Prints the value as it is; a key without one is a failure.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let context = connect(global, "kv").await?;
    let bucket = Bucket::open(&context, &args.bucket).await?;
    let found = match args.revision {
        Some(revision) => bucket.entry_at(&args.key, revision).await?,
        None => bucket.entry(&args.key).await?,
    };
    let Some(entry) = found.filter(|entry| entry.operation == Operation::Put) else {
        let at = args.revision.map(|n| format!(" at revision {n}")).unwrap_or_default();
        return Err(Failure::new(
            Code::NotFound,
            format!(
                "key `{}` of bucket `{}` has no value{at}. `neuroplex kv ls {}` lists the keys, `neuroplex kv history {} {}` what is kept of this one.",
                args.key, args.bucket, args.bucket, args.bucket, args.key
            ),
        ));
    };
    let mut out = Output::new();
    match global.json {
        true => out.line(&json(&args.bucket, &entry))?,
        false => out.content(&entry.value)?,
    }
    out.flush()
}
