//! What is heard is taken in: here answers to what was asked, in `brought` what requests for messages bring. Each is put
//! to the promises that it may break. It does *not* ask anything itself.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use wire::jetstream::ApiError;
use wire::jetstream::api::{Answer, Message, PubAnswer, Purged, Success};

use crate::door::Heard;
use crate::oracle::Life;
use crate::promise::genuine::{self, Shown};
use crate::promise::{Broken, Kept, broken, delay, demand, existence, fence, kept, silence, unread};
use crate::world::{Ask, World};

/// How an answer says that the disk gave nothing.
const UNREADABLE: &str = "the disk cannot be read now";

/// An answer of which only the error counts.
#[derive(Default, Deserialize)]
struct Nothing {}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Broken> {
    serde_json::from_slice(payload).map_err(|e| {
        let text = String::from_utf8_lossy(payload);
        Broken { promise: "genuine", what: format!("an answer cannot be read: {e}: {text}") }
    })
}

fn error_of(payload: &[u8]) -> Result<Option<ApiError>, Broken> {
    read::<Answer<Nothing>>(payload).map(|answer| answer.error)
}

impl World {
    /// Takes in everything that was said.
    pub(crate) fn hear(&mut self) -> Kept {
        for heard in self.doors.take() {
            for part in [&heard.subject, &heard.reply, &heard.headers, &heard.payload] {
                self.trace.add(part);
            }
            match heard.pull {
                0 => self.answered(heard)?,
                _ => self.brought(&heard)?,
            }
        }
        Ok(())
    }

    fn answered(&mut self, heard: Heard) -> Kept {
        let id = heard.subject.rsplit(|b| *b == b'.').next().unwrap_or_default();
        let id = std::str::from_utf8(id).ok().and_then(|id| id.parse::<u64>().ok()).unwrap_or_default();
        let payload = String::from_utf8_lossy(&heard.payload).into_owned();
        self.trace.note(format!("  < {id}: {:.160} {:.60}", payload, status_line(&heard)));
        if matches!(self.asks.get(&id), Some(Ask::Talk)) || self.answers.contains_key(&id) {
            self.asks.remove(&id);
            self.answers.entry(id).or_default().push(heard);
            return Ok(());
        }
        let Some(ask) = self.asks.remove(&id) else {
            return broken("genuine", format!("a second answer to {id}: {payload}"));
        };
        let unheard = heard.headers.starts_with(b"NATS/1.0 503");
        let unreadable = payload.contains(UNREADABLE);
        if unreadable {
            self.figures.unread_told += 1;
            unread::only_if_it_failed(self.reads_failed, &payload)?;
        }
        match ask {
            Ask::Ack { .. } => self.ack_answered(&heard, &ask),
            _ if unheard => self.unheard(&ask),
            Ask::Publish { stream, attempt } => {
                let answer: PubAnswer = read(&heard.payload)?;
                let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
                match answer.into_result() {
                    Ok(ack) if ack.duplicate => {
                        self.figures.duplicates += 1;
                        book.acknowledged(&attempt, ack.seq, true)
                    }
                    Ok(ack) => {
                        self.figures.acknowledged += 1;
                        silence::holds(self.failed, &format!("message {} of {}", ack.seq, ack.stream))?;
                        delay::is_shorter_than_life(book, attempt.nonce)?;
                        book.acknowledged(&attempt, ack.seq, false)?;
                        book.sure(ack.seq, self.numbers);
                        Ok(())
                    }
                    // The journal failed: nobody knows what became of it.
                    Err(e) if e.description == "the journal has failed" => Ok(()),
                    // Whatever would have been said of it: it is to come again.
                    Err(_) if unreadable => {
                        book.not_taken(&attempt);
                        Ok(())
                    }
                    Err(e) => {
                        self.figures.mismatches += u64::from(e.err_code == 6005);
                        self.figures.fenced += u64::from(e.err_code == 6004);
                        self.figures.delays_refused += u64::from(e.description.starts_with("Np-Delay"));
                        book.refused(&attempt, e.err_code)
                    }
                }
            }
            Ask::MakeStream { stream } => {
                let error = error_of(&heard.payload)?;
                let book = self.streams.get_mut(stream).filter(|book| book.life == Life::Making);
                if let (Some(book), None) = (book, error) {
                    book.life = Life::There;
                }
                Ok(())
            }
            Ask::ChangeStream => error_of(&heard.payload).map(drop),
            Ask::ChangeConsumer { stream, consumer, filters } => {
                let error = error_of(&heard.payload)?;
                let one = self.streams.get_mut(stream).and_then(|s| s.consumers.get_mut(consumer));
                if let (Some(one), None) = (one, error) {
                    one.filters.confirmed(filters, self.numbers);
                }
                Ok(())
            }
            Ask::EndStream { stream } => {
                let error = error_of(&heard.payload)?;
                let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
                // That it is not found says nothing of what is there after a crash.
                if error.is_none() {
                    book.life = Life::Gone;
                }
                Ok(())
            }
            Ask::Purge { stream, takes } => {
                let answer: Answer<Purged> = read(&heard.payload)?;
                if let (None, Some(book)) = (answer.error, self.streams.get_mut(stream)) {
                    book.removed(&takes);
                }
                Ok(())
            }
            Ask::Delete { stream, seq, was_there } => {
                let answer: Answer<Success> = read(&heard.payload)?;
                let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
                match answer.error {
                    None => book.removed(&[seq]),
                    Some(e) if e.err_code == 10043 => {
                        demand("kept", !was_there || book.life != Life::There, || {
                            format!("{} does not find message {seq}, to delete it", book.rules.name)
                        })?
                    }
                    Some(_) => {}
                }
                Ok(())
            }
            Ask::Get { stream, seq, was_there } => self.got(stream, seq, was_there, &heard),
            Ask::MakeConsumer { stream, consumer } => {
                let error = error_of(&heard.payload)?;
                let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
                let sends = book.sends;
                let Some(consumer) = book.consumers.get_mut(consumer) else { return Ok(()) };
                match error {
                    None if consumer.life == Life::Making => {
                        (consumer.life, consumer.since) = (Life::There, sends);
                    }
                    // An earlier request that was never answered may have made it.
                    Some(e)
                        if consumer.life == Life::Making
                            && !unreadable
                            && e.description != "the journal has failed" =>
                    {
                        consumer.life = Life::Ending;
                    }
                    _ => {}
                }
                Ok(())
            }
            Ask::EndConsumer { stream, consumer } => {
                let error = error_of(&heard.payload)?;
                let consumer = self.streams.get_mut(stream).and_then(|s| s.consumers.get_mut(consumer));
                if let (Some(consumer), None) = (consumer, error) {
                    consumer.life = Life::Gone;
                }
                Ok(())
            }
            Ask::Talk => Ok(()),
        }
    }

    /// Nobody listens, says the node.
    fn unheard(&mut self, ask: &Ask) -> Kept {
        let (Ask::Publish { stream, .. }
        | Ask::Get { stream, .. }
        | Ask::Delete { stream, .. }
        | Ask::Purge { stream, .. }) = ask
        else {
            return Ok(());
        };
        let Some(book) = self.streams.get_mut(*stream) else { return Ok(()) };
        existence::as_answered(&format!("stream {}", book.rules.name), book.life, false)?;
        if let Ask::Publish { attempt, .. } = ask {
            book.not_taken(attempt);
        }
        Ok(())
    }

    fn got(&mut self, stream: usize, seq: u64, was_there: bool, heard: &Heard) -> Kept {
        let answer: Answer<Message> = read(&heard.payload)?;
        let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
        match answer.body.message {
            Some(message) => {
                genuine::is_the_one(seq, message.seq)?;
                let (subject, headers, payload) = (message.subject, message.hdrs.0, message.data.0);
                book.seen(&Shown { seq, subject, headers, payload })
            }
            // Whatever was asked for behind it may have been carried out before it was read.
            None if answer.error.is_some_and(|e| e.err_code == 10037)
                && was_there
                && book.life == Life::There =>
            {
                kept::may_be_missing(book, seq)
            }
            None => Ok(()),
        }
    }

    fn ack_answered(&mut self, heard: &Heard, ask: &Ask) -> Kept {
        let Ask::Ack { stream, consumer, seq, cseq, is_stale, finishes } = *ask else { return Ok(()) };
        let answer = match &heard.headers[..] {
            b"" if heard.payload.is_empty() => fence::Answer::Confirmed,
            headers if headers.starts_with(b"NATS/1.0 409") && contains(headers, b"Np-Code: 6004") => {
                fence::Answer::Stale
            }
            headers if headers.starts_with(b"NATS/1.0 503") => fence::Answer::Unheard,
            _ => fence::Answer::Other,
        };
        let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
        let retention = book.rules.retention;
        let stream_life = book.life;
        // Of a message that is gone nobody knows any more who had it last.
        let is_stale = is_stale && book.must_hold(seq);
        let Some(consumer) = book.consumers.get_mut(consumer) else { return Ok(()) };
        let what = format!("delivery {cseq} of message {seq} of {}", consumer.name);
        fence::holds(is_stale, answer, &what)?;
        match answer {
            fence::Answer::Confirmed => {
                self.figures.acks_confirmed += 1;
                if finishes {
                    consumer.done.insert(seq);
                    if retention == wire::jetstream::Retention::WorkQueue {
                        book.removed(&[seq]);
                    }
                }
            }
            fence::Answer::Stale => self.figures.acks_stale += 1,
            fence::Answer::Unheard if stream_life == Life::There => {
                existence::as_answered(&format!("consumer {}", consumer.name), consumer.life, false)?;
            }
            fence::Answer::Unheard | fence::Answer::Other => {}
        }
        Ok(())
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

pub(crate) fn status_line(heard: &Heard) -> String {
    let line = heard.headers.split(|b| *b == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}
