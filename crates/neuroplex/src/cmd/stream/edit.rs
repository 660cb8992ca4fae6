//! `neuroplex stream edit`: changes a stream that exists. What is not said stays as it is.

use super::limits::Limits;
use crate::failure::Failure;
use crate::global::Global;
use crate::streams::connect;

const EXAMPLES: &str = "\
Examples:
  neuroplex stream edit ORDERS --max-age 30d
  neuroplex stream edit ORDERS --subjects 'orders.>,returns.>' --max-bytes 0";

/// Change a stream; what is not said stays as it is
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Its name
    name: String,

    #[command(flatten)]
    limits: Limits,
}

/// Reads the configuration, puts in what was said, and writes all of it back.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let context = connect(global, "stream").await?;
    let mut config = context.stream(&args.name)?.info().await?.config;
    args.limits.apply(&mut config);
    let info = context.update_stream(&config).await?;
    super::info::show(global, &info)
}
