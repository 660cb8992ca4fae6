//! `neuroplex kv watch`: what happens to keys, as it happens.

use client::jetstream::kv::{Bucket, WatchOptions};

use super::entry::{human, json};
use crate::failure::Failure;
use crate::global::Global;
use crate::link::{self, Stop};
use crate::output::{Output, reader_gone};
use crate::streams::stay;

const EXAMPLES: &str = "\
Examples:
  neuroplex kv watch settings  # every key: its value now, then every change
  neuroplex kv watch settings 'door.*' --new  # only changes from now on
  neuroplex kv watch settings color --history --max 5 --json";

/// Watch keys: their values now, then every change
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The bucket
    bucket: String,

    /// Which keys: `*` stands for one word between dots, `>` for all that follow (quote them)
    #[arg(value_name = "KEY|PATTERN", default_value = ">", hide_default_value = true)]
    keys: String,

    /// Leave out what is there already
    #[arg(long, conflicts_with = "history")]
    new: bool,

    /// Begin with every value that is kept
    #[arg(long)]
    history: bool,

    /// End after so many entries
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
}

/// Prints entries until `--max`, Ctrl-C or SIGTERM.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let context = stay(global, "kv").await?;
    let bucket = Bucket::open(&context, &args.bucket).await?;
    let mut options = WatchOptions::default();
    if args.new {
        options = options.only_new();
    }
    if args.history {
        options = options.history();
    }
    let mut watch = bucket.watch(&args.keys, options).await?;
    let text = format!("watching {} of bucket {} on {}", args.keys, args.bucket, context.client().server());
    link::notice(global.json, "watching", &text);

    let mut out = Output::new();
    let mut gone = reader_gone();
    let mut shown = 0;
    while args.max.is_none_or(|max| shown < max) {
        let entry = tokio::select! {
            next = watch.next() => next?,
            Ok(()) = &mut gone => return Err(Failure::PipeClosed),
            () = stop.wanted() => break,
        };
        let Some(entry) = entry else { break };
        out.line(&if global.json { json(&args.bucket, &entry) } else { human(&entry) })?;
        out.flush()?;
        shown += 1;
    }
    watch.close().await;
    _ = context.client().close().await;
    Ok(())
}
