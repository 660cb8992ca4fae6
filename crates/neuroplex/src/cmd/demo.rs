//! `neuroplex demo`: durable streams on a node of its own, with processes that are killed on purpose. Every sentence is
//! checked by what has just happened; the first that is not true ends the demo with an error. *Not* here: a benchmark.

mod crash;
mod crew;
mod jobs;
mod node;
mod stage;
mod state;
mod told;
mod worker;

use std::time::Duration;

use kernel::Code;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::global::Global;
use crate::link::{Stop, notice};
use stage::Stage;
use told::Told;

const EXAMPLES: &str = "\
Examples:
  neuroplex demo         # about half a minute
  neuroplex demo --fast  # the same without pauses for reading
  neuroplex demo --json  # what happens as events, one JSON object a line

It runs a node of its own, on free ports and in a temporary folder, and leaves
nothing behind. Ctrl-C stops it and everything that it started.";

/// Show durable streams at work: workers and a node are killed, and nothing is lost
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Shorter jobs, and no pauses for reading
    #[arg(long)]
    fast: bool,

    /// Be a worker of this name
    #[arg(long, hide = true)]
    worker: Option<String>,
}

/// How long things last.
#[derive(Clone, Copy, Debug)]
struct Pace {
    fast: bool,
    /// A worker's step.
    step: Duration,
    /// A worker's lease.
    lease: Duration,
    /// For reading, between two acts.
    pause: Duration,
    /// Jobs of several steps.
    jobs: u64,
    /// Jobs that are published while the node dies.
    burst: u64,
}

impl Pace {
    fn of(args: &Args, global: &Global) -> Pace {
        let ms = Duration::from_millis;
        match args.fast {
            true => Pace { fast: true, step: ms(120), lease: ms(1000), pause: ms(0), jobs: 6, burst: 300 },
            false => {
                let pause = if global.json { ms(0) } else { ms(1200) };
                Pace { fast: false, step: ms(350), lease: ms(2000), pause, jobs: 12, burst: 1000 }
            }
        }
    }
}

/// Shows everything, and leaves nothing behind.
pub(crate) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let pace = Pace::of(&args, global);
    if let Some(name) = &args.worker {
        let server = global.server.as_deref().unwrap_or_default();
        return worker::run(server, name, pace.step).await;
    }
    let mut stop = Stop::listen()?;
    // The children are in groups of their own: what ends a terminal's programs would pass them by.
    let mut hangup = signal(SignalKind::hangup())
        .map_err(|e| Failure::new(Code::InternalError, format!("cannot listen for signals: {e}.")))?;
    let mut stage = Stage::new(Told::new(global.json, pace.pause), pace)?;
    let shown = tokio::select! {
        shown = show(&mut stage) => shown,
        () = stop.wanted() => Err(Failure::Interrupted),
        _ = hangup.recv() => Err(Failure::Interrupted),
    };
    let told = stage.told;
    let cleared = stage.clear().await;
    if let Err(Failure::Interrupted) = shown {
        notice(global.json, "stopped", "stopped before its end, with everything that was started");
    }
    shown?;
    cleared?;
    told.end("swept", json!({}), "everything that was started has ended, and the folder is gone")?;
    told.next()
}

/// The acts, in order.
async fn show(stage: &mut Stage) -> Result<(), Failure> {
    stage.told.title()?;
    stage.act("a node, and jobs that are kept").await?;
    stage.open().await?;
    stage.publish_jobs().await?;
    stage.act("a worker dies in the middle of a job").await?;
    stage.lose_a_worker().await?;
    stage.act("the node dies in the middle of publishing").await?;
    stage.lose_the_node().await?;
    stage.act("keys and values").await?;
    stage.settings().await?;
    stage.act("an object").await?;
    stage.picture().await?;
    stage.act("what it comes to").await?;
    stage.sum_up().await
}
