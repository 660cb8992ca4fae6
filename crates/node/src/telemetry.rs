//! Logs: readable lines or JSON, on standard error. Standard output belongs to what a command answers.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogOptions};
use crate::error::Error;

/// Starts logging. Errors with a sentence when the level makes no sense.
pub fn start(options: &LogOptions) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&options.level).map_err(|e| {
        let sentence = format!(
            "log.level {:?} makes no sense ({e}); give error, warn, info, debug or trace",
            options.level
        );
        Error::new(kernel::Code::ConfigInvalid, sentence)
    })?;
    // That nobody reads the log is no reason to fail: complaining about it would panic.
    let builder = tracing_subscriber::fmt().log_internal_errors(false);
    let builder = builder.with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process keeps the first one's settings.
    let _ = match options.format {
        LogFormat::Pretty => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
