//! Random work with crashes in between: whatever the moment, what was synced is there, what is there is a prefix of what
//! was appended, and what was removed stays removed.

use std::panic::catch_unwind;

use crate::run::{Core, End};

const SEEDS: u64 = 300;
const STEPS: u64 = 120;

fn work(seed: u64) -> (u64, u64) {
    let mut core = Core::new(seed);
    for _ in 0..STEPS {
        match core.random.below(40) {
            0 => core.restart(End::Close),
            1 => core.restart(End::Kill),
            2 | 3 => core.restart(End::PowerCut),
            _ => core.step(),
        }
    }
    core.restart(End::PowerCut);
    core.restart(End::Close);
    core.restart(End::Close);
    (core.fs.trace(), core.trace)
}

/// Runs a case for every seed, twice; says which seed failed.
pub(crate) fn every_seed(seeds: impl Iterator<Item = u64>, case: fn(u64) -> (u64, u64)) {
    for seed in seeds {
        let both = [(); 2].map(|()| catch_unwind(|| case(seed)).unwrap_or_else(|_| panic!("seed {seed}")));
        assert_eq!(both[0], both[1], "seed {seed} went differently the second time");
    }
}

#[test]
fn nothing_synced_is_lost_whatever_the_moment() {
    every_seed(0..SEEDS, work);
}
