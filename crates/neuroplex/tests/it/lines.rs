//! Lines of a process as they come. Waiting has an end, so that a test fails instead of hanging.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Much longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a process writes, line by line.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn of(source: impl Read + Send + 'static) -> Lines {
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(source).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Lines(lines)
    }

    /// The next line; panics when none comes.
    pub(crate) fn next(&self) -> String {
        self.0.recv_timeout(PATIENCE).expect("no further line")
    }

    /// The next line; `None` when none comes.
    pub(crate) fn try_next(&self) -> Option<String> {
        self.0.recv_timeout(PATIENCE).ok()
    }

    /// The next line if it has come already.
    pub(crate) fn now(&self) -> Option<String> {
        self.0.try_recv().ok()
    }

    /// Reads on until a line has `word`, and gives that line.
    pub(crate) fn until(&self, word: &str) -> String {
        loop {
            let line = self.next();
            if line.contains(word) {
                return line;
            }
        }
    }

    /// What is left when the process ends.
    pub(crate) fn rest(&self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Ok(line) = self.0.recv_timeout(PATIENCE) {
            rest.push(line);
        }
        rest
    }
}
