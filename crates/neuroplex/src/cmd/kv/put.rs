//! `neuroplex kv put`: gives a key a value.

use client::jetstream::kv::Bucket;
use serde_json::json;

use crate::body;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::streams::connect;
use crate::units::Span;

const EXAMPLES: &str = "\
Examples:
  neuroplex kv put settings color blue
  neuroplex kv put photos tea.jpg - < tea.jpg
  neuroplex kv put locks door me --create  # only if it has no value yet
  # only if nobody has changed it since
  neuroplex kv put settings color green --revision 7";

/// Give a key a value
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The bucket
    bucket: String,

    /// The key
    key: String,

    /// The value; `-` reads stdin; nothing: empty
    #[arg(value_name = "VALUE|-", allow_hyphen_values = true)]
    value: Option<String>,

    /// Only if the key has no value
    #[arg(long, conflicts_with = "revision")]
    create: bool,

    /// Only if this is the key's last revision
    #[arg(long, value_name = "N")]
    revision: Option<u64>,

    /// With --create: how long it lives, where the bucket allows it (`kv add --marker-ttl`)
    #[arg(long, value_name = "TIME", requires = "create")]
    ttl: Option<Span>,
}

/// Writes and says the revision.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let value = body::read(args.value.as_deref()).await?;
    let context = connect(global, "kv").await?;
    let bucket = Bucket::open(&context, &args.bucket).await?;
    let revision = match args.revision {
        Some(revision) => bucket.update(&args.key, &value, revision).await?,
        None if args.create => bucket.create_key(&args.key, &value, args.ttl.map(|ttl| ttl.0)).await?,
        None => bucket.put(&args.key, &value).await?,
    };
    print(&match global.json {
        true => json!({ "bucket": args.bucket, "key": args.key, "revision": revision }).to_string(),
        false => format!("{} has revision {revision}", args.key),
    })
}
