//! Single messages as documents: read and deleted.

use bus::messages::Messages;
use bus::stream::{Changes, Stream};
use bytes::Bytes;
use kernel::{Record, SubjectPattern};
use wire::jetstream::api::{Answer, Blob, Message, MsgDeleteRequest, MsgGetRequest, StoredMessage, Success};
use wire::jetstream::{Fault, Time, read, write};

use super::super::Plane;
use super::super::cell::Body;
use super::super::reading::Reading;
use super::{Ask, Done, Reply, Stop, answer};

impl Plane {
    pub(super) fn message_get(&mut self, ask: &Ask<'_>, name: &str) -> Done {
        self.out.check_wanted()?;
        let cell = self.warm_stream(ask.tenant, name)?;
        let log = cell.log;
        let request: MsgGetRequest = read(ask.body)?;
        let Body::Warm(stream) = &cell.body else { return Err(Stop::Load(log)) };
        if request.batch != 0 || !request.multi_last.is_empty() {
            return Err(Fault::BadRequest.into());
        }
        let seq = one(stream, &request).ok_or(Fault::BadRequest)?.ok_or(Fault::NoMessageFound)?;
        let reading = Reading::Message {
            tenant: ask.tenant,
            reply: ask.reply.clone(),
            kind: ask.kind,
            no_headers: request.no_hdr,
            span: self.traced.request.take(),
        };
        self.out.read(log, vec![seq], reading);
        Ok(Reply::Later)
    }

    pub(super) fn message_delete(&mut self, ask: &Ask<'_>, name: &str) -> Done {
        let cell = self.warm_stream(ask.tenant, name)?;
        let log = cell.log;
        if ask.body.trim_ascii().is_empty() {
            return Err(Fault::BadRequest.into());
        }
        let request: MsgDeleteRequest = read(ask.body)?;
        let Body::Warm(stream) = &mut cell.body else { return Err(Stop::Load(log)) };
        let state = stream.state();
        if request.seq > state.last_seq {
            return Err(Fault::MsgDeleteFailed.with("stream store EOF").into());
        }
        if request.seq < state.first_seq.max(1) {
            return Err(Fault::MsgDeleteFailed.with("no message found").into());
        }
        let mut changes = Changes::default();
        stream.delete(request.seq, &mut changes)?;
        self.removed(ask.now, log, changes);
        Ok(Reply::Safe(answer(ask, Success { success: true })))
    }
}

/// The message that a request asks for; outside `None`: it asks for none, or for several.
pub(super) fn one(stream: &Stream, request: &MsgGetRequest) -> Option<Option<u64>> {
    let MsgGetRequest { seq, last_by_subj, next_by_subj, start_time, .. } = request;
    let pattern = |text: &str| SubjectPattern::parse(text.as_bytes()).ok();
    match (*seq, last_by_subj.as_str(), next_by_subj.as_str(), start_time) {
        (seq, "", "", None) if seq > 0 => Some(stream.row(seq).map(|_| seq)),
        (0, last, "", None) if !last.is_empty() => Some(pattern(last).and_then(|p| stream.last_heard(&p))),
        (0, "", "", Some(Time(at))) => Some(stream.next(stream.at_time(*at), &mut |_, _| true)),
        (seq, "", next, None) if !next.is_empty() => {
            Some(pattern(next).and_then(|p| stream.next_heard(seq.max(1), &p)))
        }
        (0, "", next, Some(Time(at))) => {
            Some(pattern(next).and_then(|p| stream.next_heard(stream.at_time(*at), &p)))
        }
        _ => None,
    }
}

/// The answer with a message that was read.
pub(crate) fn document(kind: &'static str, record: Option<Record>, no_headers: bool) -> Bytes {
    let Some(record) = record else {
        return write(&Answer::<Message>::refused(kind, Fault::NoMessageFound)).into();
    };
    let headers = if no_headers { &[][..] } else { record.headers() };
    let message = StoredMessage {
        subject: String::from_utf8_lossy(record.subject()).into_owned(),
        seq: record.index,
        hdrs: Blob(headers.to_vec()),
        data: Blob(record.payload().to_vec()),
        time: Time(record.time_ns),
    };
    write(&Answer::done(kind, Message { message: Some(message) })).into()
}
