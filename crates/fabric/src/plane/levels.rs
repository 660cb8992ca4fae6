//! How safe a stream's messages must be, while that changes. What came before an update keeps waiting for what it was
//! promised, and nothing overtakes it: what comes behind an update to a lower level stays here until the update is on the
//! disk, and all before it with it. It does *not* know which level a stream has.

use std::collections::BTreeMap;

use kernel::LogId;
use kernel::journal::Level;

use super::Plane;
use super::out::{Held, Out};

/// An update to a lower level, or several, not yet safe.
#[derive(Default)]
struct Lowering {
    updates: u32,
    /// What came behind the first of them.
    behind: Vec<(Level, Held)>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Levels(BTreeMap<LogId, Lowering>);

impl Levels {
    /// Keeps something until all that was appended to the stream is as safe as `level` says, and not before what was kept
    /// earlier.
    pub(crate) fn hold(&mut self, out: &mut Out, log: LogId, level: Level, held: Held) {
        match self.0.get_mut(&log) {
            None => out.hold(level, held),
            Some(lowering) => lowering.behind.push((level, held)),
        }
    }

    /// An update to a lower level was appended, or is about to be in this turn.
    fn lower(&mut self, out: &mut Out, log: LogId) {
        let lowering = self.0.entry(log).or_default();
        lowering.updates += 1;
        // Once this update is on the disk, so is what came before it.
        lowering.behind.iter_mut().for_each(|(level, _)| *level = Level::Mem);
        out.hold(Level::Disk, Held::Lower(log));
    }

    /// An update to a lower level is safe.
    pub(crate) fn lowered(&mut self, out: &mut Out, log: LogId) {
        let Some(lowering) = self.0.get_mut(&log) else { return };
        lowering.updates -= 1;
        if lowering.updates == 0 {
            let behind = std::mem::take(&mut lowering.behind);
            self.0.remove(&log);
            behind.into_iter().for_each(|(level, held)| out.hold(level, held));
        }
    }

    /// Whether an update of the stream to a lower level is not safe yet.
    pub(crate) fn is_lowering(&self, log: LogId) -> bool {
        self.0.contains_key(&log)
    }

    /// Takes everything that waits for an update that will never be safe.
    pub(crate) fn lost(&mut self) -> Vec<Held> {
        let all = std::mem::take(&mut self.0).into_values().flat_map(|lowering| lowering.behind);
        all.map(|(_, held)| held).collect()
    }
}

impl Plane {
    /// Another level counts for what comes to a stream from now on.
    pub(crate) fn set_level(&mut self, log: LogId, level: Level) {
        self.hold_show(log);
        let Some(cell) = self.cells.get_mut(&log) else { return };
        if std::mem::replace(&mut cell.level, level) > level {
            self.levels.lower(&mut self.out, log);
        }
    }
}
