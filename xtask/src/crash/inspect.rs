//! Asks a server what it holds, and tells the oracle: a little after each start, everything at the end.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bench::{BenchError, Caller};
use serde_json::{Value, json};

use super::consumer::stream_sequence;
use super::message;
use super::oracle::{Oracle, Rule, State, Stored};
use super::plan::{CONSUMERS, ConsumerPlan, STREAMS, StreamPlan, subject_number};

/// Messages that are looked at after a start.
const NEWEST: u64 = 8;
/// Messages of one request when everything is read.
const BATCH: u64 = 500;
/// How long one batch may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long consumers may take to get everything at the end.
const DRAIN_LIMIT: Duration = Duration::from_secs(180);

/// The streams are those that were made, what was acknowledged last is there, and nothing has a hole.
pub(super) fn after_start(caller: &mut Caller, oracle: &mut Oracle) -> Result<(), BenchError> {
    let names = caller.api("STREAM.NAMES", &Value::Null)?;
    let names = names.get("streams").and_then(Value::as_array).cloned().unwrap_or_default();
    oracle.listed(&names.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
    for (nth, StreamPlan { name, .. }) in STREAMS.iter().enumerate() {
        oracle.restarted(nth, state(caller, name)?);
        for seq in oracle.newest(nth, NEWEST) {
            let found = get(caller, name, &json!({"seq": seq}))?;
            oracle.looked_up(nth, seq, found);
        }
    }
    Ok(())
}

/// Waits until consumers have everything and the server has all their acknowledgements; says who has not.
pub(super) fn drained(caller: &mut Caller) -> Result<(), BenchError> {
    let deadline = Instant::now() + DRAIN_LIMIT;
    for ConsumerPlan { name, stream, .. } in CONSUMERS {
        let stream = STREAMS.get(*stream).map_or("", |stream| stream.name);
        loop {
            let info = caller.api(&format!("CONSUMER.INFO.{stream}.{name}"), &Value::Null)?;
            let figure = |key| info.get(key).and_then(Value::as_u64).unwrap_or_default();
            let (pending, unacknowledged) = (figure("num_pending"), figure("num_ack_pending"));
            if (pending, unacknowledged) == (0, 0) {
                break;
            }
            if Instant::now() > deadline {
                return Err(BenchError::Refused(format!(
                    "consumer {name} still has {pending} messages to come and {unacknowledged} to be acknowledged"
                )));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Everything that every stream holds.
pub(super) fn at_end(caller: &mut Caller, oracle: &mut Oracle) -> Result<(), BenchError> {
    for (nth, plan) in STREAMS.iter().enumerate() {
        let all = match plan.rule {
            Rule::WorkQueue => one_by_one(caller, plan)?,
            _ => in_batches(caller, plan)?,
        };
        oracle.holds(nth, &all);
    }
    for nth in 0..CONSUMERS.len() {
        oracle.all_delivered(nth);
    }
    Ok(())
}

fn state(caller: &mut Caller, stream: &str) -> Result<State, BenchError> {
    let info = caller.api(&format!("STREAM.INFO.{stream}"), &Value::Null)?;
    let figure = |pointer| info.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    Ok(State {
        first: figure("/state/first_seq"),
        last: figure("/state/last_seq"),
        messages: figure("/state/messages"),
    })
}

/// One message through the API; `None`: there is none.
fn get(caller: &mut Caller, stream: &str, request: &Value) -> Result<Option<Stored>, BenchError> {
    let answer =
        caller.request(&format!("$JS.API.STREAM.MSG.GET.{stream}"), request.to_string().as_bytes())?;
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
    if answer.pointer("/error/code").and_then(Value::as_u64) == Some(404) {
        return Ok(None);
    }
    let Some(found) = answer.get("message") else {
        return Err(BenchError::Refused(format!("MSG.GET of {stream}: {answer}")));
    };
    let text = |key| found.get(key).and_then(Value::as_str).unwrap_or_default();
    let payload = STANDARD.decode(text("data")).unwrap_or_default();
    let seq = found.get("seq").and_then(Value::as_u64).unwrap_or_default();
    Ok(Some(Stored { seq, subject: subject_number(text("subject")), message: message::number(&payload) }))
}

/// A work queue lets nobody read it but its consumer, so each message is asked for.
fn one_by_one(caller: &mut Caller, plan: &StreamPlan) -> Result<Vec<Stored>, BenchError> {
    let mut all = Vec::new();
    let mut seq = state(caller, plan.name)?.first.max(1);
    let filter = format!("{}.*", plan.subject);
    while let Some(found) = get(caller, plan.name, &json!({"seq": seq, "next_by_subj": filter}))? {
        seq = found.seq + 1;
        all.push(found);
    }
    Ok(all)
}

/// The whole stream through a consumer that acknowledges nothing.
fn in_batches(caller: &mut Caller, plan: &StreamPlan) -> Result<Vec<Stored>, BenchError> {
    let StreamPlan { name, .. } = plan;
    let config =
        json!({"ack_policy": "none", "deliver_policy": "all", "inactive_threshold": 30_000_000_000_u64});
    let made =
        caller.api(&format!("CONSUMER.CREATE.{name}"), &json!({"stream_name": name, "config": config}))?;
    let consumer = made.get("name").and_then(Value::as_str).unwrap_or_default();
    let next = format!("$JS.API.CONSUMER.MSG.NEXT.{name}.{consumer}");
    let deliver = caller.reply_subject().replace("_INBOX", "_DELIVER");
    let inbox = caller.subscribe(&deliver)?;
    let mut all = Vec::new();
    let total = state(caller, name)?.messages as usize;
    while all.len() < total {
        let batch = BATCH.min((total - all.len()) as u64);
        caller.publish(&next, &deliver, b"", format!("{{\"batch\":{batch},\"no_wait\":true}}").as_bytes())?;
        let end = all.len() + batch as usize;
        while all.len() < end {
            let delivery = caller.next(PATIENCE)?.filter(|delivery| delivery.sid == inbox);
            match delivery {
                Some(delivery) if delivery.status().is_none() => all.push(Stored {
                    seq: stream_sequence(&delivery.reply),
                    subject: subject_number(&delivery.subject),
                    message: message::number(&delivery.payload),
                }),
                // Fewer than the stream said: what is missing is the oracle's to say.
                _ => return Ok(all),
            }
        }
    }
    Ok(all)
}
