//! The corpora of the fuzz targets, replayed: every input that ever taught something, on every run.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod nats_laws;

use std::path::Path;

#[test]
fn the_nats_decoder_keeps_its_laws_on_the_whole_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/nats_decode");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        nats_laws::check(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 20, "the corpus is there: {count} inputs");
}
