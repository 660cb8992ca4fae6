//! What can be chosen about the store. Where its folder is, and whose, is *not* here: both are arguments of opening.

use crate::Error;
use kernel::Code;

const MIB: u64 = 1 << 20;

/// Sizes and limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Size of a journal file; from 16 KiB to 1 GiB. Default 64 MiB.
    pub journal_file_bytes: u64,
    /// Unsettled journal from which on the core is asked for a checkpoint; from 4 KiB. Default 64 MiB.
    pub settle_bytes: u64,
    /// Unsettled journal from which on publishers must wait; not below `settle_bytes`. Default 256 MiB.
    pub pressed_bytes: u64,
    /// Unsynced journal from which on it is synced although nobody waits; from 4 KiB. Default 8 MiB.
    pub sync_bytes: u64,
    /// How long unsynced bytes wait at most when nobody waits for them; 10 to 60 000. Default 1000.
    pub sync_interval_ms: u64,
    /// How long nothing must have been appended before what is unsettled is settled anyway, if it is a
    /// sixty-fourth of `settle_bytes`; 100 to 3 600 000. Default 10 000.
    pub idle_settle_ms: u64,
    /// What a log must bring to one settling to get a segment of its own; from 4 KiB. Default 4 MiB.
    pub own_segment_bytes: u64,
    /// Largest segment that rewriting makes of smaller ones; from 64 KiB to 2 GiB. Default 1 GiB.
    pub segment_bytes_max: u64,
    /// Segments of about one size that are allowed before they are merged; 2 to 64. Default 8.
    pub segments_of_a_size_max: u32,
    /// Memory for decoded footers; from 64 KiB. Default 32 MiB.
    pub footer_cache_bytes: u64,
    /// Seed of the hash tables; random in production, so that nobody can choose subjects that collide. Default 0.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            journal_file_bytes: 64 * MIB,
            settle_bytes: 64 * MIB,
            pressed_bytes: 256 * MIB,
            sync_bytes: 8 * MIB,
            sync_interval_ms: 1000,
            idle_settle_ms: 10_000,
            own_segment_bytes: 4 * MIB,
            segment_bytes_max: 1024 * MIB,
            segments_of_a_size_max: 8,
            footer_cache_bytes: 32 * MIB,
            seed: 0,
        }
    }
}

impl Options {
    /// Whether every value is within its bounds.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bounds: [(&str, u64, u64, u64); 10] = [
            ("journal_file_bytes", self.journal_file_bytes, 16 << 10, 1 << 30),
            ("settle_bytes", self.settle_bytes, 4 << 10, u64::MAX),
            ("pressed_bytes", self.pressed_bytes, self.settle_bytes, u64::MAX),
            ("sync_bytes", self.sync_bytes, 4 << 10, u64::MAX),
            ("sync_interval_ms", self.sync_interval_ms, 10, 60_000),
            ("idle_settle_ms", self.idle_settle_ms, 100, 3_600_000),
            ("own_segment_bytes", self.own_segment_bytes, 4 << 10, u64::MAX),
            ("segment_bytes_max", self.segment_bytes_max, 64 << 10, 2 << 30),
            ("segments_of_a_size_max", self.segments_of_a_size_max.into(), 2, 64),
            ("footer_cache_bytes", self.footer_cache_bytes, 64 << 10, u64::MAX),
        ];
        for (name, value, min, max) in bounds {
            if value < min || value > max {
                let text = format!("store.{name} is {value}, and must be from {min} to {max}");
                return Err(Error { code: Code::ConfigInvalid, text });
            }
        }
        Ok(())
    }
}
