//! `neuroplex object rm`: deletes an object, or a bucket and everything in it.

use client::jetstream::object::Store;
use serde_json::json;

use crate::confirm::YesArg;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::progress::waiting;
use crate::streams::connect;
use crate::text::plain;

const EXAMPLES: &str = "\
Examples:
  neuroplex object rm photos tea.jpg
  neuroplex object rm photos --yes  # the bucket and everything in it";

/// Delete an object, or a bucket and everything in it
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The bucket
    bucket: String,

    /// The object; without it: the bucket
    name: Option<String>,

    #[command(flatten)]
    yes: YesArg,
}

/// Asks, then deletes.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let what = match &args.name {
        Some(name) => format!("object `{}` of bucket `{}`", plain(name), args.bucket),
        None => format!("bucket `{}` and every object in it", args.bucket),
    };
    args.yes.confirm(&format!("delete {what}"))?;
    let context = connect(global, "object").await?;
    match &args.name {
        Some(name) => Store::open(&context, &args.bucket).await?.delete(name).await?,
        None => waiting(global.json, "deleting the bucket", Store::remove(&context, &args.bucket)).await?,
    }
    print(&match global.json {
        true => json!({ "bucket": args.bucket, "name": args.name, "deleted": true }).to_string(),
        false => format!("{what} deleted"),
    })
}
