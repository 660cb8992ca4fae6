//! How far something is that takes longer than a second: a bar on stderr, or what is waited for; for people only.

use std::io::{self, IsTerminal as _};
use std::pin::pin;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is done sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar that shows itself when it is worth it.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
}

impl Progress {
    /// Of so many bytes, if that is known. Silent with `json`, and where nobody looks.
    pub(crate) fn new(json: bool, name: &str, bytes: Option<u64>) -> Progress {
        let bar = (!json && io::stderr().is_terminal()).then(|| {
            let form = match bytes {
                Some(_) => {
                    "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}"
                }
                None => "{msg} {spinner} {binary_bytes} {binary_bytes_per_sec}",
            };
            let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::with_draw_target(bytes, ProgressDrawTarget::hidden())
                .with_style(style)
                .with_message(name.to_owned())
        });
        Progress { bar, started: Instant::now() }
    }

    /// So many bytes are done.
    pub(crate) fn at(&self, bytes: u64) {
        let Some(bar) = &self.bar else { return };
        if bar.is_hidden() && self.started.elapsed() >= PATIENCE {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.set_position(bytes);
    }
}

/// Between two pictures of what turns.
const TURN: Duration = Duration::from_millis(120);

/// Waits for what has no measurable length; after a second a person sees `what` is waited for, and how long.
pub(crate) async fn waiting<T>(json: bool, what: &str, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Ok(done) = tokio::time::timeout(PATIENCE, &mut work).await {
        return done;
    }
    let _shown = spinner(json, what, PATIENCE);
    work.await
}

/// Something that turns at once, until it is dropped: for work that always takes longer.
pub(crate) fn turning(json: bool, what: &str) -> Progress {
    spinner(json, what, Duration::ZERO)
}

/// `since`: how long it has gone on already.
fn spinner(json: bool, what: &str, since: Duration) -> Progress {
    let bar = (!json && io::stderr().is_terminal()).then(|| {
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
        let bar = ProgressBar::new_spinner()
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
            .with_elapsed(since)
            .with_message(what.to_owned());
        bar.enable_steady_tick(TURN);
        bar
    });
    Progress { bar, started: Instant::now() }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
