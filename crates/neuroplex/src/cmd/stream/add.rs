//! `neuroplex stream add`: creates a stream.

use client::jetstream::StreamConfig;
use client::jetstream::api::{Retention, StorageType};

use super::limits::Limits;
use crate::failure::Failure;
use crate::global::Global;
use crate::streams::connect;

const EXAMPLES: &str = "\
Examples:
  neuroplex stream add ORDERS --subjects 'orders.>'
  neuroplex stream add EVENTS --subjects 'events.>,alarms.*' --max-age 7d
  # tasks that one worker takes; at most 10,000 may wait
  neuroplex stream add TASKS --subjects 'tasks.>' --retention workqueue \\
    --discard new --max-msgs 10000

Adding it again with the same words changes nothing; `stream edit` changes one
that exists.";

/// When a message may go.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum RetentionArg {
    /// When a limit says so
    Limits,
    /// Also when every consumer that wants it has acknowledged it
    Interest,
    /// Also when the one consumer that wants it has acknowledged it
    Workqueue,
}

/// Where messages live.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum StorageArg {
    /// On the disk
    File,
    /// In memory, until the process ends
    Memory,
}

/// Create a stream
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Its name
    name: String,

    #[command(flatten)]
    limits: Limits,

    /// When a message may go
    #[arg(long, value_name = "WHEN", default_value = "limits")]
    retention: RetentionArg,

    /// Where messages live
    #[arg(long, value_name = "WHERE", default_value = "file")]
    storage: StorageArg,

    /// On how many servers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
}

/// Creates it; without `--subjects` it stores what is published on its own name.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let mut config = StreamConfig {
        name: args.name.clone(),
        subjects: vec![args.name],
        retention: match args.retention {
            RetentionArg::Limits => Retention::Limits,
            RetentionArg::Interest => Retention::Interest,
            RetentionArg::Workqueue => Retention::WorkQueue,
        },
        storage: match args.storage {
            StorageArg::File => StorageType::File,
            StorageArg::Memory => StorageType::Memory,
        },
        num_replicas: args.replicas.into(),
        max_msgs: -1,
        max_bytes: -1,
        max_consumers: -1,
        max_msgs_per_subject: -1,
        max_msg_size: -1,
        allow_direct: true,
        ..StreamConfig::default()
    };
    args.limits.apply(&mut config);
    let context = connect(global, "stream").await?;
    let info = context.create_stream(&config).await?;
    super::info::show(global, &info)
}
