//! A durable stream and a bucket of keys: `cargo run -p client --example streams`, beside `neuroplex up`.

use client::jetstream::{ConsumerConfig, Context, Fetch, StreamConfig, kv};
use client::{Client, Code, Draft, Error};

/// The example, against the server at `url`.
pub(crate) async fn run(url: &str) -> Result<(), Error> {
    let client = Client::connect(url).await?;
    let streams = Context::new(client.clone());
    let config =
        StreamConfig { name: "ORDERS".into(), subjects: vec!["orders.>".into()], ..Default::default() };
    streams.create_stream(&config).await?;

    // Returns when it is on the disk. The same id is stored once.
    let order = Draft::new("orders.tea").json(&["two cups"])?.id("order-1");
    let stored = streams.publish(&order).await?;
    let again = streams.publish(&order).await?;
    assert_eq!((stored.seq, again.seq, again.duplicate), (1, 1, true));

    // A delivery is a lease: acknowledge it, or somebody else gets it.
    let orders = streams.stream("ORDERS")?;
    orders.create_or_update_consumer(&ConsumerConfig::durable("kitchen")).await?;
    let mut batch = orders.consumer("kitchen")?.fetch(Fetch::new(10).no_wait()).await?;
    while let Some(delivery) = batch.next().await? {
        let cups: Vec<String> = client::decode(delivery.message.clone())?.value;
        assert_eq!(cups, ["two cups"]);
        delivery.ack_confirmed().await?;
    }

    // A key has revisions: of two writers one loses, reads again and decides anew.
    let settings = kv::Bucket::create(&streams, &kv::BucketConfig::new("settings")).await?;
    let revision = settings.put("color", "blue").await?;
    settings.update("color", "green", revision).await?;
    if let Err(e) = settings.update("color", "red", revision).await {
        assert_eq!(e.code(), Code::Conflict);
    }
    client.drain().await
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    run("nats://127.0.0.1:4222").await
}
