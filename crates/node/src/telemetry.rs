//! Logs: readable lines or JSON, on standard error. Standard output belongs to what a command answers.
//!
//! A thread of its own writes them. Lines that it cannot write in time are lost: strangers can cause lines, and whoever
//! should read them may have stopped, so nothing else ever waits for them.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

use crate::config::{LogFormat, LogOptions};
use crate::error::Error;

/// Lines that may wait to be written; further ones are lost.
const LINES_MAX: usize = 4096;

/// How long the end waits for lines that are not written yet. Below the 100 ms after which `tracing-appender` complains
/// on standard output.
const FAREWELL: Duration = Duration::from_millis(80);

/// What is logged, as long as the process runs.
static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Logs are written as long as this is kept; its end writes what waits, if somebody reads it.
#[must_use = "without it nothing is logged"]
#[derive(Debug)]
pub struct Log(Option<WorkerGuard>);

impl Drop for Log {
    fn drop(&mut self) {
        let guard = self.0.take();
        let (done, ended) = channel();
        // Apart, because it may take more than a second when nobody reads.
        let apart = thread::Builder::new().spawn(move || {
            drop(guard);
            _ = done.send(());
        });
        if apart.is_ok() {
            _ = ended.recv_timeout(FAREWELL);
        }
    }
}

/// Starts logging. Errors with a sentence when the level makes no sense.
pub fn start(options: &LogOptions) -> Result<Log, Error> {
    let filter = filter(options)?;
    let queue = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_MAX).thread_name("log");
    let (writer, guard) = queue.finish(std::io::stderr());
    // That nobody reads the log is no reason to fail: complaining about it would panic.
    let lines = fmt::layer().log_internal_errors(false).with_writer(writer);
    let lines = match options.format {
        LogFormat::Pretty => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let (filter, handle) = reload::Layer::new(filter);
    // A second start in one process keeps the first one's settings.
    if tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok() {
        let _ = LEVEL.set(handle);
    }
    Ok(Log(Some(guard)))
}

/// From now on this is logged. Errors with a sentence when the level makes no sense.
pub(crate) fn set_level(options: &LogOptions) -> Result<(), Error> {
    let filter = filter(options)?;
    if let Some(level) = LEVEL.get() {
        level.reload(filter).map_err(|e| Error::config(format!("log.level cannot be changed: {e}")))?;
    }
    Ok(())
}

/// What is logged. Errors with a sentence when the level makes no sense.
pub(crate) fn filter(options: &LogOptions) -> Result<EnvFilter, Error> {
    let level = &options.level;
    let wrong = |why: &str| {
        Error::config(format!(
            "log.level {level:?} makes no sense ({why}); give error, warn, info, debug or trace, also by module: \
             info,gateway=debug"
        ))
    };
    // A word by itself could also be a module, of which everything is logged and of others nothing.
    let mut words = level.split(',').map(str::trim).filter(|part| !part.contains(['=', '[', ']']));
    if let Some(word) = words.find(|word| word.parse::<LevelFilter>().is_err()) {
        return Err(wrong(&format!("{word:?} is no level")));
    }
    EnvFilter::try_new(level).map_err(|e| wrong(&e.to_string()))
}
