//! Values instead of bytes: JSON through serde, in both directions. What cannot be read keeps its message.

use std::marker::PhantomData;
use std::time::Duration;

use kernel::{Headers, Message};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::service::failure_of;
use crate::{Client, Draft, Error, Subscription};

/// The payload of a message as a value.
///
/// # Errors
/// [`Error::Decode`], which keeps the message.
pub fn decode<T: DeserializeOwned>(message: Message) -> Result<Received<T>, Error> {
    match serde_json::from_slice(&message.payload) {
        Ok(value) => Ok(Received { value, message }),
        Err(e) => Err(Error::Decode { reason: e.to_string(), message: Box::new(message) }),
    }
}

/// A value, and the message that it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<T> {
    /// What it says.
    pub value: T,
    /// Its subject, reply subject, headers and bytes.
    pub message: Message,
}

/// A subscription whose messages are read as JSON: [`Subscription::typed`].
#[derive(Debug)]
pub struct Typed<T> {
    subscription: Subscription,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Typed<T> {
    /// The next message; `None`: no more will come. One that cannot be read is an error of its own; the next call
    /// goes on behind it. A call that is dropped in the middle loses nothing.
    pub async fn next(&mut self) -> Option<Result<Received<T>, Error>> {
        self.subscription.next().await.map(decode)
    }

    /// The subscription, to drain or end it.
    pub fn subscription(&mut self) -> &mut Subscription {
        &mut self.subscription
    }
}

impl Subscription {
    /// Reads each message as JSON.
    ///
    /// ```no_run
    /// # #[derive(serde::Deserialize)] struct Job { file: String }
    /// # async fn example(client: client::Client) -> Result<(), client::Error> {
    /// let mut jobs = client.subscribe("jobs.>", None)?.typed::<Job>();
    /// while let Some(job) = jobs.next().await {
    ///     match job {
    ///         Ok(job) => println!("{}", job.value.file),
    ///         Err(e) => eprintln!("{} {e}", e.code().number()),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn typed<T: DeserializeOwned>(self) -> Typed<T> {
        Typed { subscription: self, value: PhantomData }
    }
}

impl Client {
    /// Publishes a value as JSON: to a subject, or to where a [`Draft`] goes, with its headers.
    ///
    /// # Errors
    /// [`Error::Encode`], and those of [`Client::publish`].
    pub async fn publish_json<T: Serialize + ?Sized>(
        &self,
        to: impl Into<Draft>,
        value: &T,
    ) -> Result<(), Error> {
        let draft = to.into().json(value)?;
        self.publish(draft).await
    }

    /// Asks with a value and reads the answer as one.
    ///
    /// # Errors
    /// [`Error::Service`]: the service answered that it failed; [`Error::Decode`]: the answer is not what was expected,
    /// and is kept; [`Error::Encode`]; and those of [`Client::request`].
    pub async fn request_json<Q: Serialize + ?Sized, A: DeserializeOwned>(
        &self,
        to: impl Into<Draft>,
        question: &Q,
        timeout: Duration,
    ) -> Result<A, Error> {
        let draft = to.into().json(question)?;
        let answer = self.request(draft, timeout).await?;
        match failure_of(Headers::new(&answer.headers)) {
            Some(failed) => Err(failed),
            None => decode(answer).map(|answer| answer.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[test]
    fn what_cannot_be_read_keeps_its_message() {
        let message = Message { subject: "a".into(), payload: "seven".into(), ..Message::default() };
        let error = decode::<u64>(message.clone()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
        assert!(matches!(error, Error::Decode { message: kept, .. } if *kept == message));
        let seven = decode::<u64>(Message { payload: "7".into(), ..message }).unwrap();
        assert_eq!((seven.value, &seven.message.subject[..]), (7, &b"a"[..]));
    }
}
