//! `neuroplex kv add`: creates a bucket.

use client::jetstream::api::StorageType;
use client::jetstream::kv::{Bucket, BucketConfig};
use serde_json::json;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::streams::connect;
use crate::units::{Size, Span};

const EXAMPLES: &str = "\
Examples:
  neuroplex kv add settings
  neuroplex kv add sessions --ttl 1h --max-bytes 64MiB
  neuroplex kv add documents --history 10 --max-value-size 1MiB

Adding it again with the same words changes nothing; other words are an error.";

/// Create a bucket
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Its name: letters, digits, `_` and `-`
    bucket: String,

    /// How many values each key keeps
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    history: u8,

    /// How long a value lives, such as 1h [default: for ever]
    #[arg(long, value_name = "TIME")]
    ttl: Option<Span>,

    /// How many bytes it may hold, such as 64MiB [default: no limit]
    #[arg(long, value_name = "SIZE")]
    max_bytes: Option<Size>,

    /// How large a value may be [default: as large as the server takes]
    #[arg(long, value_name = "SIZE")]
    max_value_size: Option<Size>,

    /// Let single keys have a time to live, and note for so long that one is gone
    #[arg(long, value_name = "TIME")]
    marker_ttl: Option<Span>,

    /// Keep values in memory instead of on the disk
    #[arg(long)]
    memory: bool,

    /// What people should know of it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,

    /// On how many servers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
}

/// Creates it.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let mut config = BucketConfig::new(&args.bucket)
        .description(args.description)
        .history(args.history)
        .replicas(args.replicas);
    if let Some(Span(ttl)) = args.ttl {
        config = config.ttl(ttl);
    }
    if let Some(Span(ttl)) = args.marker_ttl {
        config = config.marker_ttl(ttl);
    }
    if let Some(Size(bytes)) = args.max_bytes.filter(|size| size.0 > 0) {
        config = config.max_bytes(bytes);
    }
    if let Some(Size(bytes)) = args.max_value_size.filter(|size| size.0 > 0) {
        config = config.max_value_bytes(u32::try_from(bytes).unwrap_or(u32::MAX));
    }
    if args.memory {
        config = config.storage(StorageType::Memory);
    }
    let context = connect(global, "kv").await?;
    Bucket::create(&context, &config).await?;
    print(&match global.json {
        true => json!({ "bucket": args.bucket, "history": args.history }).to_string(),
        false => format!("bucket {} is there", args.bucket),
    })
}
