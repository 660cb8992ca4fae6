//! The connection of a command to its server, and the wish to stop.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use client::{Client, Event, Msg, Options};
use kernel::Code;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::context::Aim;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::note;
use crate::progress::waiting;

/// How long a command waits for its last words to arrive.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection, and the first thing that the server refused on it.
pub(crate) struct Link {
    pub(crate) client: Client,
    refused: Arc<OnceLock<client::Error>>,
    sent: Sent,
}

/// What was published and the server has not yet accepted or refused; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Sent(Arc<Mutex<Vec<Unsure>>>);

/// A message's subject, and where the refusal goes.
struct Unsure {
    subject: Bytes,
    refused: Arc<OnceLock<client::Error>>,
}

/// Why a message did not get through.
#[derive(Debug)]
pub(crate) enum Undelivered {
    /// The server refused it, which [`Link::stay`] has told already.
    Refused(client::Error),
    /// It could not be sent, or the connection broke before the server had read it.
    Lost(client::Error),
}

impl Sent {
    /// Publishes and waits until the server has read it. The server refuses before it answers our PING.
    pub(crate) async fn publish(&self, client: &Client, message: Msg<'_>) -> Result<(), Undelivered> {
        let refused = Arc::new(OnceLock::new());
        let subject = Bytes::copy_from_slice(message.subject);
        self.with(|all| all.push(Unsure { subject, refused: refused.clone() }));
        let done = async {
            client.publish(message).await?;
            client.flush().await
        };
        let done = done.await;
        self.with(|all| all.retain(|u| !Arc::ptr_eq(&u.refused, &refused)));
        match refused.get() {
            Some(why) => Err(Undelivered::Refused(why.clone())),
            None => done.map_err(Undelivered::Lost),
        }
    }

    /// The server refused something: whatever is unsure and named by it knows now.
    fn refuse(&self, why: &client::Error) {
        let client::Error::Refused { text, .. } = why else { return };
        let Some(subject) = unpublished(text) else { return };
        self.with(|all| {
            for unsure in all.iter().filter(|u| u.subject == subject.as_bytes()) {
                _ = unsure.refused.set(why.clone());
            }
        });
    }

    fn with<T>(&self, change: impl FnOnce(&mut Vec<Unsure>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The subject in `Permissions Violation for Publish to "a"`.
fn unpublished(text: &str) -> Option<&str> {
    const START: &str = "permissions violation for publish";
    let starts = text.get(..START.len()).is_some_and(|start| start.eq_ignore_ascii_case(START));
    text.split('"').nth(1).filter(|_| starts)
}

impl Link {
    /// Connects as `name` for one exchange: when the connection breaks, the command fails.
    pub(crate) async fn once(global: &Global, name: &str) -> Result<Link, Failure> {
        Link::open(global, options(global, name)?.reconnects_max(0), |_| {}).await
    }

    /// Connects as `name` for as long as the user wants; losses are told on stderr and made good.
    pub(crate) async fn stay(global: &Global, name: &str) -> Result<Link, Failure> {
        let json = global.json;
        Link::open(global, options(global, name)?, move |event| tell(event, json)).await
    }

    async fn open(
        global: &Global,
        options: Options,
        hear: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<Link, Failure> {
        let refused = Arc::new(OnceLock::new());
        let first = refused.clone();
        let sent = Sent::default();
        let unsure = sent.clone();
        let options = options.on_event(move |event| {
            hear(&event);
            if let Event::Refused(why) = event {
                unsure.refuse(&why);
                _ = first.set(why);
            }
        });
        let client = waiting(global.json, "connecting", Client::connect(options)).await?;
        Ok(Link { client, refused, sent })
    }

    /// For messages whose fate matters one by one.
    pub(crate) fn sent(&self) -> Sent {
        self.sent.clone()
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

fn options(global: &Global, name: &str) -> Result<Options, Failure> {
    let options = Aim::of(global)?.options()?;
    Ok(options.name(format!("neuroplex {name}")).drain_timeout(DRAIN_TIMEOUT))
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
        // A subscription that is denied ends its command with an error of its own.
        Event::Refused(why) if !of_subscription(why) => ("refused", why.to_string()),
        // Those that matter end the command with an error of its own.
        _ => return,
    };
    notice(json, word, &text);
}

fn of_subscription(why: &client::Error) -> bool {
    matches!(why, client::Error::Refused { text, .. }
        if text.to_ascii_lowercase().starts_with("permissions violation for subscription"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_denied_publish_names_what_was_not_published() {
        assert_eq!(unpublished("Permissions Violation for Publish to \"_INBOX.a\""), Some("_INBOX.a"));
        assert_eq!(unpublished("Permissions Violation for Subscription to \"a\""), None);
        assert_eq!(unpublished("Slow Consumer \"a\" \"b\""), None);
    }
}
