//! Plays one case to one server and writes down what it answered, step by step.

use std::time::{Duration, Instant};

use super::answer::Reader;
use super::clock::filled_in;
use super::script::{Case, Script, Step};
use super::wire::{Heard, Message, Wire};

/// How long an answer that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a case waits at its end for what nobody asked for.
const LATE: Duration = Duration::from_millis(30);

/// A step and what was answered, one line for each field.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) step: String,
    pub(crate) answers: Vec<String>,
}

/// Something subscribed to, and what came that no step took.
struct Ear {
    sid: u64,
    step: String,
    /// Whether `take` counts it.
    counts: bool,
    heard: Vec<Message>,
}

struct Player {
    wire: Wire,
    ears: Vec<Ear>,
    /// Reply subjects in the order in which they came.
    replies: Vec<String>,
    headers: Vec<String>,
    errors: Vec<String>,
    inboxes: usize,
    pongs: usize,
}

/// Plays a case on a connection of its own, on a server without streams.
pub(crate) fn play(script: &Script, case: &Case, port: u16) -> Result<Vec<Entry>, String> {
    let mut player = Player {
        wire: Wire::open(port)?,
        ears: Vec::new(),
        replies: Vec::new(),
        headers: Vec::new(),
        errors: Vec::new(),
        inboxes: 0,
        pongs: 0,
    };
    player.wipe()?;
    let mut reader = Reader::default();
    for (line, step) in &script.each.steps {
        for message in player.step(line, step)? {
            reader.read(&message);
        }
    }
    player.replies.clear();
    let mut entries = Vec::new();
    for (line, step) in &case.steps {
        let answers = player.step(line, step)?.iter().flat_map(|message| reader.read(message)).collect();
        entries.push(Entry { step: line.clone(), answers });
    }
    player.settle()?;
    for ear in &player.ears {
        let answers = ear.heard.iter().flat_map(|message| reader.read(message)).collect();
        entries.push(Entry { step: format!("in the end, to: {}", ear.step), answers });
    }
    entries.push(Entry { step: "errors".into(), answers: player.errors });
    Ok(entries)
}

impl Player {
    /// Deletes every stream.
    fn wipe(&mut self) -> Result<(), String> {
        let names = self.ask("$JS.API.STREAM.NAMES", b"", Some(1), "")?;
        let answer = names.first().ok_or("STREAM.NAMES was not answered")?;
        let answer: serde_json::Value = serde_json::from_slice(&answer.body)
            .map_err(|e| format!("STREAM.NAMES: {e}: {}", answer.headers.trim()))?;
        let names = answer.get("streams").and_then(|names| names.as_array()).cloned().unwrap_or_default();
        for name in names.iter().filter_map(|name| name.as_str()) {
            self.ask(&format!("$JS.API.STREAM.DELETE.{name}"), b"", Some(1), "")?;
        }
        self.ears.clear();
        Ok(())
    }

    /// Does one step and returns what it waited for.
    fn step(&mut self, line: &str, step: &Step) -> Result<Vec<Message>, String> {
        match step {
            Step::Ask { answers, subject, body } => {
                let (subject, body) = (filled_in(subject)?, filled_in(body)?);
                return self.ask(&String::from_utf8_lossy(&subject), &body, *answers, line);
            }
            Step::Send { subject, body } => {
                let headers = std::mem::take(&mut self.headers);
                self.wire.publish(subject, "", &headers, &filled_in(body)?)?;
            }
            Step::With(header) => self.headers.push(header.clone()),
            Step::Reply { answers, to, body } => {
                let subject = self.replies.get(*to).cloned().ok_or("no such message came to reply to")?;
                let body = filled_in(body)?;
                if *answers > 0 {
                    return self.ask(&subject, &body, Some(*answers), line);
                }
                self.wire.publish(&subject, "", &[], &body)?;
            }
            Step::Hear { subject, queue } => {
                let sid = self.wire.subscribe(subject, queue)?;
                self.ears.push(Ear { sid, step: line.into(), counts: true, heard: Vec::new() });
                self.sync()?;
            }
            Step::Take(wanted) => {
                let until = Instant::now() + PATIENCE;
                while self.counted() < *wanted && self.listen(until)? {}
            }
            Step::Quiet(ms) => {
                let until = Instant::now() + Duration::from_millis(*ms);
                while self.listen(until)? {}
            }
        }
        Ok(Vec::new())
    }

    fn ask(
        &mut self,
        subject: &str,
        body: &[u8],
        answers: Option<usize>,
        line: &str,
    ) -> Result<Vec<Message>, String> {
        self.inboxes += 1;
        let inbox = format!("_INBOX.peers.{}", self.inboxes);
        let sid = self.wire.subscribe(&inbox, "")?;
        let at = self.ears.len();
        self.ears.push(Ear { sid, step: line.into(), counts: answers.is_none(), heard: Vec::new() });
        let headers = std::mem::take(&mut self.headers);
        self.wire.publish(subject, &inbox, &headers, body)?;
        let until = Instant::now() + PATIENCE;
        let wanted = answers.unwrap_or(0);
        while self.ears.get(at).is_some_and(|ear| ear.heard.len() < wanted) && self.listen(until)? {}
        let Some(ear) = self.ears.get_mut(at) else { return Ok(Vec::new()) };
        let count = wanted.min(ear.heard.len());
        Ok(ear.heard.drain(..count).collect())
    }

    fn counted(&self) -> usize {
        self.ears.iter().filter(|ear| ear.counts).map(|ear| ear.heard.len()).sum()
    }

    /// Hears one thing; false when nothing came by then.
    fn listen(&mut self, until: Instant) -> Result<bool, String> {
        match self.wire.next(until)? {
            None => return Ok(false),
            Some(Heard::Pong) => self.pongs += 1,
            Some(Heard::Error(text)) => self.errors.push(text),
            Some(Heard::Message(message)) => {
                self.replies.extend(message.reply.clone());
                if let Some(ear) = self.ears.iter_mut().find(|ear| ear.sid == message.sid) {
                    ear.heard.push(message);
                }
            }
        }
        Ok(true)
    }

    /// Returns once the server has seen everything sent so far.
    fn sync(&mut self) -> Result<(), String> {
        let wanted = self.pongs + 1;
        self.wire.ping()?;
        let until = Instant::now() + PATIENCE;
        while self.pongs < wanted && self.listen(until)? {}
        Ok(())
    }

    fn settle(&mut self) -> Result<(), String> {
        self.sync()?;
        let until = Instant::now() + LATE;
        while self.listen(until)? {}
        Ok(())
    }
}
