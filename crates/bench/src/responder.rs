//! The service that answers every request with its own payload.

use crate::BenchError;
use crate::block::SID;
use crate::frames::{Frames, Outgoing};
use crate::lines::excerpt;
use crate::link::{Link, Server};

/// Its connection, and how a request looks.
#[derive(Debug)]
pub(crate) struct Responder {
    pub(crate) link: Link,
    /// What comes before the reply subject.
    head: Vec<u8>,
    frames: Frames,
    out: Outgoing,
}

impl Responder {
    /// Subscribes to `subject`. All reply subjects have `reply_len` bytes, all payloads `size`.
    pub(crate) fn open(
        server: &Server,
        subject: &str,
        reply_len: usize,
        size: usize,
    ) -> Result<Self, BenchError> {
        let link = Link::open(server, Some(subject))?;
        let head = format!("MSG {subject} {SID} ");
        let len = head.len() + reply_len + format!(" {size}\r\n").len() + size + 2;
        Ok(Self { link, head: head.into_bytes(), frames: Frames::new(len), out: Outgoing::default() })
    }

    /// Answers everything that is there in one write.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<(), BenchError> {
        let Self { link, head, frames, out } = self;
        frames.read(link, buffer, |message| {
            let Some(rest) = message.strip_prefix(head.as_slice()).filter(|rest| rest.ends_with(b"\r\n"))
            else {
                return Err(BenchError::Refused(format!("{:?} instead of a request", excerpt(message))));
            };
            out.buffer().extend_from_slice(b"PUB ");
            out.buffer().extend_from_slice(rest);
            Ok(())
        })?;
        self.flush()
    }

    /// Writes what waited for the socket.
    pub(crate) fn flush(&mut self) -> Result<(), BenchError> {
        self.out.flush(&self.link)
    }
}
