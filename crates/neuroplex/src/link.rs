//! The connection of a command to its server, and the wish to stop.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use client::{Client, Event, Options};
use kernel::Code;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;
use crate::global::Global;
use crate::output::note;

/// How long a command waits for its last words to arrive.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection, and the first thing that the server refused on it.
pub(crate) struct Link {
    pub(crate) client: Client,
    refused: Arc<OnceLock<client::Error>>,
}

impl Link {
    /// Connects as `name` for one exchange: when the connection breaks, the command fails.
    pub(crate) async fn once(global: &Global, name: &str) -> Result<Link, Failure> {
        Link::open(options(global, name).reconnects_max(0), |_| {}).await
    }

    /// Connects as `name` for as long as the user wants; losses are told on stderr and made good.
    pub(crate) async fn stay(global: &Global, name: &str) -> Result<Link, Failure> {
        let json = global.json;
        Link::open(options(global, name), move |event| tell(event, json)).await
    }

    async fn open(options: Options, hear: impl Fn(&Event) + Send + Sync + 'static) -> Result<Link, Failure> {
        let refused = Arc::new(OnceLock::new());
        let first = refused.clone();
        let options = options.on_event(move |event| {
            hear(&event);
            if let Event::Refused(why) = event {
                _ = first.set(why);
            }
        });
        Ok(Link { client: Client::connect(options).await?, refused })
    }

    /// Waits until the server has read everything, and fails with what it refused.
    pub(crate) async fn flush(&self) -> Result<(), Failure> {
        let flushed = self.client.flush().await;
        match self.refused.get() {
            Some(why) => Err(why.clone().into()),
            None => Ok(flushed?),
        }
    }
}

fn options(global: &Global, name: &str) -> Options {
    let options = Options::new(&global.server).name(format!("neuroplex {name}")).drain_timeout(DRAIN_TIMEOUT);
    match &global.tls_ca {
        Some(path) => options.tls_ca(path),
        None => options,
    }
}

fn tell(event: &Event, json: bool) {
    let (word, text) = match event {
        Event::Disconnected(why) => ("disconnected", format!("{why}; trying to come back")),
        Event::Reconnected(server) => ("reconnected", format!("connected to {server} again")),
        Event::LameDuck => ("lame_duck", "the server is about to stop".into()),
        Event::SlowConsumer { pattern } => (
            "slow_consumer",
            format!("messages on `{pattern}` come faster than they are read: some are dropped"),
        ),
        // Those that matter end the command with an error of its own.
        _ => return,
    };
    notice(json, word, &text);
}

/// Something worth knowing on stderr that is no error.
pub(crate) fn notice(json: bool, event: &str, text: &str) {
    match json {
        true => note(&serde_json::json!({ "event": event, "message": text }).to_string()),
        false => note(&format!("· {text}")),
    }
}

/// Ctrl-C and SIGTERM.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// From here on both are ours: the process ends when the command does.
    pub(crate) fn listen() -> Result<Stop, Failure> {
        let on = |kind| {
            signal(kind)
                .map_err(|e| Failure::new(Code::InternalError, format!("cannot listen for signals: {e}.")))
        };
        Ok(Stop { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    /// Returns when one of them comes.
    pub(crate) async fn wanted(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
