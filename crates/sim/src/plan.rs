//! What a run is made of: how often each kind of event comes, and how small the store's files are. Each seed has another
//! mixture, so that rare things are frequent in some runs. It does *not* say in which order things come.

use store::Options;

use crate::random::Random;

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named as it is done")]
pub(crate) enum Act {
    Publish,
    PublishAgain,
    Impostor,
    Turn,
    Sync,
    Settle,
    Read,
    Wait,
    SetClock,
    MakeStream,
    ChangeStream,
    EndStream,
    Purge,
    Delete,
    Get,
    MakeConsumer,
    ChangeConsumer,
    EndConsumer,
    Pull,
    Ack,
    OldAck,
    Replace,
    Close,
    Kill,
    PowerCut,
    Fill,
    FailSync,
    FailReads,
    BackInTime,
    BackBehindDelays,
    Rest,
    Rot,
    Audit,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How often what comes.
    pub(crate) weights: Vec<(Act, u32)>,
    /// Events.
    pub(crate) steps: u64,
    /// The store's sizes.
    pub(crate) options: Options,
    /// How long a stream that nobody uses stays in memory, in milliseconds.
    pub(crate) stream_idle_ms: u64,
    /// Largest payload, in bytes.
    pub(crate) payload_max: u64,
    /// Whether the run ends with a bit that is flipped just anywhere.
    pub(crate) rots_anywhere: bool,
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn new(random: &mut Random) -> Plan {
        use Act::*;
        let mut rare =
            |weight: u32| if random.one_in(2) { random.between(0, weight.into()) as u32 } else { 0 };
        let weights = vec![
            (Publish, 14 + rare(30)),
            (PublishAgain, 4 + rare(12)),
            (Impostor, 1 + rare(4)),
            (Turn, 22 + rare(20)),
            (Sync, 10 + rare(14)),
            (Settle, 4 + rare(8)),
            (Read, 4 + rare(10)),
            (Wait, 5 + rare(5)),
            (SetClock, rare(2)),
            (MakeStream, 2),
            (ChangeStream, rare(2)),
            (EndStream, rare(1)),
            (Purge, rare(3)),
            (Delete, rare(4)),
            (Get, 1 + rare(4)),
            (MakeConsumer, 3),
            (ChangeConsumer, 1 + rare(4)),
            (EndConsumer, rare(2)),
            (Pull, 10 + rare(12)),
            (Ack, 10 + rare(20)),
            (OldAck, 1 + rare(6)),
            (Replace, rare(2)),
            (Close, rare(2)),
            (Kill, 1 + rare(3)),
            (PowerCut, 1 + rare(4)),
            (Fill, rare(1)),
            (FailSync, rare(1)),
            (FailReads, rare(4)),
            (BackInTime, rare(2)),
            (BackBehindDelays, rare(3)),
            (Rest, rare(3)),
            (Rot, rare(2)),
            (Audit, 1 + rare(2)),
        ];
        let settle_bytes = random.between(4, 16) << 10;
        let options = Options {
            journal_file_bytes: 64 << 10,
            settle_bytes,
            pressed_bytes: settle_bytes * random.between(2, 5),
            sync_bytes: random.between(4, 64) << 10,
            own_segment_bytes: random.between(4, 32) << 10,
            segment_bytes_max: 64 << 10,
            segments_of_a_size_max: random.between(2, 4) as u32,
            footer_cache_bytes: 64 << 10,
            seed: random.any(),
            ..Options::default()
        };
        let payload_max = random.pick(&[40, 200, 600, 2500, 9000]).unwrap_or(200);
        Plan {
            weights,
            steps: random.between(150, 500),
            options,
            stream_idle_ms: random.pick(&[0, 1, 500, 10_000]).unwrap_or(500),
            payload_max,
            rots_anywhere: random.one_in(4),
        }
    }
}
