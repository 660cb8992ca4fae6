//! Delete markers: when time takes the last message of a subject, a message without content takes its place, so that
//! whoever keeps what the stream says hears that the subject is empty now. The marker is a message as any other: it is
//! appended, and what it stands for goes when it becomes visible. It goes by its own time to live and leaves nothing.

use kernel::headers::block;
use kernel::journal::{Record, flag as journal_flag};
use kernel::{Msg, Now};
use wire::jetstream::pub_headers::header;
use wire::jetstream::{PublishHeaders, Ttl, duration};

use super::ttl::deadline_ms;
use super::{Changes, NS_PER_MS, Row, Stream, flag};

const FLAGS: u16 = flag::HAS_HEADERS | flag::ROLLS_SUBJECT | journal_flag::HAS_TTL | journal_flag::IS_MARKER;

impl Stream {
    /// Lets go of a message whose time is over, or leaves a marker that will.
    pub(super) fn end_row(&mut self, now: Now, row: &Row, changes: &mut Changes) {
        if !self.leave_marker(now, row, changes) {
            self.drop_row(row.seq, changes);
        }
    }

    /// Appends a marker in place of a message, where that is the last of its subject. False: it leaves none.
    fn leave_marker(&mut self, now: Now, row: &Row, changes: &mut Changes) -> bool {
        let is_marker = row.flags & journal_flag::IS_MARKER != 0;
        if self.bounds.marker_s == 0 || self.config.sealed || is_marker {
            return false;
        }
        let Some(subject) = self.subjects.get(row.slot).filter(|s| s.count == 1) else { return false };
        let life = duration::write(self.config.subject_delete_marker_ttl);
        let pairs = [(header::MARKER_REASON, "MaxAge"), (header::TTL, &life), (header::ROLLUP, "sub")];
        let Ok(headers) = block(pairs) else { return false };
        let name = subject.name.to_vec();
        let time_ns = now.wall_ms.saturating_mul(NS_PER_MS).max(self.last_time_ns);
        let m = Msg { subject: &name, headers: &headers, ..Msg::default() };
        let record = Record::of(self.last + 1, time_ns, FLAGS, &m);
        self.append(&name, Some(row.slot), &record);
        self.last_id.clear();
        let deadline = deadline_ms(time_ns, self.bounds.marker_s);
        self.deadlines.get_or_insert_default().add(deadline, record.index);
        changes.markers.push(record);
        true
    }

    /// The headers with a time to live that is as long as a marker's, if theirs is shorter: who was away for that long
    /// must not miss both. Where a subject has one message there is nothing to miss.
    pub(super) fn raised(&self, block: &[u8], headers: &PublishHeaders<'_>) -> Option<Vec<u8>> {
        let least = self.bounds.marker_s;
        let is_short = matches!(headers.ttl, Some(Ttl::Seconds(seconds)) if seconds < least);
        if !is_short || self.bounds.msgs_per_subject == 1 {
            return None;
        }
        let is_ttl = |line: &&[u8]| {
            line.strip_prefix(header::TTL.as_bytes()).is_some_and(|rest| rest.first() == Some(&b':'))
        };
        let block = block.strip_suffix(b"\r\n")?;
        let mut raised = Vec::with_capacity(block.len() + 8);
        block.split_inclusive(|b| *b == b'\n').filter(|line| !is_ttl(line)).for_each(|line| {
            raised.extend_from_slice(line);
        });
        raised.extend_from_slice(format!("{}: {least}\r\n\r\n", header::TTL).as_bytes());
        Some(raised)
    }
}
