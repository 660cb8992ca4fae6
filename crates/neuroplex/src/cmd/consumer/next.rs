//! `neuroplex consumer next`: takes messages from a consumer and acknowledges them once they are printed.

use std::time::{Duration, Instant};

use client::Message;
use client::jetstream::api::AckPolicy;
use client::jetstream::{Consumer, Delivery, Fetch};
use kernel::Code;

use crate::failure::Failure;
use crate::global::Global;
use crate::link::{self, Stop};
use crate::output::Output;
use crate::streams::{connect, moment};
use crate::text;
use crate::units::Span;

const EXAMPLES: &str = "\
Examples:
  neuroplex consumer next ORDERS kitchen
  neuroplex consumer next ORDERS kitchen --count 100 --wait 1s --json
  # look, and let it be delivered again
  neuroplex consumer next ORDERS kitchen --no-ack
  neuroplex consumer next ORDERS kitchen --nak  # give it back at once

A message is acknowledged (marked as done) when it has been printed, so one that
a broken pipe swallowed comes again.";

/// Most messages of one pull.
const BATCH_MAX: u64 = 100;

/// Take messages from a consumer
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The stream
    stream: String,

    /// The consumer
    name: String,

    /// How many messages
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,

    /// How long to wait for them
    #[arg(long, value_name = "TIME", default_value = "5s")]
    wait: Span,

    /// Acknowledge each: the default
    #[arg(long, conflicts_with_all = ["nak", "no_ack"])]
    ack: bool,

    /// Give each back, to be delivered again at once
    #[arg(long, conflicts_with = "no_ack")]
    nak: bool,

    /// Say nothing: each is delivered again when its time is over
    #[arg(long)]
    no_ack: bool,
}

/// What to say of a message that was printed.
#[derive(Clone, Copy)]
enum Say {
    Ack,
    Nak,
    Nothing,
}

/// Prints up to `--count` messages. None at all is a failure; fewer than asked for are told on stderr.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let context = connect(global, "consumer").await?;
    let consumer = context.stream(&args.stream)?.consumer(&args.name)?;
    let say = match consumer.info().await?.config.ack_policy {
        AckPolicy::None => Say::Nothing,
        _ if args.no_ack => Say::Nothing,
        _ if args.nak => Say::Nak,
        _ => Say::Ack,
    };
    let mut stop = Stop::listen()?;
    let mut taker =
        Taker { consumer, say, json: global.json, out: Output::new(), taken: 0, held: Vec::new() };
    let stopped = tokio::select! {
        taken = taker.take(args.count, args.wait.0) => taken.map(|()| false)?,
        () = stop.wanted() => true,
    };
    for delivery in &taker.held {
        delivery.nak(None).await?;
    }
    _ = context.client().close().await;
    match taker.taken {
        taken if stopped && taken < args.count => Err(Failure::Interrupted),
        0 => Err(Failure::new(
            Code::Timeout,
            format!(
                "no message came within {}. `neuroplex consumer info {} {}` says what waits; --wait allows more time.",
                args.wait, args.stream, args.name
            ),
        )),
        taken if taken < args.count => {
            let text = format!("{} of {} came within {}", taken, args.count, args.wait);
            link::notice(global.json, "fewer", &text);
            Ok(())
        }
        _ => Ok(()),
    }
}

struct Taker {
    consumer: Consumer,
    say: Say,
    json: bool,
    out: Output,
    taken: u64,
    /// What is given back when everything has been taken: sooner, it would come again at once.
    held: Vec<Delivery>,
}

impl Taker {
    async fn take(&mut self, count: u64, wait: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + wait;
        while self.taken < count {
            let left = deadline.saturating_duration_since(Instant::now());
            let fetch = Fetch::new((count - self.taken).min(BATCH_MAX));
            let over = left.is_zero();
            let fetch = if over { fetch.no_wait() } else { fetch.expires(left) };
            let before = self.taken;
            let mut batch = self.consumer.fetch(fetch).await?;
            while let Some(delivery) = batch.next().await? {
                self.show(&delivery).await?;
            }
            // Once the time is over, what is there already is still taken.
            if over && self.taken == before {
                break;
            }
        }
        Ok(())
    }

    async fn show(&mut self, delivery: &Delivery) -> Result<(), Failure> {
        self.out.line(&match self.json {
            true => json(delivery),
            false => human(delivery),
        })?;
        self.out.flush()?;
        self.taken += 1;
        match self.say {
            Say::Ack => delivery.ack_confirmed().await?,
            Say::Nak => self.held.push(delivery.clone()),
            Say::Nothing => {}
        }
        Ok(())
    }
}

/// Its number, when it was stored, how often it came; then the message without the consumer's reply subject.
fn human(delivery: &Delivery) -> String {
    let at = delivery.position();
    let again = if at.delivered > 1 { format!(", delivery {}", at.delivered) } else { String::new() };
    let message = Message { reply: Default::default(), ..delivery.message.clone() };
    format!("#{} {}{again}\n{}", at.stream_seq, moment(at.time), text::message(&message))
}

fn json(delivery: &Delivery) -> String {
    let at = delivery.position();
    let message = Message { reply: Default::default(), ..delivery.message.clone() };
    format!(
        r#"{{"stream":{},"consumer":{},"seq":{},"time":"{}","delivered":{},"pending":{},"message":{}}}"#,
        serde_json::json!(at.stream),
        serde_json::json!(at.consumer),
        at.stream_seq,
        at.time,
        at.delivered,
        at.pending,
        wire::json::write(&message.as_msg())
    )
}
