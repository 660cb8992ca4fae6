//! `neuroplex consumer add`: creates a consumer that is pulled.

use client::jetstream::api::{AckPolicy, ConsumerConfig, DeliverPolicy};
use client::jetstream::{Time, nanos};
use kernel::Code;

use crate::failure::Failure;
use crate::global::Global;
use crate::streams::{api_limit, connect};
use crate::units::Span;

const EXAMPLES: &str = "\
Examples:
  neuroplex consumer add ORDERS kitchen
  neuroplex consumer add ORDERS tea --filter 'orders.tea.*' --max-deliver 5
  neuroplex consumer add ORDERS tail --deliver new --ack none
  neuroplex consumer add ORDERS again --start-seq 1000 --backoff 1s,10s,1m
  neuroplex consumer add ORDERS today --start-time 2026-05-01T00:00:00Z

Adding it again with the same words changes nothing; other words are an error.";

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum DeliverArg {
    /// At the first message
    All,
    /// At the last one
    Last,
    /// At the next one
    New,
    /// At the last of each subject
    LastPerSubject,
}

/// What must be acknowledged.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum AckArg {
    /// Each message
    Explicit,
    /// The last, which covers those before
    All,
    /// Nothing
    None,
}

/// Create a consumer
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The stream
    stream: String,

    /// Its name
    name: String,

    /// Only what this pattern matches; several joined by commas or given more than once
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    filter: Vec<String>,

    /// Where to begin
    #[arg(long, value_name = "WHERE", default_value = "all")]
    deliver: DeliverArg,

    /// Begin at this number instead
    #[arg(long, value_name = "SEQ", conflicts_with_all = ["deliver", "start_time"])]
    start_seq: Option<u64>,

    /// Begin at this moment instead, such as 2026-05-01T10:00:00Z
    #[arg(long, value_name = "MOMENT", conflicts_with = "deliver")]
    start_time: Option<String>,

    /// What must be acknowledged
    #[arg(long, value_name = "WHAT", default_value = "explicit")]
    ack: AckArg,

    /// After so long without an acknowledgement a message is delivered again [default: the server's, 30s]
    #[arg(long, value_name = "TIME")]
    ack_wait: Option<Span>,

    /// How often a message is delivered at most; 0: no limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_deliver: u64,

    /// Waits before the second, the third … delivery, joined by commas
    #[arg(long, value_name = "TIME", value_delimiter = ',')]
    backoff: Vec<Span>,

    /// How many messages may wait for acknowledgement [default: the server's, 1000]
    #[arg(long, value_name = "N")]
    max_ack_pending: Option<u64>,

    /// Deliver headers without the content
    #[arg(long)]
    headers_only: bool,

    /// Forget it when nobody has pulled for so long
    #[arg(long, value_name = "TIME")]
    inactive: Option<Span>,

    /// What people should know of it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
}

/// Creates and shows it.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let stream_name = args.stream.clone();
    let config = config(args)?;
    let context = connect(global, "consumer").await?;
    let info = context.stream(&stream_name)?.create_consumer(&config).await?;
    super::info::show(global, &info)
}

fn config(args: Args) -> Result<ConsumerConfig, Failure> {
    let mut config = ConsumerConfig {
        durable_name: args.name.clone(),
        name: args.name,
        description: args.description,
        ack_policy: match args.ack {
            AckArg::Explicit => AckPolicy::Explicit,
            AckArg::All => AckPolicy::All,
            AckArg::None => AckPolicy::None,
        },
        ack_wait: args.ack_wait.map_or(0, |span| nanos(span.0)),
        max_deliver: api_limit(args.max_deliver),
        backoff: args.backoff.iter().map(|span| nanos(span.0)).collect(),
        max_ack_pending: args.max_ack_pending.map_or(0, api_limit),
        headers_only: args.headers_only,
        inactive_threshold: args.inactive.map_or(0, |span| nanos(span.0)),
        deliver_policy: match args.deliver {
            DeliverArg::All => DeliverPolicy::All,
            DeliverArg::Last => DeliverPolicy::Last,
            DeliverArg::New => DeliverPolicy::New,
            DeliverArg::LastPerSubject => DeliverPolicy::LastPerSubject,
        },
        ..ConsumerConfig::default()
    };
    match args.filter.as_slice() {
        [one] => config.filter_subject.clone_from(one),
        many => config.filter_subjects = many.to_vec(),
    }
    if let Some(seq) = args.start_seq {
        config.deliver_policy = DeliverPolicy::ByStartSequence;
        config.opt_start_seq = seq.max(1);
    }
    if let Some(text) = &args.start_time {
        let wrong = |_| {
            Failure::new(
                Code::InvalidRequest,
                format!("`{text}` is no moment. Write it like 2026-05-01T10:00:00Z."),
            )
        };
        config.deliver_policy = DeliverPolicy::ByStartTime;
        config.opt_start_time = Some(text.parse::<Time>().map_err(wrong)?);
    }
    if let Some(longest) = args.backoff.len().checked_add(1).filter(|_| !args.backoff.is_empty())
        && args.max_deliver == 0
    {
        // Servers want more deliveries than waits.
        config.max_deliver = i64::try_from(longest).unwrap_or(i64::MAX);
    }
    Ok(config)
}
