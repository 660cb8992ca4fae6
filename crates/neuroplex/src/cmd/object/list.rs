//! `neuroplex object ls`: the buckets of objects, or the objects of one.

use client::jetstream::object::{Store, StoreInfo};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::progress::waiting;
use crate::streams::{ago, connect};
use crate::table::Columns;
use crate::units::size;

const EXAMPLES: &str = "\
Examples:
  neuroplex object ls         # the buckets
  neuroplex object ls photos  # the objects of one
  neuroplex object ls photos --json";

/// List the buckets, or the objects of one
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The bucket whose objects to list
    bucket: Option<String>,
}

/// Lists either.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let context = connect(global, "object").await?;
    let Some(name) = &args.bucket else {
        return buckets(global, &Store::buckets(&context).await?);
    };
    let all = waiting(global.json, "listing objects", Store::open(&context, name).await?.list()).await?;
    if global.json {
        return print(&json!(all).to_string());
    }
    let mut table = Columns::new(&["name", "#size", "stored", "description"]);
    for info in &all {
        let what = match info.link() {
            Some(link) => format!("stands for {} of {}", link.name, link.bucket),
            None => info.description.clone(),
        };
        table.row([info.name.clone(), size(info.size), ago(info.mtime), what]);
    }
    print(&table.text("no objects"))
}

fn buckets(global: &Global, all: &[StoreInfo]) -> Result<(), Failure> {
    if global.json {
        let row = |info: &StoreInfo| json!({ "bucket": info.bucket(), "bytes": info.bytes() });
        return print(&all.iter().map(row).collect::<Value>().to_string());
    }
    let mut table = Columns::new(&["bucket", "#size", "last change"]);
    for info in all {
        table.row([info.bucket().into(), size(info.bytes()), ago(info.stream.state.last_ts)]);
    }
    print(&table.text("no buckets"))
}
