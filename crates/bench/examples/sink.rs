//! The load's own maximum: a server that does nothing, for one run of `neuroplex bench pubsub` or `fanout`.
//!
//! `sink MODE SUBJECT SIZE CLIENTS` prints its address and serves one run with the same options.

use bench::{Mode, Options, Sink};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mode, subject, size, clients] = args.as_slice() else {
        return Err("usage: sink pub|pubsub|fanout SUBJECT SIZE CLIENTS".into());
    };
    let mode = match mode.as_str() {
        "pub" => Mode::Pub,
        "pubsub" => Mode::PubSub,
        "fanout" => Mode::Fanout,
        other => return Err(format!("no such mode: {other}").into()),
    };
    let options = Options { size: size.parse()?, clients: clients.parse()?, ..Options::new(mode, subject) };
    let sink = Sink::bind(&options)?;
    println!("nats://{}", sink.address()?);
    Ok(sink.serve()?)
}
