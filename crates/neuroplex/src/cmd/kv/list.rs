//! `neuroplex kv ls`: the buckets, or the keys of one.

use client::jetstream::kv::Bucket;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::global::Global;
use crate::output::{Output, print};
use crate::progress::waiting;
use crate::streams::{ago, connect, nanos};
use crate::table::Columns;
use crate::text::plain;
use crate::units::size;

const EXAMPLES: &str = "\
Examples:
  neuroplex kv ls                    # the buckets
  neuroplex kv ls settings           # the keys of one
  neuroplex kv ls settings 'door.*'  # some of them";

/// List the buckets, or the keys of one
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The bucket whose keys to list
    bucket: Option<String>,

    /// Only keys that this pattern matches
    #[arg(value_name = "PATTERN", default_value = ">", hide_default_value = true)]
    keys: String,
}

/// Lists either.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let context = connect(global, "kv").await?;
    let Some(name) = &args.bucket else {
        let buckets = Bucket::list(&context).await?;
        if global.json {
            let row = |b: &client::jetstream::kv::BucketInfo| json!({ "bucket": b.bucket(), "values": b.values(), "bytes": b.bytes(), "history": b.history() });
            return print(&buckets.iter().map(row).collect::<Value>().to_string());
        }
        let mut table = Columns::new(&["bucket", "#values", "#size", "#history", "ttl", "last change"]);
        for info in &buckets {
            table.row([
                info.bucket().into(),
                info.values().to_string(),
                size(info.bytes()),
                info.history().to_string(),
                info.ttl().map_or_else(|| "for ever".into(), |ttl| nanos(ttl.as_nanos() as u64)),
                ago(info.stream.state.last_ts),
            ]);
        }
        return print(&table.text("no buckets"));
    };
    let keys =
        waiting(global.json, "listing keys", Bucket::open(&context, name).await?.keys(&args.keys)).await?;
    let mut out = Output::new();
    match global.json {
        true => out.line(&json!(keys).to_string())?,
        false if keys.is_empty() => out.line("no keys")?,
        false => keys.iter().try_for_each(|key| out.line(&plain(key)))?,
    }
    out.flush()
}
