//! Telemetry: logs as readable lines or JSON, and what is sent to an OTLP collector. Standard output belongs to what a
//! command answers.
//!
//! A thread of its own writes log lines. Lines that it cannot write in time are lost: strangers can cause lines, and whoever
//! should read them may have stopped, so nothing else ever waits for them.

pub(crate) mod log;
pub mod options;
pub(crate) mod otlp;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use gateway::http::Tracing;
use kernel::trace::{Sampler, Spans};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

use crate::config::{Config, LogFormat, LogOptions};
use crate::error::Error;
use otlp::{Clock, Export};

/// Lines that may wait to be written; further ones are lost.
const LINES_MAX: usize = 4096;

/// How long the end waits for lines that are not written yet. Below the 100 ms after which `tracing-appender` complains
/// on standard output.
const FAREWELL: Duration = Duration::from_millis(80);

/// How long log files are kept, in days: of a level down to info, and of a finer one.
const KEEP_DAYS: (u32, u32) = (90, 30);

/// Libraries that say more than anybody wants, and what strangers sent them, when everything is logged: they say what is
/// of note, unless `log.level` names them.
const OTHERS: &[&str] = &[
    "h2",
    "hyper",
    "hyper_util",
    "mio",
    "rustls",
    "tokio_rustls",
    "tokio_util",
    "tower",
    "tower_http",
    "want",
];

/// What is logged, as long as the process runs.
static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Logs are written and telemetry is sent as long as this is kept; its end writes and sends what waits, within a bound.
#[must_use = "without it nothing is logged"]
pub struct Telemetry {
    guard: Option<WorkerGuard>,
    pub(crate) clock: Clock,
    pub(crate) export: Option<Arc<Export>>,
    pub(crate) name: log::Name,
    sampler: Sampler,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(export) = &self.export {
            export.end();
        }
        let guard = self.guard.take();
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

impl Telemetry {
    /// How requests are followed.
    pub(crate) fn tracing(&self) -> Tracing {
        Tracing { spans: self.spans(), sampler: self.sampler }
    }

    /// Who collects steps; `None`: nobody.
    pub(crate) fn spans(&self) -> Option<Arc<dyn Spans>> {
        self.export.clone().map(|export| export as Arc<dyn Spans>)
    }
}

/// Starts logging and sending. Errors with a sentence when a setting makes no sense.
pub fn start(config: &Config) -> Result<Telemetry, Error> {
    let options = &config.log;
    let filter = filter(options)?;
    let (clock, name) = (Clock::start(), log::Name::default());
    let export = Export::start(&config.telemetry, &config.node_id, clock)?;
    let (writer, guard) = writer(options)?;
    // That nobody reads the log is no reason to fail: complaining about it would panic.
    let lines = fmt::layer().log_internal_errors(false).with_writer(writer);
    let to_terminal = options.file.as_os_str().is_empty() && std::io::stderr().is_terminal();
    let lines = match options.format {
        LogFormat::Pretty => lines.with_ansi(to_terminal).with_target(false).boxed(),
        LogFormat::Json => lines.event_format(log::Json(name.clone())).boxed(),
    };
    let exported = export.clone().map(log::Exported);
    // A second start in one process keeps the first one's settings.
    let (filter, handle) = reload::Layer::new(filter);
    if tracing_subscriber::registry().with(filter).with(lines).with(exported).try_init().is_ok() {
        let _ = LEVEL.set(handle);
    }
    let sampler = Sampler::new(config.telemetry.trace_ratio);
    Ok(Telemetry { guard: Some(guard), clock, export, name, sampler })
}

/// Where lines go.
fn writer(options: &LogOptions) -> Result<(NonBlocking, WorkerGuard), Error> {
    let queue = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_MAX).thread_name("log");
    if options.file.as_os_str().is_empty() {
        return Ok(queue.finish(std::io::stderr()));
    }
    let file = &options.file;
    let wrong = |why: &dyn std::fmt::Display| {
        Error::config(format!(
            "log.file {} cannot be written: {why}; give a file in a folder that exists",
            file.display()
        ))
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let stem = file.file_name().ok_or_else(|| wrong(&"it is no file"))?.to_string_lossy().into_owned();
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(stem)
        .max_log_files(keep_days(options) as usize);
    Ok(queue.finish(appender.build(folder).map_err(|e| wrong(&e))?))
}

/// Days that log files are kept.
pub(crate) fn keep_days(options: &LogOptions) -> u32 {
    let is_fine = ["debug", "trace"].iter().any(|level| options.level.to_ascii_lowercase().contains(level));
    match options.keep_days {
        0 if is_fine => KEEP_DAYS.1,
        0 => KEEP_DAYS.0,
        days => days,
    }
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
    let is_fine = |word: &str| word.parse::<LevelFilter>().is_ok_and(|level| level > LevelFilter::INFO);
    let mut finest = false;
    if let Some(word) = words.find(|word| {
        finest |= is_fine(word);
        word.parse::<LevelFilter>().is_err()
    }) {
        return Err(wrong(&format!("{word:?} is no level")));
    }
    let filter = EnvFilter::try_new(level).map_err(|e| wrong(&e.to_string()))?;
    let is_named = |module: &str| level.split(',').any(|part| part.trim().starts_with(module));
    let quiet = OTHERS.iter().filter(|module| finest && !is_named(module));
    let quiet = quiet.filter_map(|module| format!("{module}=info").parse().ok());
    Ok(quiet.fold(filter, EnvFilter::add_directive))
}
