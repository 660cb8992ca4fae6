//! Many seeds, each twice; and one seed by itself, to look at.

/// Seeds of the ordinary test; `cargo xtask sim` runs as many as one likes.
const SEEDS: u64 = 150;

#[test]
fn every_seed_keeps_every_promise_and_runs_the_same_twice() {
    let mut figures = sim::Figures::default();
    for seed in 0..SEEDS {
        match sim::twice(seed) {
            Ok(run) => figures.add(&run.figures),
            Err(failure) => panic!("{failure}"),
        }
    }
    // A simulation in which nothing happens proves nothing.
    for (name, count) in figures.all() {
        assert!(count > 0, "no {name} in {SEEDS} seeds");
    }
}

#[test]
fn one_seed() {
    let Some(seed) = std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok()) else { return };
    match sim::once(seed, true) {
        Ok(run) => println!("{:x} {:?}", run.hash, run.figures),
        Err(failure) => panic!("{failure}"),
    }
}
