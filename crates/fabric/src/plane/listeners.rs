//! Who listens to consumers that send on their own. Nobody is asked again and again: when subscriptions change, the
//! consumers that a change may concern are stepped, and ask.

use kernel::Now;

use super::Plane;
use super::cell::SeatId;

/// Least time between two looks, however often subscriptions change.
const LOOK_NS: u64 = 50_000_000;

impl Plane {
    /// Steps the consumer again when somebody begins or ceases to listen. To be called before it asks who does.
    pub(crate) fn watch(&mut self, id: &SeatId) {
        let Some(cell) = self.cells.get_mut(&id.log) else { return };
        let tenant = cell.tenant;
        let Some(seat) = cell.seat(id).filter(|seat| seat.is_unwatched()) else { return };
        self.hub.watch().set(true);
        if let Some(stamp) = self.hub.stamp(tenant, seat.config().deliver_subject.as_bytes()) {
            seat.is_watched = true;
            self.watched.insert(id.clone(), (tenant, stamp));
        }
    }

    /// Steps the consumer no more on its listeners' account.
    pub(crate) fn unwatch(&mut self, id: &SeatId) {
        self.watched.remove(id);
        if let Some(seat) = self.seat(id) {
            seat.is_watched = false;
        }
        if self.watched.is_empty() {
            self.hub.watch().set(false);
        }
    }

    /// Steps the consumers for whom subscriptions have changed. True: there were some.
    pub(crate) fn look_for_listeners(&mut self, now: Now) -> bool {
        if now.mono_ns < self.next_look || !self.hub.watch().take() {
            return false;
        }
        self.next_look = now.mono_ns + LOOK_NS;
        let is_stale = |(tenant, stamp): &(_, _)| !self.hub.is_current(*tenant, *stamp);
        let stale: Vec<SeatId> =
            self.watched.iter().filter(|(_, since)| is_stale(since)).map(|(id, _)| id.clone()).collect();
        for id in &stale {
            self.unwatch(id);
            self.make_due(id.log, &id.name);
        }
        !stale.is_empty()
    }
}
