//! `neuroplex up`: runs a node until it is told to stop.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kernel::Code;
use node::config::LogFormat;
use node::layers::{Flag, Sources};
use node::telemetry::Telemetry;
use node::{Config, Node, Ready, Stop};
use tokio::signal::unix::{SignalKind, signal};
use toml::Value;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::supervisor::Supervisor;

/// Run a node
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neuroplex up  # a node on this machine, data in ./.neuroplex
  neuroplex up --data /var/lib/neuroplex --config /etc/neuroplex/neuroplex.toml
  # on a free port, and it says which
  neuroplex up --nats 127.0.0.1:0 --http off --json

Every setting can also stand in the file and in the environment:
`neuroplex config show`. SIGTERM lets clients leave first; Ctrl-C (SIGINT) stops
at once; SIGHUP reads the configuration and the certificates again. Under
systemd it says when it is ready, reloading and stopping (Type=notify).")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// What a node is started with; `config` takes it too.
#[derive(clap::Args, Debug)]
pub(crate) struct NodeArgs {
    /// Where everything is kept that outlives a restart [default: .neuroplex]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "NEUROPLEX_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,

    /// Where HTTP and WebSocket clients connect, or off [default: 127.0.0.1:7400]
    #[arg(long, value_name = "ADDR|off")]
    http: Option<String>,

    /// Where NATS clients connect, these commands among them, or off [default: 127.0.0.1:4222]
    #[arg(long, value_name = "ADDR|off")]
    nats: Option<String>,

    /// A named set of settings: default, development or production
    #[arg(long, value_name = "NAME", env = "NEUROPLEX_PROFILE", hide_env_values = true)]
    profile: Option<String>,

    /// The node's name [default: that of the data folder]
    #[arg(long, value_name = "ID")]
    node_id: Option<String>,

    /// How log lines look: pretty or json [default: pretty]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

impl NodeArgs {
    /// Where the configuration comes from.
    pub(crate) fn sources(&self) -> Sources {
        let text = |text: String| Value::String(text);
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let format = self.log_format.map(|format| match format {
            LogFormat::Pretty => "pretty".to_owned(),
            LogFormat::Json => "json".to_owned(),
        });
        let flags = [
            ("--data", "data", self.data.as_ref().map(path)),
            ("--node-id", "node_id", self.node_id.clone()),
            ("--http", "http.listen", self.http.clone()),
            ("--nats", "nats.listen", self.nats.clone()),
            ("--log-format", "log.format", format),
        ];
        let given = flags
            .into_iter()
            .filter_map(|(name, key, said)| said.map(|said| Flag { name, key, value: text(said) }));
        Sources {
            profile: self.profile.clone(),
            file: self.config.clone(),
            environment: environment().collect(),
            flags: given.collect(),
        }
    }
}

/// Variables that are text; others cannot be ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

impl From<node::Error> for Failure {
    fn from(e: node::Error) -> Failure {
        Failure::new(e.code, e.sentence)
    }
}

/// Runs the node. `started`: when the process began.
pub(crate) fn run(global: &Global, args: &Args, started: Instant) -> Result<(), Failure> {
    let sources = args.node.sources();
    let config = Config::load(&sources)?;
    let telemetry = node::telemetry::start(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|e| Failure::new(Code::InternalError, format!("no threads can be started: {e}")))?;
    runtime.block_on(serve(&config, &sources, &telemetry, global.json, started))
}

async fn serve(
    config: &Config,
    sources: &Sources,
    telemetry: &Telemetry,
    json: bool,
    started: Instant,
) -> Result<(), Failure> {
    // Before the doors open, so that no signal is missed.
    let signals =
        |kind| signal(kind).map_err(|e| Failure::new(Code::InternalError, format!("no signals: {e}")));
    let (mut terminate, mut interrupt) =
        (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);
    let mut hangup = signals(SignalKind::hangup())?;
    let supervisor = Supervisor::of_environment();
    let mut node = Node::start(config, telemetry).await?;
    let ready = node.ready();
    let told = match json {
        true => print(&serde_json::to_string(&ready).unwrap_or_default()),
        false => print(&transcript(&ready, config, started)),
    };
    if let Err(Failure::Told { message, .. }) = told {
        // Nobody reads the transcript; the node runs all the same.
        tracing::warn!(message);
    }
    let doors: Vec<&str> = [&ready.http, &ready.nats].into_iter().flatten().map(String::as_str).collect();
    let status = format!("node {}: {}", ready.node, doors.join(" "));
    supervisor.ready(&status);
    let mut watchdog = tokio::time::interval(supervisor.watchdog.unwrap_or(Duration::from_secs(3600)));
    let how = loop {
        tokio::select! {
            _ = terminate.recv() => break Stop::Gently,
            _ = interrupt.recv() => break Stop::Now,
            _ = hangup.recv() => {
                supervisor.reloading();
                // Files and names are looked up.
                tokio::task::block_in_place(|| reload(&mut node, sources));
                supervisor.ready(&status);
            }
            _ = watchdog.tick() => if supervisor.watchdog.is_some() {
                supervisor.alive();
            },
        }
    };
    supervisor.stopping();
    tokio::select! {
        () = node.stop(how) => {}
        // A second signal: at once.
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Reads the configuration again and says what became of it.
fn reload(node: &mut Node, sources: &Sources) {
    match Config::load(sources).and_then(|config| node.reload(&config)) {
        Ok(done) => {
            let (changed, cut) = (done.changed.join(", "), done.cut);
            tracing::info!(changed, cut, "the configuration was read again");
            if !done.waiting.is_empty() {
                tracing::warn!(
                    keys = done.waiting.join(", "),
                    "these keys have new values that need a restart"
                );
            }
        }
        Err(error) => {
            tracing::error!(code = %error.code, %error, "the configuration is refused; nothing has changed");
        }
    }
}

/// What a person sees when the node is ready.
fn transcript(ready: &Ready, config: &Config, started: Instant) -> String {
    let made = if ready.created { " (created)" } else { "" };
    let mut lines = vec![format!(
        "neuroplex {} · node {} · data {}{made}",
        env!("CARGO_PKG_VERSION"),
        ready.node,
        ready.data.display()
    )];
    let doors: Vec<&str> = [&ready.http, &ready.nats].into_iter().flatten().map(String::as_str).collect();
    match doors.is_empty() {
        true => lines.push(" ! doors      all off; nobody can reach this node".into()),
        false => lines.push(format!(" ✓ doors      {}", doors.join("   ").replace("127.0.0.1", "localhost"))),
    }
    let open = &config.security.allow_plaintext;
    match (config.auth.users.len(), open.is_empty()) {
        (0, true) => lines.push(
            " ! loopback only, and no password is asked; `neuroplex config show` lists what can be set"
                .into(),
        ),
        (0, false) => lines.push(" ! no password is asked of anybody who reaches this node".into()),
        (n, _) => lines.push(format!(" ✓ accounts   {n}")),
    }
    if !open.is_empty() {
        lines.push(format!(" ! may be open without TLS, on purpose: {}", open.join(", ")));
    }
    lines.push(format!("ready in {:.0} ms", started.elapsed().as_secs_f64() * 1000.0));
    lines.join("\n")
}
