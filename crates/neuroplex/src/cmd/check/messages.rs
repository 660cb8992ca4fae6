//! What a bus is for, tried out on subjects that nobody else can guess.

use std::time::{Duration, Instant};

use client::{Client, Error, Message, Msg, Subscription, headers};
use kernel::Code;

use super::tick::{Tick, ms};

/// How long each step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

type Step = Result<String, Error>;

/// A message comes back to a subscription.
pub(super) async fn publish_and_subscribe(client: &Client) -> Tick {
    let step = async {
        let (subject, mut messages) = listen(client).await?;
        // The first one finds cold caches; the second is what a user sees.
        client.publish((&subject, "warm")).await?;
        next(&mut messages, &subject).await?;
        let start = Instant::now();
        client.publish((&subject, "hello")).await?;
        let came = next(&mut messages, &subject).await?;
        let took = ms(start.elapsed());
        expect(came.payload == "hello", "the message came back changed")?;
        Ok(format!("published and received in {took}"))
    };
    tick("messages", step.await)
}

/// A request is answered, and one to nobody is refused at once.
pub(super) async fn request_and_answer(client: &Client) -> Tick {
    let step = async {
        let (subject, mut questions) = listen(client).await?;
        let service = async {
            let question = next(&mut questions, &subject).await?;
            client.publish((&question.reply, &question.payload)).await
        };
        let start = Instant::now();
        let (answer, served) = tokio::join!(client.request((&subject, "ask"), STEP_TIMEOUT), service);
        let took = ms(start.elapsed());
        served?;
        expect(answer?.payload == "ask", "the answer came back changed")?;
        let nobody = client.inbox()?;
        match client.request((&nobody, ""), STEP_TIMEOUT).await {
            Err(Error::NoResponders { .. }) => {
                Ok(format!("asked and answered in {took}; a request to nobody is refused at once"))
            }
            Err(e) => Err(e),
            Ok(_) => Err(Error::Protocol("somebody answered a subject that nobody knows".into())),
        }
    };
    tick("requests", step.await)
}

/// Headers arrive as they were sent.
pub(super) async fn headers(client: &Client) -> Tick {
    let step = async {
        let (subject, mut messages) = listen(client).await?;
        let block = headers::block([("Color", "blue"), ("Color", "grün")]).map_err(|_| Error::Headers)?;
        let message = Msg { subject: subject.as_bytes(), headers: &block, payload: b"x", ..Msg::default() };
        client.publish(message).await?;
        let came = next(&mut messages, &subject).await?;
        expect(came.headers == block && came.payload == "x", "the headers came back changed")?;
        Ok("headers arrive as they were sent".into())
    };
    tick("headers", step.await)
}

/// The largest message that the server promises to take.
pub(super) async fn largest(client: &Client) -> Tick {
    let bytes_max = client.info().max_payload;
    let step = async {
        let (subject, mut messages) = listen(client).await?;
        client.publish((&subject, vec![b'x'; bytes_max])).await?;
        let came = next(&mut messages, &subject).await?;
        expect(came.payload.len() == bytes_max, "the largest message came back shorter")?;
        Ok(format!("messages of up to {} arrive", crate::text::count(bytes_max as u64, "byte")))
    };
    tick("payload", step.await)
}

async fn listen(client: &Client) -> Result<(String, Subscription), Error> {
    let subject = client.inbox()?;
    let messages = client.subscribe(&subject, None)?;
    Ok((subject, messages))
}

async fn next(messages: &mut Subscription, subject: &str) -> Result<Message, Error> {
    let timed_out =
        || Error::Timeout { subject: subject.into(), timeout_ms: STEP_TIMEOUT.as_millis() as u64 };
    match tokio::time::timeout(STEP_TIMEOUT, messages.next()).await {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(messages.error().cloned().unwrap_or(Error::Closed)),
        Err(_) => Err(timed_out()),
    }
}

fn expect(holds: bool, otherwise: &str) -> Result<(), Error> {
    match holds {
        true => Ok(()),
        false => Err(Error::Protocol(otherwise.into())),
    }
}

fn tick(name: &'static str, step: Step) -> Tick {
    match step {
        Ok(what) => Tick::good(name, what),
        Err(e) if e.code() == Code::PermissionDenied => {
            let fix = "Allow this user to publish and subscribe to `_INBOX.>`: answers come there.";
            Tick::bad(name, e.code(), e.to_string(), fix)
        }
        Err(e) => Tick::failure(name, e.into()),
    }
}
