//! What holds for JetStream's forms on any bytes. The fuzz target `jetstream` and the replay of its corpus share it.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::jetstream::api::{
    AccountInfo, ConsumerInfo, ConsumerList, CreateConsumerRequest, Message, MsgGetRequest, Paused,
    PubAnswer, PurgeRequest, StreamCreated, StreamInfoPage, StreamList, StreamRequest, StreamsRequest, Whole,
};
use wire::jetstream::{
    Ack, Advisory, Answer, Call, Delivery, Document, FlowReply, Origin, PublishHeaders, PullRequest, Status,
    duration, read, read_optional, write,
};

/// A request that is read is read again from what is written of it; one that is refused says why.
fn request<T: Document + Default + Serialize + PartialEq + Debug>(data: &[u8]) {
    match read::<T>(data) {
        Ok(document) => assert_eq!(read::<T>(&write(&document)).as_ref(), Ok(&document)),
        Err(error) => {
            assert!(error.err_code == 10025 && error.description.starts_with("invalid JSON: "), "{error}")
        }
    }
    let _ = read_optional::<T>(data);
}

/// The same for an answer.
fn answer<T: Default + Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) {
    if let Ok(read) = Answer::<T>::parse(data) {
        assert_eq!(Answer::<T>::parse(&read.to_bytes()).ok().as_ref(), Some(&read));
    }
}

fn subjects(data: &[u8]) {
    match Call::parse(data) {
        Some(Call::Refused(_)) | None => {}
        Some(call) => assert_eq!(call.to_string().as_bytes(), data, "a subject is written as it was read"),
    }
    let mut out = Vec::new();
    if let Some(delivery) = Delivery::parse(data) {
        delivery.write(&mut out);
        let older = Delivery { domain: None, account: None, ..delivery };
        assert_eq!(Delivery::parse(&out), Some(older));
    }
    if let Some(reply) = FlowReply::parse(data) {
        out.clear();
        reply.write(&mut out);
        assert_eq!(out, data);
    }
}

fn bodies(data: &[u8]) {
    match Ack::parse(data) {
        // A request that cannot be read is not written.
        Some(Ack::Next(None)) | None => {}
        Some(ack) => {
            let mut out = Vec::new();
            ack.write(&mut out);
            assert_eq!(Ack::parse(&out), Some(ack));
        }
    }
    if let Ok(request) = PullRequest::parse(data) {
        assert!(request.batch >= 1);
        assert_eq!(PullRequest::parse(&write(&request)), Ok(request));
    }
    if let Some(request) = MsgGetRequest::parse_direct(data) {
        assert_eq!(MsgGetRequest::parse_direct(&write(&request)), Some(request));
    }
    if let Some(ns) = std::str::from_utf8(data).ok().and_then(duration::parse) {
        assert_eq!(duration::parse(&duration::write(ns)), Some(ns));
    }
}

fn headers(data: &[u8]) {
    let _ = PublishHeaders::read(data);
    let mut out = Vec::new();
    if let Some(status) = Status::read(data) {
        status.write(&mut out);
        assert_eq!(Status::read(&out), Some(status));
    }
    if let Some(origin) = Origin::read(data) {
        out.clear();
        origin.write(&mut out, b"");
        assert_eq!(Origin::read(&out), Some(origin));
        out.clear();
        origin.write(&mut out, data);
        assert!(Origin::read(&out).is_some(), "whatever the message says of itself");
    }
}

pub(crate) fn check(data: &[u8]) {
    subjects(data);
    bodies(data);
    headers(data);
    request::<StreamRequest>(data);
    request::<CreateConsumerRequest>(data);
    request::<StreamsRequest>(data);
    request::<PurgeRequest>(data);
    request::<MsgGetRequest>(data);
    answer::<Whole<AccountInfo>>(data);
    answer::<StreamCreated>(data);
    answer::<StreamInfoPage>(data);
    answer::<StreamList>(data);
    answer::<Whole<ConsumerInfo>>(data);
    answer::<ConsumerList>(data);
    answer::<Paused>(data);
    answer::<Message>(data);
    if let Ok(read) = PubAnswer::parse(data) {
        assert_eq!(PubAnswer::parse(&write(&read)).ok(), Some(read));
    }
    if let Ok(advisory) = serde_json::from_slice::<Advisory>(data) {
        assert_eq!(serde_json::from_slice::<Advisory>(&advisory.to_bytes()).ok(), Some(advisory));
    }
}
