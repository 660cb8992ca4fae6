//! stdout, a line at a time, and notices on stderr. A reader that went away ends the command quietly.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::oneshot;

use crate::failure::Failure;

/// Lines that gather until [`Output::flush`].
pub(crate) struct Output(BufWriter<Stdout>);

impl Output {
    pub(crate) fn new() -> Output {
        Output(BufWriter::with_capacity(32 * 1024, io::stdout()))
    }

    /// Whether a person sees it at once.
    pub(crate) fn is_terminal(&self) -> bool {
        self.0.get_ref().is_terminal()
    }

    /// Text and a line break.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.0.write_all(bytes)?)
    }

    /// Content that others made: as people can read it on a terminal, elsewhere byte by byte. A text ends with a line
    /// break; bytes that are no text stay as they are, and nothing stays nothing.
    pub(crate) fn content(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match bytes {
            [] => Ok(()),
            _ if self.is_terminal() => self.line(&crate::text::payload(bytes)),
            _ => {
                self.bytes(bytes)?;
                match !bytes.ends_with(b"\n") && std::str::from_utf8(bytes).is_ok() {
                    true => self.bytes(b"\n"),
                    false => Ok(()),
                }
            }
        }
    }

    /// Shows what has gathered.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.0.flush()?)
    }
}

/// One line and done.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = Output::new();
    out.line(text)?;
    out.flush()
}

/// Becomes ready when whoever reads our stdout has gone, even if there is nothing to write: `neuroplex sub a | head -1`.
pub(crate) fn reader_gone() -> oneshot::Receiver<()> {
    let (gone, told) = oneshot::channel();
    // A thread of its own, because files and terminals cannot be waited for in another way; it ends with the process.
    std::thread::spawn(move || {
        let stdout = io::stdout();
        let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
        // No flag asked for: only an error or the end of the pipe wakes it.
        while matches!(poll(&mut fds, None), Err(Errno::INTR)) {}
        _ = gone.send(());
    });
    told
}

/// A line for people on stderr. That nobody reads it is no reason to stop.
pub(crate) fn note(text: &str) {
    _ = writeln!(io::stderr(), "{text}");
}
