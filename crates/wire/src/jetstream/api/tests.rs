//! Golden documents of nats-server 2.15.1, and the forms that it takes.

use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::*;
use crate::jetstream::{Call, Document, Fault, StreamConfig, Time, read, read_optional, write};

/// Reads an answer of the real server and writes it again, word for word.
fn same<T: Default + DeserializeOwned + Serialize>(text: &str) -> Answer<T> {
    let answer = Answer::<T>::parse(text.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(answer.to_bytes()).unwrap(), text);
    answer
}

const STREAM: &str = r#""config":{"name":"G","subjects":["g.\u003e"],"retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"max_msgs_per_subject":-1,"max_msg_size":-1,"discard":"old","storage":"file","num_replicas":1,"duplicate_window":120000000000,"compression":"none","allow_direct":true,"mirror_direct":false,"sealed":false,"deny_delete":false,"deny_purge":false,"allow_rollup_hdrs":false,"consumer_limits":{},"allow_msg_ttl":false,"metadata":{"_nats.level":"5"}},"created":"2026-11-21T08:50:50.361796082Z","state":{"messages":4,"bytes":162,"first_seq":1,"first_ts":"2026-11-21T08:50:50.363125583Z","last_seq":5,"last_ts":"2026-11-21T08:50:50.36347111Z","num_subjects":2,"subjects":{"g.0":3,"g.1":1},"num_deleted":1,"deleted":[2],"consumer_count":0}"#;
const CONSUMER: &str = r#""stream_name":"H","name":"C","created":"2026-11-21T08:52:05.56408636Z","config":{"name":"C","deliver_policy":"all","ack_policy":"explicit","ack_wait":500000000,"max_deliver":2,"replay_policy":"instant","max_waiting":512,"max_ack_pending":1000,"inactive_threshold":5000000000,"num_replicas":0},"delivered":{"consumer_seq":35,"stream_seq":21,"last_active":"2026-11-21T08:52:11.345486804Z"},"ack_floor":{"consumer_seq":0,"stream_seq":0},"num_ack_pending":3,"num_redelivered":2,"num_waiting":0,"num_pending":19,"paused":true,"pause_remaining":98204868352587599,"ts":"2026-11-21T08:52:11.647Z","priority_groups":[{"group":"A","pinned_ts":"0001-01-01T00:00:00Z"}]"#;

#[test]
fn answers_of_the_real_server_are_written_as_they_are_read() {
    same::<Whole<AccountInfo>>(
        r#"{"type":"io.nats.jetstream.api.v1.account_info_response","memory":0,"storage":0,"reserved_memory":0,"reserved_storage":0,"streams":0,"consumers":0,"limits":{"max_memory":-1,"max_storage":-1,"max_streams":-1,"max_consumers":-1,"max_ack_pending":-1,"memory_max_stream_bytes":-1,"storage_max_stream_bytes":-1,"max_bytes_required":false},"api":{"level":5,"total":0,"errors":0}}"#,
    );
    let created = format!(
        r#"{{"type":"io.nats.jetstream.api.v1.stream_create_response",{STREAM},"ts":"2026-11-21T08:51:01.48Z","did_create":true}}"#
    );
    let info = same::<StreamCreated>(&created).into_result().unwrap().info.into_inner();
    assert_eq!((info.state.messages, info.state.subjects["g.0"]), (4, 3));
    let page = format!(
        r#"{{"type":"io.nats.jetstream.api.v1.stream_info_response","total":2,"offset":0,"limit":100000,{STREAM},"cluster":{{"leader":"probe"}},"ts":"2026-11-21T08:51:01.48Z"}}"#
    );
    same::<StreamInfoPage>(&page);
    let list = format!(
        r#"{{"type":"io.nats.jetstream.api.v1.stream_list_response","total":1,"offset":0,"limit":256,"streams":[{{{STREAM},"ts":"2026-11-21T08:51:01Z"}}]}}"#
    );
    assert_eq!(same::<StreamList>(&list).body.streams.unwrap().len(), 1);
    same::<StreamNames>(
        r#"{"type":"io.nats.jetstream.api.v1.stream_names_response","total":0,"offset":0,"limit":1024,"streams":null}"#,
    );
    same::<StreamNames>(
        r#"{"type":"io.nats.jetstream.api.v1.stream_names_response","total":1,"offset":0,"limit":1024,"streams":["T"]}"#,
    );
    same::<Success>(r#"{"type":"io.nats.jetstream.api.v1.stream_delete_response","success":true}"#);
    same::<Purged>(r#"{"type":"io.nats.jetstream.api.v1.stream_purge_response","success":true,"purged":2}"#);
    let got = same::<Message>(
        r#"{"type":"io.nats.jetstream.api.v1.stream_msg_get_response","message":{"subject":"g.0","seq":3,"hdrs":"TkFUUy8xLjANClg6IDINCg0K","data":"bTI=","time":"2026-11-21T08:50:50.363367101Z"}}"#,
    );
    assert_eq!(got.body.message.unwrap().hdrs.0, b"NATS/1.0\r\nX: 2\r\n\r\n");
    let consumer = format!(r#"{{"type":"io.nats.jetstream.api.v1.consumer_info_response",{CONSUMER}}}"#);
    assert_eq!(same::<Whole<ConsumerInfo>>(&consumer).body.into_inner().delivered.stream_seq, 21);
    let list = format!(
        r#"{{"type":"io.nats.jetstream.api.v1.consumer_list_response","total":1,"offset":0,"limit":256,"consumers":[{{{CONSUMER}}}]}}"#
    );
    same::<ConsumerList>(&list);
    same::<ConsumerNames>(
        r#"{"type":"io.nats.jetstream.api.v1.consumer_names_response","total":0,"offset":0,"limit":1024,"consumers":[]}"#,
    );
    same::<Paused>(
        r#"{"type":"io.nats.jetstream.api.v1.consumer_pause_response","paused":true,"pause_until":"2030-01-01T00:00:00Z","pause_remaining":98204868352587599}"#,
    );
    same::<Nothing>(r#"{"type":"io.nats.jetstream.api.v1.consumer_unpin_response"}"#);
}

#[test]
fn errors_keep_the_fields_that_the_real_server_never_leaves_out() {
    same::<StreamCreated>(
        r#"{"type":"io.nats.jetstream.api.v1.stream_create_response","error":{"code":400,"err_code":10056,"description":"stream name in subject does not match request"}}"#,
    );
    let not_found = r#""error":{"code":404,"err_code":10059,"description":"stream not found"}"#;
    let call = Call::parse(b"$JS.API.STREAM.INFO.X").unwrap();
    let refused = Answer::<StreamInfoPage>::refused(call.answer_type(), Fault::StreamNotFound);
    let text = format!(
        r#"{{"type":"io.nats.jetstream.api.v1.stream_info_response",{not_found},"total":0,"offset":0,"limit":0}}"#
    );
    assert_eq!(String::from_utf8(refused.to_bytes()).unwrap(), text);
    assert_eq!(
        Answer::<StreamInfoPage>::parse(text.as_bytes()).unwrap().into_result(),
        Err(Fault::StreamNotFound.into())
    );
    for (written, fields) in [
        (
            Answer::<StreamNames>::refused("t", Fault::StreamNotFound).to_bytes(),
            r#","total":0,"offset":0,"limit":0,"streams":null"#,
        ),
        (
            Answer::<ConsumerNames>::refused("t", Fault::StreamNotFound).to_bytes(),
            r#","total":0,"offset":0,"limit":0,"consumers":[]"#,
        ),
        (Answer::<Purged>::refused("t", Fault::StreamNotFound).to_bytes(), r#","purged":0"#),
        (
            Answer::<Paused>::refused("t", Fault::StreamNotFound).to_bytes(),
            r#","paused":false,"pause_until":"0001-01-01T00:00:00Z""#,
        ),
        (Answer::<ConsumerReset>::refused("t", Fault::StreamNotFound).to_bytes(), r#","reset_seq":0"#),
        (Answer::<Whole<ConsumerInfo>>::refused("t", Fault::StreamNotFound).to_bytes(), ""),
        (Answer::<Success>::refused("t", Fault::StreamNotFound).to_bytes(), ""),
    ] {
        assert_eq!(String::from_utf8(written).unwrap(), format!(r#"{{"type":"t",{not_found}{fields}}}"#));
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_an_error_and_not_empty() {
    assert!(Answer::<Whole<ConsumerInfo>>::parse(br#"{"type":"t","num_pending":"many"}"#).is_err());
    assert!(Answer::<StreamCreated>::parse(br#"{"type":"t","state":5}"#).is_err());
}

#[test]
fn only_a_stream_acknowledges() {
    let said = |payload: &[u8]| PubAnswer::of_stream(b"", payload);
    let ack = said(br#"{"stream":"S","seq":7}"#).unwrap().unwrap();
    assert_eq!((&*ack.stream, ack.seq), ("S", 7));
    for error in [busy::ANSWER, unkept::ANSWER] {
        assert!(said(error).unwrap().is_err());
    }
    let gone = PubAnswer::of_stream(b"NATS/1.0 503\r\n\r\n", b"").unwrap().unwrap_err();
    assert_eq!(gone.fault(), Some(Fault::StreamNotFound));
    for other in
        ["", "hello", "{}", "[]", r#"{"seq":1}"#, r#"{"stream":"S"}"#, r#"{"error":{}}"#, r#"{"sum":3}"#]
    {
        assert_eq!(said(other.as_bytes()), None, "{other}");
    }
    assert_eq!(PubAnswer::of_stream(b"NATS/1.0 503\r\n\r\n", b"busy"), None, "somebody's answer");
}

#[test]
fn publishers_are_answered_byte_for_byte() {
    for (stream, seq, duplicate, text) in [
        ("T", 2, false, r#"{"stream":"T","seq":2}"#),
        ("T", 2, true, r#"{"stream":"T","seq":2,"duplicate": true}"#),
        ("a\"b>", 7, false, r#"{"stream":"a\"b\u003e","seq":7}"#),
    ] {
        let mut out = Vec::new();
        PubAck::write(&mut out, stream, seq, duplicate);
        assert_eq!(String::from_utf8(out.clone()).unwrap(), text);
        let ack = PubAck { stream: stream.into(), seq, duplicate, ..PubAck::default() };
        assert_eq!(PubAnswer::parse(&out).unwrap().into_result(), Ok(ack));
    }
    let wrong = Fault::WrongLastSequence.with(12);
    let mut out = Vec::new();
    PubAck::write_error(&mut out, "T", &wrong);
    let text = r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 12"},"stream":"T","seq":0}"#;
    assert_eq!(String::from_utf8(out.clone()).unwrap(), text);
    assert_eq!(PubAnswer::parse(&out).unwrap().into_result(), Err(wrong));
    out.clear();
    PubAck::write_error(&mut out, "", &Fault::TooManyRequests.into());
    assert_eq!(out, busy::ANSWER);
    out.clear();
    PubAck::write_error(&mut out, "", &Fault::StreamNotFound.into());
    assert_eq!(out, unkept::ANSWER);
}

#[test]
fn requests_are_taken_as_the_real_server_takes_them() {
    let request: StreamRequest = read(br#"{"name":"T","pedantic":true,"max_msgs":5}"#).unwrap();
    let config = StreamConfig { name: "T".into(), max_msgs: 5, ..StreamConfig::default() };
    assert_eq!(request, StreamRequest { config, pedantic: true });
    assert_eq!(read::<StreamRequest>(&write(&request)).unwrap(), request);
    assert_eq!(read::<StreamRequest>(b"").unwrap(), StreamRequest::default());
    let error = read::<StreamRequest>(br#"{"name":"T","bogus":1}"#).unwrap_err();
    assert_eq!(error.description, r#"invalid JSON: json: unknown field "bogus""#);
    assert!(read::<StreamRequest>(b"[]").is_err());

    let create = br#"{"stream_name":"T","config":{"name":"C","bogus":1},"action":"create"}"#;
    assert_eq!(read::<CreateConsumerRequest>(create).unwrap_err().description, error.description);
    let create = br#"{"stream_name":"T","config":null,"action":""}"#;
    assert_eq!(read::<CreateConsumerRequest>(create).unwrap().action, CreateAction::CreateOrUpdate);
    let error = read::<CreateConsumerRequest>(br#"{"action":"x"}"#).unwrap_err();
    assert_eq!(error.description, r#"invalid JSON: unknown consumer action: "x""#);

    assert_eq!(read_optional::<StreamsRequest>(b"x").unwrap(), StreamsRequest::default());
    assert_eq!(read_optional::<StreamsRequest>(br#"{"offset":5,"subject":"a"}"#).unwrap().offset, 5);
    assert!(read_optional::<StreamsRequest>(br#"{"bogus":5}"#).is_err());
    assert!(read_optional::<ConsumersRequest>(br#"{"subject":"a"}"#).is_err());
    assert_eq!(
        read::<PauseRequest>(br#"{"pause_until":"1970-01-01T00:00:01Z"}"#).unwrap().pause_until,
        Some(Time(1_000_000_000))
    );
    assert_eq!(read::<PurgeRequest>(br#"{"filter":"a","keep":2}"#).unwrap().keep, 2);
    assert!(read::<UnpinRequest>(br#"{"group":5}"#).is_err());
}

#[test]
fn a_direct_request_is_read_leniently() {
    let read = MsgGetRequest::parse_direct;
    for empty in ["", " ", "{}", "null", r#"{"bogus":1}"#] {
        assert_eq!(read(empty.as_bytes()), Some(MsgGetRequest::default()), "{empty}");
    }
    for malformed in ["x", "[]", "[1]", r#"{"seq":"1"}"#, r#"{"seq":-1}"#, "{"] {
        assert_eq!(read(malformed.as_bytes()), None, "{malformed}");
    }
    let request =
        MsgGetRequest { multi_last: vec!["a.>".into()], up_to_seq: 3, batch: -1, ..MsgGetRequest::default() };
    assert_eq!(read(&write(&request)), Some(request));
    assert!(super::super::read::<MsgGetRequest>(br#"{"bogus":1}"#).is_err());
}

#[test]
fn a_body_that_must_be_empty_may_be_an_empty_object() {
    use crate::jetstream::document::is_empty;
    for (body, empty) in [
        ("", true),
        (" \r\n", true),
        ("{}", true),
        ("{ }", true),
        ("{\"a\":1}", false),
        ("x", false),
        ("[]", false),
    ] {
        assert_eq!(is_empty(body.as_bytes()), empty, "{body}");
    }
}

fn total<T: Document + Default>(bytes: &[u8]) {
    let _ = (read::<T>(bytes), read_optional::<T>(bytes));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        total::<StreamRequest>(&bytes);
        total::<CreateConsumerRequest>(&bytes);
        total::<MsgGetRequest>(&bytes);
        let _ = (MsgGetRequest::parse_direct(&bytes), PubAnswer::parse(&bytes));
        let _ = (Answer::<StreamCreated>::parse(&bytes), Answer::<Whole<ConsumerInfo>>::parse(&bytes));
    }

    #[test]
    fn a_message_that_is_written_is_read(subject in "\\PC{0,12}", seq in any::<u64>(), time in 0..u64::MAX / 2,
        hdrs in prop::collection::vec(any::<u8>(), 0..20), data in prop::collection::vec(any::<u8>(), 0..20))
    {
        let message = StoredMessage { subject, seq, hdrs: Blob(hdrs), data: Blob(data), time: Time(time) };
        let answer = Answer::done("t", Message { message: Some(message) });
        prop_assert_eq!(Answer::parse(&answer.to_bytes()).unwrap(), answer);
    }
}
