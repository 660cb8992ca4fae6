//! `neuroplex bench`: puts load on a server, ours or another of the protocol, and measures it.

use std::time::Duration;

use ::bench::{BenchError, Mode, Options, Report};
use client::Credentials;
use kernel::Code;

use crate::context::Aim;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::progress::turning;

const EXAMPLES: &str = "\
Examples:
  neuroplex bench pubsub bench  # a million messages of 128 bytes
  neuroplex bench fanout bench --clients 100 --duration 5
  neuroplex bench pubsub bench --subjects 100000 --headers
  neuroplex bench request bench --clients 50 --rate 20000 --duration 10
  # the CPU time and memory of the server, too
  neuroplex bench pub bench --server-pid $(pidof neuroplex)
  neuroplex bench publish-ack bench --clients 10 --in-flight 500 --duration 5
  neuroplex bench pull-consume bench --msgs 500000 --batch 256
  neuroplex bench http-publish bench --duration 5 --server http://127.0.0.1:7400

The traffics; N is --clients:
  pub           N publishers, and nobody who subscribes
  sub           N subscribers of what another bench publishes
  pubsub        N publishers, one subscriber
  fanout        one publisher, N subscribers
  request       N that ask, one that answers
  connections   N idle connections with one subscription each
  publish-ack   N publishers to a durable stream, each message acknowledged
  replay        a stream of --msgs messages read from its start, as it is pushed
  replay-pull   the same, pulled in batches
  pull-consume  the same, each message acknowledged
  streams       makes --streams empty streams
  overtake      critical messages past a stored backlog of --msgs, to one worker
  http-publish  N connections to an HTTP door, each with one POST on the way
  ws-fanout     as fanout, over WebSocket (--server http://127.0.0.1:7400)
  sse-fanout    as fanout, as server-sent events (likewise)

Streams are named BENCH_SUBJECT, and removed at the end without --keep. Every
message is counted and compared; a lost, doubled or damaged one makes the
command fail. With --server redis://… publish-ack measures XADD there, to
compare.";

/// Put load on a server and measure it
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What kind of traffic: see below
    #[arg(value_enum)]
    mode: Traffic,

    /// The subject of its messages, any that nobody else uses; with --subjects, SUBJECT.000000 and up
    subject: String,

    /// Messages to publish, or requests to send; with --duration, the most [default: 1000000, or no limit; overtake: 100000]
    #[arg(long, value_name = "N")]
    msgs: Option<u64>,

    /// Content of a message
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    size: usize,

    /// How many connections: N below
    #[arg(long, value_name = "N", default_value_t = 1)]
    clients: usize,

    /// Distinct subjects, drawn at random for each message
    #[arg(long, value_name = "N", default_value_t = 1)]
    subjects: usize,

    /// Send a header with every message
    #[arg(long)]
    headers: bool,

    /// Messages a second on a fixed schedule (request, pubsub); latency counts from the scheduled moment
    #[arg(long, value_name = "N")]
    rate: Option<u64>,

    /// Measure for so long; for connections, how long they rest
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,

    /// Begins the random draws: the same seed draws the same
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Process of the server: its CPU time and memory are measured, too
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,

    /// Undelivered bytes that publishers may be ahead of the slowest subscriber
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20)]
    window_bytes: usize,

    /// Part of the run that comes first and is not measured
    #[arg(long, value_name = "PERCENT", default_value_t = 10)]
    warmup: u32,

    /// Where latency is measured, sleep for answers instead of asking again and again
    #[arg(long)]
    no_spin: bool,

    /// Publishes that wait for their acknowledgement at the same time, on all connections together
    #[arg(long, value_name = "N", default_value_t = 500)]
    in_flight: usize,

    /// Durable streams (publish-ack, streams); with several, SUBJECT.000000 and up
    #[arg(long, value_name = "N", default_value_t = 1)]
    streams: usize,

    /// Messages that a pull request asks for
    #[arg(long, value_name = "N", default_value_t = 256)]
    batch: usize,

    /// What an acknowledgement promises: mem, os or disk [default: the server's]
    #[arg(long, value_name = "LEVEL")]
    ack: Option<String>,

    /// Do not remove the streams at the end
    #[arg(long)]
    keep: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Traffic {
    Pub,
    Sub,
    Pubsub,
    Fanout,
    Request,
    Connections,
    PublishAck,
    Replay,
    ReplayPull,
    PullConsume,
    Streams,
    WsFanout,
    SseFanout,
    HttpPublish,
    Overtake,
}

impl From<Traffic> for Mode {
    fn from(traffic: Traffic) -> Mode {
        match traffic {
            Traffic::Pub => Mode::Pub,
            Traffic::Sub => Mode::Sub,
            Traffic::Pubsub => Mode::PubSub,
            Traffic::Fanout => Mode::Fanout,
            Traffic::Request => Mode::Request,
            Traffic::Connections => Mode::Connections,
            Traffic::PublishAck => Mode::PublishAck,
            Traffic::Replay => Mode::Replay,
            Traffic::ReplayPull => Mode::ReplayPull,
            Traffic::PullConsume => Mode::PullConsume,
            Traffic::Streams => Mode::Streams,
            Traffic::WsFanout => Mode::WsFanout,
            Traffic::SseFanout => Mode::SseFanout,
            Traffic::HttpPublish => Mode::HttpPublish,
            Traffic::Overtake => Mode::Overtake,
        }
    }
}

/// Runs it, prints the report, and fails if a message was lost, doubled or damaged.
pub(crate) fn run(global: &Global, args: &Args) -> Result<(), Failure> {
    let aim = Aim::of(global)?;
    if aim.asks_for_tls() {
        return Err(Failure::new(
            Code::InvalidRequest,
            "bench speaks no TLS: give it a nats:// address of a door without TLS, and no --tls-… option or context with one.",
        ));
    }
    let shown = turning(global.json, "measuring");
    let report = ::bench::run(&options(server(&aim)?, args)?)?;
    drop(shown);
    match global.json {
        true => print(&serde_json::to_string(&report).unwrap_or_default())?,
        false => print(&report.to_string())?,
    }
    verdict(&report)
}

/// The address with the context's credentials in it, where bench looks for them.
fn server(aim: &Aim) -> Result<String, Failure> {
    let who = match aim.values.credentials()? {
        None => return Ok(aim.values.server.clone()),
        Some(Credentials::Password { user, password }) => format!("{user}:{password}"),
        Some(Credentials::Token(token)) => token,
        Some(_) => return Err(Failure::new(Code::InvalidRequest, "bench knows passwords and tokens only.")),
    };
    let (scheme, place) = aim.values.server.split_once("://").unwrap_or(("nats", &aim.values.server));
    Ok(format!("{scheme}://{who}@{place}"))
}

fn options(server: String, args: &Args) -> Result<Options, Failure> {
    let seconds = |s: f64| {
        Duration::try_from_secs_f64(s)
            .map_err(|_| Failure::new(Code::InvalidRequest, "--duration is no time"))
    };
    let mode = Mode::from(args.mode);
    let timed =
        args.duration.is_some() && !matches!(mode, Mode::Replay | Mode::ReplayPull | Mode::PullConsume);
    let no_limit = match mode {
        Mode::Overtake => 100_000,
        _ if timed => u64::MAX >> 8,
        _ => 1_000_000,
    };
    Ok(Options {
        server,
        msgs: args.msgs.unwrap_or(no_limit),
        size: args.size,
        clients: args.clients,
        subjects: args.subjects,
        headers: args.headers,
        rate: args.rate,
        duration: args.duration.map(seconds).transpose()?,
        seed: args.seed,
        server_pid: args.server_pid,
        window_bytes: args.window_bytes,
        spin: !args.no_spin,
        warmup_percent: args.warmup,
        in_flight: args.in_flight,
        streams: args.streams,
        batch: args.batch,
        ack: args.ack.clone(),
        keep: args.keep,
        ..Options::new(mode, &args.subject)
    })
}

fn verdict(report: &Report) -> Result<(), Failure> {
    match report.faults.none() {
        true => Ok(()),
        false => Err(Failure::new(
            Code::InternalError,
            "not every message arrived once, in order and unchanged. Look at the server's own output.",
        )),
    }
}

impl From<BenchError> for Failure {
    fn from(e: BenchError) -> Failure {
        let (code, fix) = match &e {
            BenchError::Usage(_) => (Code::InvalidRequest, "`neuroplex bench --help` has examples."),
            BenchError::Connect { .. } => (Code::ConnectionError, "Name the server that runs: --server URL."),
            BenchError::Stalled { .. } => (Code::Timeout, "Look at the server's own output."),
            BenchError::Process { .. } => (Code::InvalidRequest, "--server-pid is the server's process id."),
            _ => (Code::ConnectionError, "Look at the server's own output."),
        };
        Failure::new(code, format!("{e}. {fix}"))
    }
}
