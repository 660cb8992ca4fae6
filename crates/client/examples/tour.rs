//! Publish, listen, ask, answer, with values in JSON: `cargo run -p client --example tour`, beside `neuroplex up`.

use std::time::Duration;

use client::{Client, Code, Draft, Error, Failure, Headers, Priority, Service};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    file: String,
    width: u32,
}

/// The tour, against the server at `url`.
pub(crate) async fn run(url: &str) -> Result<(), Error> {
    let client = Client::connect(url).await?;

    // Whoever listens gets what is published from now on.
    let mut jobs = client.subscribe("jobs.>", None)?.typed::<Job>();
    let tea = Job { file: "tea.jpg".into(), width: 400 };
    client.publish_json("jobs.resize", &tea).await?;
    client.publish(("jobs.resize", "not JSON")).await?;
    if let Some(job) = jobs.next().await {
        assert_eq!(job?.value, tea);
    }
    // What cannot be read is an error with a code, and keeps the message.
    if let Some(Err(e)) = jobs.next().await {
        assert_eq!(e.code(), Code::InvalidRequest);
        assert!(matches!(e, Error::Decode { message, .. } if message.payload == "not JSON"));
    }

    // A service works on several questions at once; more of them share the queue.
    let service = Service::new("area").queue("surveyors").concurrent_max(8);
    let serving = service.start_json(&client, |sides: (u32, u32), _question| async move {
        match sides.0.checked_mul(sides.1) {
            Some(area) => Ok(area),
            None => Err(Failure::new(Code::InvalidRequest, "that is too large")),
        }
    })?;
    let soon = Duration::from_secs(5);
    let area: u32 = client.request_json("area", &(3, 4), soon).await?;
    assert_eq!(area, 12);
    let refused = client.request_json::<_, u32>("area", &(u32::MAX, 2), soon).await;
    assert!(matches!(refused, Err(Error::Service { code: Code::InvalidRequest, .. })));
    serving.stop().await;

    // Nobody answers any more, and the client hears so at once.
    let nobody = client.request(("area", "[1,2]"), soon).await;
    if let Err(e) = nobody {
        println!(
            "{} {}: {e}. Again? {}. {}",
            e.code().number(),
            e.code().name(),
            e.retry().as_str(),
            e.state()
        );
    }

    // Headers that have a meaning.
    let urgent = Draft::new("jobs.resize")
        .json(&tea)?
        .priority(Priority::Critical)
        .id("tea-1")
        .correlation_id("order-7");
    client.publish(urgent).await?;
    if let Some(job) = jobs.next().await {
        let headers = job?.message.headers;
        assert_eq!(Headers::new(&headers).first("Np-Priority"), Some("critical"));
    }

    client.drain().await
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    run("nats://127.0.0.1:4222").await
}
