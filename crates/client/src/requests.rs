//! Requests that wait for their answers, all through one subscription: the answer to request 7 comes on
//! `_INBOX.<random>.7`.

use std::collections::HashMap;

use kernel::Message;
use tokio::sync::oneshot;

use crate::Error;

/// What comes back.
pub(crate) type Answer = Result<Message, Error>;

/// The table of those who wait.
#[derive(Debug)]
pub(crate) struct Requests {
    /// `_INBOX.<random>.`
    prefix: String,
    next: u64,
    waiting: HashMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    subject: Box<[u8]>,
    answer: oneshot::Sender<Answer>,
}

/// A request's number, its reply subject, and where its answer comes.
pub(crate) struct Opened {
    pub(crate) number: u64,
    pub(crate) reply: String,
    pub(crate) answer: oneshot::Receiver<Answer>,
}

impl Requests {
    pub(crate) fn new(prefix: String) -> Requests {
        Requests { prefix, next: 0, waiting: HashMap::new() }
    }

    /// What the one subscription hears.
    pub(crate) fn pattern(&self) -> String {
        format!("{}*", self.prefix)
    }

    pub(crate) fn open(&mut self, subject: &[u8]) -> Opened {
        let number = self.next;
        self.next += 1;
        let (sender, answer) = oneshot::channel();
        self.waiting.insert(number, Waiting { subject: subject.into(), answer: sender });
        Opened { number, reply: format!("{}{number}", self.prefix), answer }
    }

    /// Nobody waits for this one any more.
    pub(crate) fn forget(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// Hands an answer to whoever waits for it; a second or late answer is dropped.
    pub(crate) fn answer(&mut self, message: Message) {
        let number = message.subject.strip_prefix(self.prefix.as_bytes());
        let number = number.and_then(|n| std::str::from_utf8(n).ok()).and_then(|n| n.parse().ok());
        if let Some(waiting) = number.and_then(|n: u64| self.waiting.remove(&n)) {
            _ = waiting.answer.send(Ok(message));
        }
    }

    /// Ends the requests that went to `subject`; `None`: all of them.
    pub(crate) fn fail(&mut self, subject: Option<&[u8]>, why: &Error) {
        for (_, waiting) in self.waiting.extract_if(|_, w| subject.is_none_or(|s| *s == *w.subject)) {
            _ = waiting.answer.send(Err(why.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(subject: &str) -> Message {
        Message { subject: subject.to_owned().into(), ..Message::default() }
    }

    #[test]
    fn an_answer_finds_who_asked_once() {
        let mut requests = Requests::new("_INBOX.x.".into());
        let (mut a, mut b) = (requests.open(b"s"), requests.open(b"s"));
        assert_eq!((a.reply.as_str(), b.reply.as_str()), ("_INBOX.x.0", "_INBOX.x.1"));
        for subject in ["_INBOX.x.1", "_INBOX.x.1", "_INBOX.x.9", "_INBOX.x.", "_INBOX.y.0", "_INBOX.x.-0"] {
            requests.answer(answer(subject));
        }
        assert!(b.answer.try_recv().unwrap().is_ok());
        assert!(a.answer.try_recv().is_err());
        requests.forget(a.number);
        assert!(requests.waiting.is_empty());
    }

    #[test]
    fn a_denied_subject_ends_its_requests_only() {
        let mut requests = Requests::new("_INBOX.x.".into());
        let (mut a, mut b) = (requests.open(b"secret"), requests.open(b"open"));
        requests.fail(Some(b"secret"), &Error::Closed);
        assert_eq!(a.answer.try_recv().unwrap(), Err(Error::Closed));
        assert!(b.answer.try_recv().is_err());
        requests.fail(None, &Error::Closed);
        assert_eq!(b.answer.try_recv().unwrap(), Err(Error::Closed));
    }
}
