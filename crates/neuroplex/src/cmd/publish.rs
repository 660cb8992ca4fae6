//! `neuroplex pub`: publishes, and ends when the server has it.

use client::Msg;
use client::jetstream::{Context, PubAck, PublishOptions};
use kernel::envelope::name;
use serde_json::json;
use wire::jetstream::pub_headers::header;

use crate::body::BodyArgs;
use crate::failure::Failure;
use crate::global::Global;
use crate::link::{Link, notice};
use crate::output::print;
use crate::progress::waiting;
use crate::text::count;

const EXAMPLES: &str = "\
Examples:
  neuroplex pub events.hello '{\"hi\":1}'
  neuroplex pub tasks.plan -H Np-Type:command -H 'Color: blue' 'make tea'
  cat photo.jpg | neuroplex pub photos.new -
  neuroplex pub load.test x --count 100000
  # a stream keeps it, and gives it out in five minutes
  neuroplex pub jobs.clean x --priority low --delay 5m
  # stored once, however often it is sent
  neuroplex pub orders.new '{\"tea\":2}' --ack -H Nats-Msg-Id:o1

--ack, --delay and --ttl need a stream that takes the subject:
`neuroplex stream add JOBS --subjects 'jobs.>'`.";

/// Messages that may wait for their acknowledgement at once.
const IN_FLIGHT_MAX: usize = 256;

/// Publish a message
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where it goes, such as events.hello
    subject: String,

    #[command(flatten)]
    body: BodyArgs,

    /// Where answers go
    #[arg(long, value_name = "SUBJECT")]
    reply: Option<String>,

    /// How many times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,

    /// Wait until a stream has stored it
    #[arg(long, conflicts_with = "reply")]
    ack: bool,

    /// How soon consumers get it: critical, high, normal or low
    #[arg(long, value_name = "PRIORITY", value_parser = ["critical", "high", "normal", "low"])]
    priority: Option<String>,

    /// How long a stream keeps it back, such as 500ms or 5m; waits until it is stored
    #[arg(long, value_name = "DURATION", conflicts_with = "reply")]
    delay: Option<String>,

    /// How long a stream keeps it, such as 10m; the stream must allow it
    #[arg(long, value_name = "DURATION")]
    ttl: Option<String>,
}

impl Args {
    /// The headers that other arguments stand for.
    fn marks(&self) -> Vec<(&str, &str)> {
        let all = [(name::PRIORITY, &self.priority), (name::DELAY, &self.delay), (header::TTL, &self.ttl)];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
    }
}

/// Publishes and waits until the server has read it.
pub(crate) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let content = args.body.content_with(&args.marks()).await?;
    let message = Msg {
        subject: args.subject.as_bytes(),
        reply: args.reply.as_deref().unwrap_or_default().as_bytes(),
        headers: &content.headers,
        payload: &content.payload,
        shared: None,
        from: None,
    };
    let link = Link::once(global, "pub").await?;
    // Whether a stream keeps it back is only known from its answer.
    if args.ack || args.delay.is_some() {
        return waiting(
            global.json,
            "publishing, and waiting for acknowledgements",
            stored(global, &link, &args, message),
        )
        .await;
    }
    let publish = async {
        for _ in 0..args.count {
            link.client.publish(message).await?;
        }
        link.flush().await
    };
    waiting(global.json, "publishing", publish).await?;
    print(&match global.json {
        true => {
            json!({ "subject": args.subject, "messages": args.count, "bytes": message.size() }).to_string()
        }
        false => format!(
            "{} of {} to {}",
            count(args.count, "message"),
            count(message.size() as u64, "byte"),
            args.subject
        ),
    })
}

/// Publishes and waits until a stream has stored every message; says the last one's number.
async fn stored(global: &Global, link: &Link, args: &Args, message: Msg<'_>) -> Result<(), Failure> {
    let mut tally = Tally::default();
    if let Err(e) = tally.publish(link, args.count, message).await {
        if args.count > 1 {
            let text = format!(
                "{} of {} were acknowledged as stored before that; of those behind them some may be stored",
                tally.stored, args.count
            );
            notice(global.json, "stored", &text);
        }
        return Err(e.into());
    }
    let Tally { duplicates, last, .. } = tally;
    print(&match global.json {
        true => json!({
            "subject": args.subject, "messages": args.count, "bytes": message.size(),
            "stream": last.stream, "seq": last.seq, "duplicates": duplicates,
        })
        .to_string(),
        false => {
            let doubled = match duplicates {
                0 => String::new(),
                n => format!(", {} stored before", count(n, "message")),
            };
            format!(
                "{} of {} to {}, stored up to message {} of stream {}{doubled}",
                count(args.count, "message"),
                count(message.size() as u64, "byte"),
                args.subject,
                last.seq,
                last.stream
            )
        }
    })
}

/// What acknowledgements say.
#[derive(Default)]
struct Tally {
    stored: u64,
    duplicates: u64,
    last: PubAck,
}

impl Tally {
    async fn publish(&mut self, link: &Link, count: u64, message: Msg<'_>) -> Result<(), client::Error> {
        let mut pipeline = Context::new(link.client.clone()).pipeline(IN_FLIGHT_MAX);
        let options = PublishOptions::default();
        for _ in 0..count {
            if let Some(oldest) = pipeline.publish(message, &options).await? {
                self.add(oldest);
            }
        }
        while let Some(ack) = pipeline.next_ack().await? {
            self.add(ack);
        }
        Ok(())
    }

    fn add(&mut self, ack: PubAck) {
        self.stored += 1;
        self.duplicates += u64::from(ack.duplicate);
        self.last = ack;
    }
}
