//! The web's ways in: `ws-fanout` and `sse-fanout` (one publisher in JSON frames over WebSocket; many who hear it, in
//! frames or in events), and `http-publish` (requests that are answered at once). The server is a neuroplex, or a bare
//! program of `examples/` that does nothing else.

mod answer;
mod chunks;
mod fanout;
mod publish;

use crate::link::{Link, Server};
use crate::{BenchError, Mode, Options, Report};
use std::time::{Duration, Instant};

/// How long a handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
const NAP: Duration = Duration::from_millis(50);
/// How long nothing may move.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run(options: &Options) -> Result<Report, BenchError> {
    let server = Server::parse_web(&options.server)?;
    match options.mode {
        Mode::HttpPublish => publish::run(options, &server),
        _ => fanout::run(options, &server),
    }
}

/// Reads byte by byte: what follows belongs to the run.
fn until(link: &Link, is_whole: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, BenchError> {
    let (mut all, mut byte, start) = (Vec::new(), [0], Instant::now());
    while !is_whole(&all) {
        match link.read(&mut byte)? {
            Some(0) => return Err(BenchError::Closed { delivered: 0, reason: None }),
            Some(_) => all.extend_from_slice(&byte),
            None if start.elapsed() > HANDSHAKE_LIMIT => {
                return Err(BenchError::Refused("nothing for 5 s in the handshake".into()));
            }
            None => std::thread::yield_now(),
        }
    }
    Ok(all)
}

/// The head of an answer, which must begin so.
fn head(link: &Link, begin: &[u8]) -> Result<Vec<u8>, BenchError> {
    let head = until(link, |b| b.ends_with(b"\r\n\r\n"))?;
    match head.starts_with(begin) {
        true => Ok(head),
        false => {
            let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
            Err(BenchError::Refused(line))
        }
    }
}
