//! What goes wrong: processes and machines that end, disks that fill up, fail to sync or rot, clocks that are set, and
//! time that passes.

use crate::node::{End, Step};
use crate::oracle::Expect;
use crate::promise::genuine::nonce_of;
use crate::promise::{Kept, damage};
use crate::world::{Ask, World};

const NS_PER_MS: u64 = 1_000_000;
/// After so long the node has tried again to read whatever it could not.
const RETRY_MS: u64 = 10_000;

impl World {
    /// The process ends and another begins.
    pub(crate) fn restart(&mut self, end: End) -> Kept {
        self.stop(end);
        if self.random.one_in(10) {
            self.start_blind()?;
        }
        self.start()
    }

    /// A process begins while the disk gives nothing: it refuses to, or finds nothing wrong; what is there stays.
    fn start_blind(&mut self) -> Kept {
        self.node.fs.fail_reads(true);
        let found = self.node.start();
        self.node.fs.fail_reads(false);
        self.figures.starts_refused += u64::from(found.is_err());
        self.trace.note(format!("start while nothing can be read: {found:?}"));
        if let Ok(found) = found {
            let reports: Vec<String> = found.damage.into_iter().map(|damage| damage.what).collect();
            damage::only_if_flipped(&reports, self.figures.bit_flips)?;
            self.node.end(End::Kill, self.clock.now());
        }
        Ok(())
    }

    /// The disk gives nothing from now on, or gives again.
    pub(crate) fn fail_reads(&mut self) -> Kept {
        if self.reads_fail {
            return self.mend_reads();
        }
        self.figures.reads_failed += 1;
        self.trace.note("nothing can be read".into());
        (self.reads_fail, self.reads_failed) = (true, true);
        self.node.fs.fail_reads(true);
        Ok(())
    }

    /// The disk gives again, and whatever waits for it has had time to find out.
    pub(crate) fn mend_reads(&mut self) -> Kept {
        if std::mem::take(&mut self.reads_fail) {
            self.trace.note("everything can be read".into());
            self.node.fs.fail_reads(false);
            self.pass(RETRY_MS * NS_PER_MS);
            self.turn()?;
        }
        Ok(())
    }

    pub(crate) fn restart_somehow(&mut self) -> Kept {
        let end = self.random.pick(&[End::Kill, End::PowerCut, End::Close]).unwrap_or(End::Kill);
        self.restart(end)
    }

    /// The process ends. Whatever was on its way is never answered.
    pub(crate) fn stop(&mut self, end: End) {
        self.trace.note(format!("stop: {end:?}"));
        match end {
            End::Close => self.figures.closes += 1,
            End::Kill => self.figures.kills += 1,
            End::PowerCut => self.figures.power_cuts += 1,
        }
        self.figures.settlings += self.node.counter("settlings");
        self.figures.compactions += self.node.counter("compactions");
        self.figures.disk_reads += self.node.counter("disk_reads");
        self.figures.streams_unloaded += self.node.unloaded();
        self.node.end(end, self.clock.now());
        self.node.fs.fill_at(None);
        self.node.fs.fail_sync_at(None);
        self.node.fs.limit(None);
        self.node.fs.fail_reads(false);
        self.reads_fail = false;
        // What was said before the end was said.
        self.asks.clear();
        self.answers.clear();
        self.pulls.clear();
        self.streams.iter_mut().for_each(|stream| stream.crashed(end));
        self.clock.new_process();
        let down_ms = self.random.below(5_000);
        self.pass(down_ms * NS_PER_MS);
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, ns: u64) {
        self.clock.advance_ns(ns);
        let now = self.clock.wall_ms();
        self.streams.iter_mut().for_each(|stream| stream.wall(now));
    }

    pub(crate) fn wait(&mut self) -> Kept {
        let ms = match self.random.below(10) {
            0 => self.random.below(60_000),
            1..=3 => self.random.below(5_000),
            _ => self.random.below(200),
        };
        self.trace.note(format!("wait {ms} ms"));
        self.pass(ms * NS_PER_MS);
        Ok(())
    }

    /// Somebody sets the wall clock, forward or backward, by up to three hours.
    pub(crate) fn set_clock(&mut self) -> Kept {
        let by_ms = self.random.below(3 * 3_600_000);
        let now = self.clock.wall_ms();
        let wall_ms = if self.random.one_in(2) { now + by_ms } else { now.saturating_sub(by_ms) };
        self.figures.clocks_set += 1;
        self.trace.note(format!("set the wall clock by {} ms", wall_ms as i64 - now as i64));
        self.clock.set_wall_ms(wall_ms);
        self.pass(0);
        Ok(())
    }

    /// The clock is put back while the node is down: it begins before what it knew, and finds what was stored later.
    pub(crate) fn back_in_time(&mut self) -> Kept {
        let by_ms = self.random.between(1, 120_000);
        self.start_earlier(by_ms)
    }

    /// The node ends and begins again at an earlier time.
    pub(crate) fn start_earlier(&mut self, by_ms: u64) -> Kept {
        let end = self.random.pick(&[End::Close, End::Kill, End::PowerCut]).unwrap_or(End::Close);
        self.stop(end);
        self.figures.clocks_set += 1;
        self.trace.note(format!("set the wall clock back by {by_ms} ms"));
        self.clock.set_wall_ms(self.clock.wall_ms().saturating_sub(by_ms));
        self.pass(0);
        self.start()
    }

    /// A client is gone, with what it held, and another takes its place.
    pub(crate) fn replace(&mut self) -> Kept {
        let client = self.client();
        self.trace.note(format!("client {client} is gone"));
        self.hand.clear();
        let _ = self.doors.replace(client);
        Ok(())
    }

    pub(crate) fn fill(&mut self) -> Kept {
        let at = self.random.below(12);
        self.figures.disks_filled += 1;
        self.trace.note(format!("the disk is full from the {at}th write on"));
        self.node.fs.fill_at(Some(at));
        Ok(())
    }

    pub(crate) fn fail_sync(&mut self) -> Kept {
        let at = self.random.below(6);
        self.figures.syncs_failed += 1;
        self.trace.note(format!("the {at}th sync fails"));
        self.node.fs.fail_sync_at(Some(at));
        Ok(())
    }

    /// A bit of a stored message is flipped while the node is down, or, in a segment, under it. What was never synced is
    /// as good as gone when it is damaged, so everything is synced before.
    pub(crate) fn rot(&mut self) -> Kept {
        self.mend_reads()?;
        if self.failed {
            return Ok(());
        }
        for _ in 0..4 {
            self.node.step(Step::Sync);
            self.turn()?;
        }
        while self.node.step(Step::Sync) {}
        self.turn()?;
        if self.failed {
            return Ok(());
        }
        let is_live = self.random.one_in(3);
        if !is_live {
            self.stop(End::Kill);
        }
        self.flip_a_message(if is_live { "segments/" } else { "" });
        if is_live { Ok(()) } else { self.start() }
    }

    fn flip_a_message(&mut self, folder: &str) {
        let mut found: Vec<(String, usize, u64)> = Vec::new();
        for (name, content) in self.node.fs.files() {
            let is_ours = name.starts_with("segments/") || name.starts_with("journal/");
            if !is_ours || !name.starts_with(folder) {
                continue;
            }
            let begins = |at: &usize| content.get(at + 17) == Some(&b'~') && content.get(*at) == Some(&b'~');
            for at in (0..content.len()).filter(begins) {
                let nonce = content.get(at..).and_then(nonce_of);
                found.extend(nonce.map(|nonce| (name.clone(), at, nonce)));
            }
        }
        let Some((name, at, nonce)) = self.random.pick(&found) else { return };
        let Some(stream) = self.streams.iter().position(|stream| stream.sent.contains_key(&nonce)) else {
            return;
        };
        let bit = at as u64 * 8 + self.random.below(18 * 8);
        self.trace.note(format!("a bit of content {nonce:x} is flipped: {name} {bit}"));
        self.node.fs.flip(&name, bit);
        self.figures.bit_flips += 1;
        self.flipped.push((stream, nonce));
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.damaged(nonce);
        }
        // What is on its way may meet a node that knows less than when it was sent.
        for ask in self.asks.values_mut() {
            if let Ask::Publish { attempt, .. } = ask {
                attempt.expect = Expect::Any;
            }
        }
    }
}
