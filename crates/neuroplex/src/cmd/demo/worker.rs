//! A worker: takes jobs from the queue until the demo closes its stdin, and says on stdout what it does. It knows nothing
//! of the kills: what it does here, any worker should do.

use std::time::Duration;

use client::jetstream::{Context, Delivery, PublishOptions, Pull};
use client::{Client, Options};
use kernel::Code;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::time::sleep;

use super::stage::{CONSUMER, QUEUE};
use crate::failure::Failure;
use crate::output::print;

/// Between attempts to hand in a result.
const AGAIN: Duration = Duration::from_millis(100);

/// A job, as it stands in the queue.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) job: u64,
    pub(super) steps: u32,
}

/// What a worker says, one JSON object a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub(super) enum Said {
    /// It waits for jobs.
    Ready,
    /// It has a job, for the so-manieth time that anybody has; `lease` is where it is acknowledged.
    Took { job: u64, steps: u32, attempt: u64, lease: String },
    /// It is so far, and has told the node that it is still at it.
    Step { job: u64, step: u32 },
    /// The result is stored, and the node has confirmed that the job is done.
    Done { job: u64, attempt: u64 },
    /// The job was given to another meanwhile.
    Stale { job: u64 },
    /// It is no more.
    Ended,
}

/// Who said what.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) worker: String,
    pub(super) said: Said,
}

/// Works until nobody wants it any more.
pub(super) async fn run(server: &str, name: &str, step: Duration) -> Result<(), Failure> {
    tokio::select! {
        ended = work(server, name, step) => ended,
        () = forsaken() => Ok(()),
    }
}

/// Returns when whoever started it has gone.
async fn forsaken() {
    let mut byte = [0];
    while tokio::io::stdin().read(&mut byte).await.is_ok_and(|read| read > 0) {}
}

async fn work(server: &str, name: &str, step: Duration) -> Result<(), Failure> {
    let options = Options::new(server)
        .name(format!("neuroplex demo {name}"))
        .reconnect_delay(Duration::from_millis(20), Duration::from_millis(200));
    let streams = Context::new(Client::connect(options).await?).timeout(Duration::from_secs(2));
    let queue = streams.stream(QUEUE)?.consumer(CONSUMER)?;
    let pull = Pull::default().batch(1).expires(Duration::from_secs(5)).heartbeat(Duration::from_millis(500));
    let mut deliveries = queue.messages(pull)?;
    say(&Said::Ready)?;
    loop {
        match deliveries.next().await {
            Ok(Some(delivery)) => perform(&streams, name, step, &delivery).await?,
            Ok(None) => return Ok(()),
            // The node is away; it comes back.
            Err(_) => sleep(AGAIN).await,
        }
    }
}

/// One job: its steps, its result, its acknowledgement, in this order.
async fn perform(streams: &Context, name: &str, step: Duration, delivery: &Delivery) -> Result<(), Failure> {
    let unreadable = |e| Failure::new(Code::InvalidRequest, format!("this is no job: {e}."));
    let Job { job, steps } = serde_json::from_slice(&delivery.message.payload).map_err(unreadable)?;
    let attempt = delivery.position().delivered;
    if steps > 0 {
        let lease = String::from_utf8_lossy(&delivery.message.reply).into_owned();
        say(&Said::Took { job, steps, attempt, lease })?;
    }
    for n in 1..=steps {
        sleep(step).await;
        // +WPI: the lease begins anew. Should it not arrive, the lease ends, and that is all.
        _ = delivery.progress().await;
        say(&Said::Step { job, step: n })?;
    }
    // Whoever comes to this point with the same job hands in the same id: one result is stored.
    let options = PublishOptions::default().id(format!("result-{job}"));
    while streams.publish_with((format!("results.{job}"), name), &options).await.is_err() {
        sleep(AGAIN).await;
    }
    match delivery.ack_confirmed().await {
        Ok(()) => say(&Said::Done { job, attempt }),
        Err(e) if e.code() == Code::StaleLease => say(&Said::Stale { job }),
        // Nobody knows whether it counts: if not, the job comes again.
        Err(_) => Ok(()),
    }
}

fn say(said: &Said) -> Result<(), Failure> {
    print(&serde_json::to_string(said).unwrap_or_default())
}
