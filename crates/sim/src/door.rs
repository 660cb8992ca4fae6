//! The clients' end: sessions on the hub and ears that hear. A client has one inbox, and an ear for each of its pulls,
//! as a connection has subscriptions. What is heard is kept in the order in which it was said. Nothing here judges.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use fabric::{Hub, Session, Woken};
use kernel::{Code, ConnectionId, Drain, Full, Listener, Msg, Put, Spare, SubId, SubjectPattern};

/// Something that was heard.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// The pull that it came for; 0: it came to the inbox.
    pub(crate) pull: u64,
    /// The subject that it shows.
    pub(crate) subject: Bytes,
    /// Where to answer.
    pub(crate) reply: Bytes,
    /// Header block.
    pub(crate) headers: Bytes,
    /// Payload.
    pub(crate) payload: Bytes,
}

type Queue = Arc<Mutex<Vec<Heard>>>;

struct Ear {
    pull: u64,
    queue: Queue,
}

impl Drain for Ear {
    fn on_drain(&self, _: &Waker) -> bool {
        false
    }
}

impl Listener for Ear {
    fn put(&self, m: &Msg<'_>, _: &mut Spare) -> Put {
        let copy = Bytes::copy_from_slice;
        let (subject, reply) = (copy(m.subject), copy(m.reply));
        let (headers, payload) = (copy(m.headers), copy(m.payload));
        let heard = Heard { pull: self.pull, subject, reply, headers, payload };
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
        Put::Queued
    }

    fn full(&self) -> Full {
        Full::Cut
    }

    fn flush(&self, _: &mut Spare) {}

    fn connection(&self) -> Option<ConnectionId> {
        None
    }
}

struct Client {
    session: Session,
    woken: Woken,
    inbox: Option<(SubjectPattern, SubId)>,
    pulls: BTreeMap<u64, (SubjectPattern, SubId)>,
}

/// All clients of a process.
#[derive(Default)]
pub(crate) struct Doors {
    queue: Queue,
    clients: Vec<Client>,
}

impl Doors {
    /// Connects so many clients to a process.
    pub(crate) fn connect(hub: &Hub, many: usize) -> Result<Doors, Code> {
        let mut doors = Doors::default();
        for client in 0..many {
            let who = hub.accounts().authenticate(auth::Credentials::default())?;
            let session = Session::new(hub, who);
            doors.clients.push(Client {
                session,
                woken: Woken::default(),
                inbox: None,
                pulls: BTreeMap::new(),
            });
            doors.open(client)?;
        }
        Ok(doors)
    }

    fn open(&mut self, client: usize) -> Result<(), Code> {
        let heard = self.listen(client, 0, &format!("_INBOX.{client}.*"))?;
        if let Some(client) = self.clients.get_mut(client) {
            client.inbox = Some(heard);
        }
        Ok(())
    }

    fn listen(&mut self, client: usize, pull: u64, pattern: &str) -> Result<(SubjectPattern, SubId), Code> {
        let pattern = SubjectPattern::parse(pattern.as_bytes())?;
        let ear = Arc::new(Ear { pull, queue: self.queue.clone() });
        let session = &mut self.clients.get_mut(client).ok_or(Code::InternalError)?.session;
        let (id, _) = session.subscribe(&pattern, None, |_| ear)?;
        Ok((pattern, id))
    }

    /// Publishes. Says how many took it.
    pub(crate) fn publish(&mut self, client: usize, m: &Msg<'_>) -> Result<usize, Code> {
        let client = self.clients.get_mut(client).ok_or(Code::InternalError)?;
        let taken = client.session.publish(m, &mut client.woken);
        client.woken.flush();
        drop(client.woken.take_high());
        taken
    }

    /// Begins to listen for what a pull brings, and says where.
    pub(crate) fn begin_pull(&mut self, client: usize, pull: u64) -> Result<String, Code> {
        let to = format!("_PULL.{pull}");
        let heard = self.listen(client, pull, &to)?;
        if let Some(client) = self.clients.get_mut(client) {
            client.pulls.insert(pull, heard);
        }
        Ok(to)
    }

    /// Ceases to.
    pub(crate) fn end_pull(&mut self, pull: u64) {
        for client in &mut self.clients {
            if let Some((pattern, id)) = client.pulls.remove(&pull) {
                client.session.unsubscribe(&pattern, None, id);
            }
        }
    }

    /// A client is gone without a word, and another takes its place.
    pub(crate) fn replace(&mut self, client: usize) -> Result<(), Code> {
        if let Some(client) = self.clients.get_mut(client) {
            let all = std::mem::take(&mut client.pulls).into_values().chain(client.inbox.take());
            all.for_each(|(pattern, id)| client.session.unsubscribe(&pattern, None, id));
        }
        self.open(client)
    }

    /// Takes what was heard since the last time.
    pub(crate) fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
