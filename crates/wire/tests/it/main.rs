//! The corpora of the fuzz targets, replayed: every input that ever taught something, on every run.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod jetstream_laws;
mod nats_laws;
mod websocket_laws;

use std::path::Path;

fn replay(corpus: &str, count_min: usize, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(corpus);
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= count_min, "the corpus is there: {count} inputs");
}

#[test]
fn the_nats_decoder_keeps_its_laws_on_the_whole_corpus() {
    replay("nats_decode", 20, nats_laws::check);
}

#[test]
fn jetstream_keeps_its_laws_on_the_whole_corpus() {
    replay("jetstream", 60, jetstream_laws::check);
}

#[test]
fn frames_of_websocket_keep_their_laws_on_the_whole_corpus() {
    replay("websocket", 12, websocket_laws::check);
}
