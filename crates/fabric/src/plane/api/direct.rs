//! Messages read directly: as they are, one or many, with where they come from in their headers.

use bus::messages::Messages;
use bus::stream::Stream;
use bytes::Bytes;
use kernel::{LogId, Msg, Record, SubjectPattern, TenantId};
use wire::jetstream::api::MsgGetRequest;
use wire::jetstream::status::{Origin, Status, text};

use super::super::Plane;
use super::super::cell::Body;
use super::super::out::Out;
use super::super::reading::Reading;
use super::message::one;
use super::{Ask, Done, Reply, Stop, unheard};

/// Most messages that are read together.
const READ_MAX: usize = 256;
/// Most messages that one request is answered with.
const BATCH_MAX: usize = 65_536;
/// Most subjects that one request for the last of many may find, as nats-server has it.
const MULTI_LAST_MAX: usize = 1024;

/// A batch on its way: what was asked for and what is left of it.
pub(crate) struct Batch {
    tenant: TenantId,
    reply: Bytes,
    log: LogId,
    no_headers: bool,
    /// It is one message, not a batch.
    is_single: bool,
    /// Sequences that are left, last first.
    left: Vec<u64>,
    /// Of those that match, how many were not asked for.
    beyond: u64,
    /// The last that was sent.
    last: u64,
    up_to: Option<u64>,
    /// Bytes that may still be sent; `None`: any number.
    bytes_left: Option<u64>,
    is_begun: bool,
}

impl Batch {
    /// Messages that are neither sent nor being read.
    pub(crate) fn left(&self) -> usize {
        self.left.len()
    }
}

impl Plane {
    pub(super) fn direct_get(&mut self, ask: &Ask<'_>, name: &str, subject: Option<&str>) -> Done {
        let Some(log) = self.find(ask.tenant, name) else {
            unheard(&mut self.out, ask.tenant, ask.reply, ask.subject);
            return Ok(Reply::Later);
        };
        let Some(cell) = self.cells.get_mut(&log) else { return Ok(Reply::Later) };
        cell.is_used = true;
        if !cell.config.allow_direct {
            unheard(&mut self.out, ask.tenant, ask.reply, ask.subject);
            return Ok(Reply::Later);
        }
        let Body::Warm(stream) = &cell.body else { return Err(Stop::Load(log)) };
        if self.out.check_wanted().is_err() {
            let status = Status::new(429, text::TOO_MANY_REQUESTS);
            say_status(&mut self.out, ask.tenant, ask.reply, &status);
            return Ok(Reply::Later);
        }
        match wanted(stream, ask, subject) {
            Ok(batch) => self.read_more(Batch { log, ..batch }),
            Err((code, text)) => say_status(&mut self.out, ask.tenant, ask.reply, &Status::new(code, text)),
        }
        Ok(Reply::Later)
    }

    fn read_more(&mut self, mut batch: Batch) {
        let at = batch.left.len() - batch.left.len().min(READ_MAX);
        let mut some = batch.left.split_off(at);
        some.reverse();
        match some.is_empty() {
            true => self.end_batch(&batch),
            false => self.out.read(batch.log, some, Reading::Direct(Box::new(batch))),
        }
    }

    /// Messages of a batch were read.
    pub(crate) fn direct_read(&mut self, mut batch: Batch, records: Vec<Option<Record>>) {
        let Some(stream) = self.cells.get(&batch.log).map(|cell| cell.name.clone()) else {
            // The stream was deleted meanwhile, and what was not sent with it.
            batch.left.clear();
            return self.end_direct(&batch);
        };
        let mut block = Vec::new();
        let count = records.len() as u64;
        for (i, record) in records.into_iter().enumerate() {
            let Some(record) = record else { continue };
            if batch.bytes_left == Some(0) {
                batch.beyond += count - i as u64 + batch.left.len() as u64;
                batch.left.clear();
                break;
            }
            // The message that reaches the limit is the last.
            batch.bytes_left = batch.bytes_left.map(|left| left.saturating_sub(record.size() as u64));
            block.clear();
            let behind = count - 1 - i as u64 + batch.left.len() as u64 + batch.beyond;
            let subject = String::from_utf8_lossy(record.subject());
            let origin = Origin {
                stream: &stream,
                subject: &subject,
                sequence: record.index,
                time_ns: record.time_ns,
                batch: (!batch.is_single).then_some((behind, batch.last)),
            };
            if !batch.no_headers {
                origin.write(&mut block, record.headers());
            }
            let m =
                Msg { subject: &batch.reply, headers: &block, payload: record.payload(), ..Msg::default() };
            if self.out.say(batch.tenant, &m) == 0 {
                // Nobody hears it any more.
                return;
            }
            (batch.last, batch.is_begun) = (record.index, true);
        }
        match batch.is_single {
            true => self.end_direct(&batch),
            false => self.read_more(batch),
        }
    }

    /// Messages of a batch could not be read: it ends with that, and whoever asked may go on behind the last that came.
    pub(crate) fn direct_unread(&mut self, batch: &Batch) {
        self.say_unreadable(batch.tenant, &batch.reply);
    }

    fn end_direct(&mut self, batch: &Batch) {
        if !batch.is_single {
            self.end_batch(batch);
        } else if !batch.is_begun {
            let status = Status::new(404, text::MESSAGE_NOT_FOUND);
            say_status(&mut self.out, batch.tenant, &batch.reply, &status);
        }
    }

    fn end_batch(&mut self, batch: &Batch) {
        let status = Status {
            num_pending: Some(batch.beyond),
            last_sequence: Some(batch.last),
            up_to_sequence: batch.up_to,
            ..Status::new(204, text::END_OF_BATCH)
        };
        say_status(&mut self.out, batch.tenant, &batch.reply, &status);
    }
}

/// Says a status line.
pub(crate) fn say_status(out: &mut Out, tenant: TenantId, reply: &Bytes, status: &Status<'_>) {
    if !reply.is_empty() {
        let mut headers = Vec::new();
        status.write(&mut headers);
        out.say(tenant, &Msg { subject: reply, headers: &headers, ..Msg::default() });
    }
}

type Refused = (u16, &'static str);

/// What a request asks for, or the status that refuses it.
fn wanted(stream: &Stream, ask: &Ask<'_>, subject: Option<&str>) -> Result<Batch, Refused> {
    const BAD: Refused = (408, text::BAD_REQUEST);
    let mut request = MsgGetRequest::parse_direct(ask.body).ok_or((408, text::MALFORMED_REQUEST))?;
    if let Some(subject) = subject {
        if request != MsgGetRequest::default() {
            return Err(BAD);
        }
        request.last_by_subj = subject.into();
    }
    let batch = Batch {
        tenant: ask.tenant,
        reply: ask.reply.clone(),
        log: LogId::default(),
        no_headers: request.no_hdr,
        is_single: false,
        left: Vec::new(),
        beyond: 0,
        last: 0,
        up_to: None,
        bytes_left: u64::try_from(request.max_bytes).ok().filter(|b| *b > 0),
        is_begun: false,
    };
    let is_last = !request.last_by_subj.is_empty();
    if !request.multi_last.is_empty() {
        let both = request.up_to_seq > 0 && request.up_to_time.is_some();
        if is_last || !request.next_by_subj.is_empty() || both {
            return Err(BAD);
        }
        return multi_last(stream, &request, batch);
    }
    let is_start = request.start_time.is_some();
    if is_last && (request.seq > 0 || !request.next_by_subj.is_empty() || request.batch != 0 || is_start)
        || is_start && request.seq > 0
    {
        return Err(BAD);
    }
    if request.seq == 0 && !is_last && request.next_by_subj.is_empty() && !is_start {
        return Err((408, text::EMPTY_REQUEST));
    }
    if request.batch == 0 {
        let seq = one(stream, &request).ok_or(BAD)?.ok_or((404, text::MESSAGE_NOT_FOUND))?;
        return Ok(Batch { is_single: true, left: vec![seq], ..batch });
    }
    many(stream, &request, batch)
}

/// The next messages from somewhere on.
fn many(stream: &Stream, request: &MsgGetRequest, mut batch: Batch) -> Result<Batch, Refused> {
    let from = match request.start_time {
        Some(at) => stream.at_time(at.0),
        None => request.seq.max(1),
    };
    let filter = match request.next_by_subj.as_str() {
        "" => None,
        text => Some(SubjectPattern::parse(text.as_bytes()).map_err(|_| (408, text::BAD_REQUEST))?),
    };
    let mut hears = |_: u32, subject: &[u8]| filter.as_ref().is_none_or(|f| f.matches(subject));
    // What is beyond the limit is told as pending at the end of the batch, and asked for again.
    let most = usize::try_from(request.batch).unwrap_or(0).min(BATCH_MAX);
    let mut at = from;
    while batch.left.len() < most
        && let Some(seq) = stream.next(at, &mut hears)
    {
        batch.left.push(seq);
        at = seq + 1;
    }
    if batch.left.is_empty() && most > 0 {
        return Err((404, text::MESSAGE_NOT_FOUND));
    }
    batch.beyond = stream.count(at, filter.is_some().then_some(&mut hears));
    batch.left.reverse();
    Ok(batch)
}

/// The last message of each of many subjects.
fn multi_last(stream: &Stream, request: &MsgGetRequest, mut batch: Batch) -> Result<Batch, Refused> {
    if request.multi_last.len() > MULTI_LAST_MAX {
        return Err((413, text::TOO_MANY_RESULTS));
    }
    let patterns: Option<Vec<SubjectPattern>> =
        request.multi_last.iter().map(|p| SubjectPattern::parse(p.as_bytes()).ok()).collect();
    let patterns = patterns.ok_or((408, text::BAD_REQUEST))?;
    let up_to = match (request.up_to_seq, request.up_to_time) {
        (0, None) => stream.last(),
        (0, Some(at)) => stream.at_time(at.0 + 1).saturating_sub(1),
        (seq, _) => seq.min(stream.last()),
    };
    let found =
        stream.last_of_many(&patterns, up_to, MULTI_LAST_MAX).map_err(|_| (413, text::TOO_MANY_RESULTS))?;
    let mut found: Vec<u64> = found.into_iter().filter(|seq| *seq >= request.seq).collect();
    if found.is_empty() {
        return Err((404, text::NO_RESULTS));
    }
    let most = usize::try_from(request.batch).ok().filter(|most| *most > 0).unwrap_or(found.len());
    batch.beyond = found.len().saturating_sub(most) as u64;
    found.truncate(most);
    found.reverse();
    Ok(Batch { left: found, up_to: Some(up_to), ..batch })
}
