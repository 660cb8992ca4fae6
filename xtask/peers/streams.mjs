// Durable streams as the client from npm uses them: manager, publishing, consumers, advisories. Run by
// `cargo xtask peers`.
//
// Every expectation here holds for the real nats-server: `cargo xtask peers --only javascript-streams --against
// nats-server`.

import assert from "node:assert/strict";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import { CALM_MS, all, bench, connect, fails, fresh, main, nanos, please, sleep, soon, strings, take, test, until } from "./harness.mjs";

// streams

test("a stream is created with its defaults", () => bench({}, async ({ info, name, at }) => {
  const { config, state } = info;
  assert.deepEqual([config.name, config.subjects], [name, [at(">")]]);
  assert.deepEqual([config.retention, config.discard, config.storage], ["limits", "old", "file"]);
  assert.deepEqual([config.max_msgs, config.max_bytes, config.max_consumers, config.max_age], [-1, -1, -1, 0]);
  assert.deepEqual([config.duplicate_window, config.num_replicas], [120e9, 1]);
  assert.deepEqual([state.messages, state.first_seq, state.last_seq], [0, 0, 0]);
  assert.equal(state.first_ts, "0001-01-01T00:00:00Z");
}));

test("a stream that overlaps is refused", () => bench({}, async ({ jsm, at }) => {
  const error = await fails("JetStreamApiError", jsm.streams.add({ name: fresh(), subjects: [at("a")] }));
  assert.equal(error.code, 10065);
  assert.equal(error.message, "subjects overlap with an existing stream");
}));

test("a stream is changed", () => bench({}, async ({ jsm, name, at, fill }) => {
  await fill("1", "2", "3");
  const info = await jsm.streams.update(name, { subjects: [at(">"), `${name}.x`], max_msgs: 2, description: "new" });
  assert.deepEqual([info.config.description, info.state.messages, info.state.first_seq], ["new", 2, 2]);
  await fails(10052, jsm.streams.update(name, { storage: "memory" }));
  await fails(10059, jsm.streams.update(fresh(), { max_msgs: 1 }));
}));

test("a stream is deleted", () => bench({}, async ({ js, jsm, name, at }) => {
  assert.equal(await jsm.streams.delete(name), true);
  await fails("StreamNotFoundError", jsm.streams.info(name));
  await fails(10059, jsm.streams.delete(name));
  await fails("JetStreamNotEnabled", js.publish(at("a"), "x", { retries: 0 }));
}));

test("streams are listed and found", () => bench({}, async ({ jsm, name, at }) => {
  assert((await all(jsm.streams.names())).includes(name));
  assert.deepEqual(await all(jsm.streams.names(at("x"))), [name]);
  assert.deepEqual((await all(jsm.streams.list(at("x")))).map((info) => info.config.name), [name]);
  assert.deepEqual(await all(jsm.streams.list("nobody.has.this")), []);
  assert.equal(await jsm.streams.find(at("x")), name);
  assert.equal((await jsm.streams.get(name)).name, name);
}));

test("a long list comes in pages", () => bench({}, async ({ jsm, name, at }) => {
  await Promise.all(Array.from({ length: 300 }, (_, n) => jsm.consumers.add(name, { durable_name: `C${n}`, filter_subject: at(`${n}`) })));
  const names = (await all(jsm.consumers.list(name))).map((info) => info.name);
  assert.equal(new Set(names).size, 300);
}));

test("subjects and deleted messages are told when asked for", () => bench({}, async ({ js, jsm, name, at, fill }) => {
  await fill("1", "2");
  await js.publish(at("b"), "3");
  await jsm.streams.deleteMessage(name, 2);
  const { state } = await jsm.streams.info(name, { subjects_filter: ">", deleted_details: true });
  assert.deepEqual(state.subjects, { [at("a")]: 1, [at("b")]: 1 });
  assert.deepEqual([state.num_subjects, state.num_deleted, state.deleted], [2, 1, [2]]);
  const plain = await jsm.streams.info(name);
  assert.deepEqual([plain.state.subjects, plain.state.deleted], [undefined, undefined]);
}));

test("very many subjects come whole", () => bench({}, async ({ nc, jsm, name, at, state }) => {
  for (let n = 0; n < 3000; n++) nc.publish(at(`s.${n}`), "x");
  await until(async () => (await state()).messages === 3000, "3000 messages");
  const { state: told } = await jsm.streams.info(name, { subjects_filter: at("s.*") });
  assert.equal(Object.keys(told.subjects).length, 3000);
}));

test("the account counts", () => bench({}, async ({ jsm }) => {
  const account = await jsm.getAccountInfo();
  assert(account.streams >= 1 && account.api.total > 0);
  assert.deepEqual([account.limits.max_streams, account.limits.max_storage], [-1, -1]);
}));

// publishing

test("a publish is acknowledged", () => bench({}, async ({ js, name, at }) => {
  const ack = await js.publish(at("a"), "one");
  assert.deepEqual([ack.stream, ack.seq, ack.duplicate], [name, 1, false]);
}));

test("a message id is taken once", () => bench({}, async ({ js, at }) => {
  await js.publish(at("a"), "one", { msgID: "1" });
  const again = await js.publish(at("b"), "two", { msgID: "1" });
  assert.deepEqual([again.seq, again.duplicate], [1, true]);
}));

test("expectations are kept", () => bench({}, async ({ js, name, at }) => {
  const publish = (expect) => js.publish(at("a"), "x", { expect });
  await publish({ lastSequence: 0, streamName: name });
  const error = await fails(10071, publish({ lastSequence: 5 }));
  assert.equal(error.message, "wrong last sequence: 1");
  await fails(10071, publish({ lastSubjectSequence: 0 }));
  await fails(10070, publish({ lastMsgID: "none" }));
  await fails(10060, publish({ streamName: "OTHER" }));
  await publish({ lastSubjectSequence: 1 });
  await publish({ lastSubjectSequence: 2, lastSubjectSequenceSubject: at("*") });
  await fails(10071, publish({ lastSubjectSequence: 2, lastSubjectSequenceSubject: at("*") }));
}));

test("a message lives as long as it says", () => bench({ allow_msg_ttl: true }, async ({ js, jsm, name, at, state }) => {
  await js.publish(at("a"), "short", { ttl: "1s" });
  await js.publish(at("b"), "for ever", { ttl: "never" });
  await until(async () => (await state()).messages === 1, "the short-lived one is still there");
  assert.equal((await jsm.streams.getMessage(name, { seq: 2 })).header.get("Nats-TTL"), "never");
  await fails(10165, js.publish(at("a"), "x", { ttl: "soon" }));
}));

test("a message without a lifetime is refused one", () => bench({}, ({ js, at }) =>
  fails(10166, js.publish(at("a"), "x", { ttl: "1s" }))));

test("a full stream refuses", () => bench({ max_msgs: 1, discard: "new" }, async ({ js, at, fill }) => {
  await fill("1");
  await fails(10077, js.publish(at("a"), "2"));
}));

test("a required API level is met", async () => {
  const nc = await connect();
  const jsm = await jetstreamManager(nc, { sendRequiredApiLevel: true });
  const name = fresh();
  await jsm.streams.add({ name, allow_msg_ttl: true });
  assert((await jsm.streams.info(name)).config.allow_msg_ttl);
  await jsm.streams.delete(name);
  await nc.close();
});

test("what was acknowledged survives kill nine", async () => {
  let nc = await connect("streams-killed");
  await (await jetstreamManager(nc)).streams.add({ name: "SAVED", subjects: ["saved.>"] });
  const js = jetstream(nc);
  await Promise.all(Array.from({ length: 500 }, (_, n) => js.publish(`saved.${n % 10}`, `${n}`)));
  await nc.close();
  await please("restart streams-killed");
  nc = await connect("streams-killed");
  const jsm = await jetstreamManager(nc);
  const { state } = await jsm.streams.info("SAVED", { subjects_filter: ">" });
  assert.deepEqual([state.messages, state.last_seq, Object.keys(state.subjects).length], [500, 500, 10]);
  const consumer = await jetstream(nc).consumers.get("SAVED", {});
  const seen = await take(await consumer.fetch({ max_messages: 500 }), 500);
  assert.deepEqual(seen.map((m) => m.seq), Array.from({ length: 500 }, (_, n) => n + 1));
  await jsm.streams.delete("SAVED");
  await nc.close();
});

// single messages

test("messages are read", () => bench({}, async ({ js, jsm, name, at, fill }) => {
  await fill("1", "2");
  const marks = headers();
  marks.append("Owner", "us");
  await js.publish(at("b"), "3", { headers: marks });
  const get = (query) => jsm.streams.getMessage(name, query);
  assert.deepEqual([(await get({ seq: 1 })).string(), (await get({ last_by_subj: at("a") })).seq], ["1", 2]);
  assert.equal((await get({ seq: 2, next_by_subj: at("b") })).header.get("Owner"), "us");
  assert.equal((await get({ start_time: new Date(Date.now() - 60_000).toISOString() })).seq, 1);
  assert.equal(await get({ seq: 9 }), null);
  assert.equal(await get({ last_by_subj: at("x") }), null);
}));

test("a message is deleted", () => bench({}, async ({ jsm, name, fill, state }) => {
  await fill("1", "2", "3");
  assert.equal(await jsm.streams.deleteMessage(name, 2, false), true);
  await fails(10043, jsm.streams.deleteMessage(name, 2));
  assert.equal(await jsm.streams.deleteMessage(name, 1), true);
  assert.equal((await state()).first_seq, 3);
}));

test("a stream is purged", () => bench({}, async ({ js, jsm, name, at, fill, state }) => {
  await fill("1", "2", "3");
  await js.publish(at("b"), "4");
  assert.equal((await jsm.streams.purge(name, { filter: at("b") })).purged, 1);
  assert.equal((await jsm.streams.purge(name, { seq: 2 })).purged, 1);
  assert.equal((await jsm.streams.purge(name, { keep: 1 })).purged, 1);
  assert.equal((await jsm.streams.purge(name)).purged, 1);
  assert.deepEqual([(await state()).messages, (await state()).last_seq], [0, 4]);
}));

const DIRECT = { allow_direct: true };

test("messages are read directly", () => bench(DIRECT, async ({ js, jsm, name, at, fill }) => {
  await fill("1", "2");
  const one = await jsm.direct.getMessage(name, { seq: 1 });
  assert.deepEqual([one.string(), one.subject, one.seq], ["1", at("a"), 1]);
  assert(Math.abs(Date.now() - one.time.getTime()) < 60_000);
  assert.equal((await jsm.direct.getMessage(name, { last_by_subj: at("a") })).seq, 2);
  assert.equal((await jsm.direct.getMessage(name, { next_by_subj: at("*"), seq: 2 })).seq, 2);
  assert.equal(await jsm.direct.getMessage(name, { seq: 9 }), null);
}));

test("batches are read directly", () => bench(DIRECT, async ({ js, jsm, name, at, fill }) => {
  await fill("1", "2", "3");
  await js.publish(at("b"), "4");
  const batch = (options) => all(jsm.direct.getBatch(name, options));
  assert.deepEqual(strings(await batch({ seq: 2, batch: 2 })), ["2", "3"]);
  assert.deepEqual(strings(await batch({ seq: 1, batch: 9, next_by_subj: at("b") })), ["4"]);
  assert.deepEqual((await batch({ start_time: new Date(Date.now() - 60_000), batch: 9 })).map((m) => [m.seq, m.pending]), [[1, 3], [2, 2], [3, 1], [4, 0]]);
}));

test("the last of many subjects are read directly", () => bench(DIRECT, async ({ js, jsm, name, at, fill }) => {
  await fill("1", "2");
  await js.publish(at("b"), "3");
  await js.publish(at("c"), "4");
  const last = (options) => all(jsm.direct.getLastMessagesFor(name, options));
  assert.deepEqual(strings(await last({ multi_last: [at("a"), at("c")] })), ["2", "4"]);
  assert.deepEqual(strings(await last({ multi_last: [at(">")], up_to_seq: 3 })), ["2", "3"]);
  assert.deepEqual(strings(await last({ multi_last: [at(">")], batch: 2 })), ["2", "3"]);
  assert.deepEqual(await last({ multi_last: [at("x")] }), []);
}));

// consumers

test("a consumer is created with its defaults", () => bench({}, async ({ jsm, name }) => {
  const info = await jsm.consumers.add(name, { durable_name: "C", ack_policy: "explicit" });
  const { config } = info;
  assert.deepEqual([info.name, info.stream_name, config.deliver_policy, config.replay_policy], ["C", name, "all", "instant"]);
  assert.deepEqual([config.ack_wait, config.max_deliver, config.max_waiting, config.max_ack_pending], [30e9, -1, 512, 1000]);
  assert.deepEqual([info.num_pending, info.num_ack_pending, info.num_waiting], [0, 0, 0]);
}));

test("consumers are managed", () => bench({}, async ({ jsm, name, at }) => {
  await jsm.consumers.add(name, { durable_name: "C", filter_subject: at("*.x") });
  await fails(10148, jsm.consumers.add(name, { durable_name: "C", filter_subject: at("b") }));
  const info = await jsm.consumers.update(name, "C", { description: "new", max_ack_pending: 5 });
  assert.deepEqual([info.config.description, info.config.max_ack_pending], ["new", 5]);
  await fails(10012, jsm.consumers.update(name, "C", { ack_policy: "all" }));
  assert.deepEqual((await all(jsm.consumers.list(name))).map((info) => info.name), ["C"]);
  assert.equal(await jsm.consumers.delete(name, "C"), true);
  await fails("ConsumerNotFoundError", jsm.consumers.info(name, "C"));
  await fails("ConsumerNotFoundError", jsm.consumers.delete(name, "C"));
}));

test("bad consumers are refused", () => bench({}, async ({ jsm, name, at }) => {
  await fails(10138, jsm.consumers.add(name, { name: "C", filter_subjects: [at("*"), at("a")] }));
  await fails(10081, jsm.consumers.add(name, { name: "C", deliver_subject: at("d") }));
  await fails(10116, jsm.consumers.add(name, { name: "C", ack_policy: "explicit", max_deliver: 1, backoff: [1e9, 2e9] }));
  await fails(10059, jsm.consumers.add(fresh(), { name: "C" }));
}));

test("a consumer is paused and resumed", () => bench({}, async ({ jsm, name, fill, consumer }) => {
  const c = await consumer("C");
  await fill("1");
  const paused = await jsm.consumers.pause(name, "C", new Date(Date.now() + 60_000));
  assert.equal(paused.paused, true);
  assert((await jsm.consumers.info(name, "C")).pause_remaining > 0);
  assert.equal(await c.next({ expires: 1_000 }), null);
  assert.equal((await jsm.consumers.resume(name, "C")).paused, false);
  assert.equal((await c.next()).string(), "1");
}));

test("a consumer is reset", () => bench({}, async ({ jsm, name, fill, consumer }) => {
  await fill("1", "2", "3");
  const c = await consumer("C");
  await take(await c.fetch({ max_messages: 3 }), 3);
  assert.equal((await jsm.consumers.reset(name, "C", 2)).reset_seq, 2);
  assert.equal((await c.next()).string(), "2");
}));

test("next gives one, or nothing", () => bench({}, async ({ fill, consumer, name, at }) => {
  const c = await consumer("C");
  const began = Date.now();
  assert.equal(await c.next({ expires: 1_000 }), null);
  assert(Date.now() - began > 800);
  await fill("1");
  const m = await c.next();
  assert.deepEqual([m.string(), m.subject, m.seq, m.redelivered], ["1", at("a"), 1, false]);
  assert.deepEqual([m.info.stream, m.info.consumer, m.info.deliveryCount, m.info.pending], [name, "C", 1, 0]);
}));

test("fetch gives a batch", () => bench({}, async ({ fill, consumer }) => {
  await fill("1", "2", "3", "4", "5");
  const c = await consumer("C");
  assert.deepEqual(strings(await all(c.fetch({ max_messages: 3 }))), ["1", "2", "3"]);
  const began = Date.now();
  assert.deepEqual(strings(await all(c.fetch({ max_messages: 9, expires: 1_000 }))), ["4", "5"]);
  assert(Date.now() - began > 700);
}));

test("fetch minds bytes", () => bench({}, async ({ fill, consumer }) => {
  const big = "x".repeat(1000);
  await fill(big, big, big);
  const c = await consumer("C");
  const messages = await c.fetch({ max_bytes: 2500, expires: 1_000 });
  const seen = [];
  await fails(409, (async () => { for await (const m of messages) seen.push(m.seq); })());
  assert.deepEqual(seen, [1, 2]);
}));

test("consume goes on and on", () => bench({}, async ({ nc, fill, consumer, at, state }) => {
  const c = await consumer("C");
  const messages = await c.consume({ max_messages: 50 });
  const done = (async () => {
    const seen = [];
    for await (const m of messages) {
      m.ack();
      seen.push(m.seq);
      if (seen.length === 1000) break;
    }
    return seen;
  })();
  for (let n = 0; n < 1000; n++) nc.publish(at("a"), `${n}`);
  assert.deepEqual(await soon(done, "1000 messages", 20_000), Array.from({ length: 1000 }, (_, n) => n + 1));
  await until(async () => (await c.info()).num_ack_pending === 0, "all acknowledged");
}));

test("consume calls back", () => bench({}, async ({ fill, consumer }) => {
  const c = await consumer("C");
  const got = [];
  const messages = await c.consume({ callback: (m) => { got.push(m.string()); m.ack(); } });
  await fill("1", "2", "3");
  await until(() => got.length === 3, "three messages");
  await messages.close();
  await fill("4");
  await sleep(CALM_MS);
  assert.deepEqual(got, ["1", "2", "3"]);
}));

test("consume hears heartbeats and the end of its consumer", () => bench({}, async ({ jsm, name, consumer }) => {
  const c = await consumer("C");
  const messages = await c.consume({ expires: 2_000, idle_heartbeat: 500, callback: () => {} });
  const seen = new Set();
  (async () => { for await (const event of messages.status()) seen.add(event.type); })();
  await until(() => seen.has("heartbeat"), "a heartbeat");
  assert(!seen.has("heartbeats_missed"));
  await jsm.consumers.delete(name, "C");
  await until(() => seen.has("consumer_deleted"), "consumer_deleted");
  await messages.close();
}));

test("two who consume share", () => bench({}, async ({ js, name, fill, consumer }) => {
  await consumer("C");
  const got = [[], []];
  const consumers = await Promise.all(got.map(() => js.consumers.get(name, "C")));
  await Promise.all(consumers.map((c, at) => c.consume({ max_messages: 10, callback: (m) => { got[at].push(m.seq); m.ack(); } })));
  await fill(...Array.from({ length: 200 }, (_, n) => `${n}`));
  await until(() => got.flat().length >= 200, "200 messages");
  assert.equal(new Set(got.flat()).size, 200);
  assert(got[0].length > 0 && got[1].length > 0);
}));

test("an ordered consumer sees all in order", () => bench({}, async ({ nc, js, name, at, state }) => {
  for (let n = 0; n < 2000; n++) nc.publish(at(n % 2 ? "odd" : "even"), `${n}`);
  await until(async () => (await state()).messages === 2000, "2000 messages");
  const c = await js.consumers.get(name);
  const seen = await take(await c.consume({ max_messages: 300 }), 2000);
  assert.deepEqual(seen.map((m) => m.seq), Array.from({ length: 2000 }, (_, n) => n + 1));
  const odd = await js.consumers.get(name, { filter_subjects: [at("odd")], opt_start_seq: 1001, deliver_policy: "by_start_sequence" });
  assert.deepEqual((await take(await odd.fetch({ max_messages: 3 }), 3)).map((m) => m.seq), [1002, 1004, 1006]);
}));

test("an ordered consumer comes back when its consumer is gone", () => bench({}, async ({ js, jsm, name, fill }) => {
  await fill("1");
  const c = await js.consumers.get(name, {});
  const messages = await c.consume({ expires: 2_000, idle_heartbeat: 500 });
  const seen = [];
  (async () => { for await (const m of messages) seen.push(m.string()); })();
  await until(() => seen.length === 1, "the first");
  const [info] = await all(jsm.consumers.list(name));
  await jsm.consumers.delete(name, info.name);
  await fill("2");
  await until(() => seen.length === 2, "the second");
  assert.deepEqual(seen, ["1", "2"]);
}));

test("filters choose", () => bench({}, async ({ js, at, consumer }) => {
  for (const rest of ["a", "b", "c", "b"]) await js.publish(at(rest), rest);
  const c = await consumer("C", { filter_subjects: [at("a"), at("b")] });
  assert.deepEqual(strings(await all(c.fetch({ max_messages: 9, expires: 1_000 }))), ["a", "b", "b"]);
}));

test("headers only", () => bench({}, async ({ fill, consumer }) => {
  await fill("hello");
  const c = await consumer("C", { headers_only: true });
  const m = await c.next();
  assert.deepEqual([m.data.length, m.headers.get("Nats-Msg-Size")], [0, "5"]);
}));

// acknowledging

test("an acknowledgement can be confirmed", () => bench({}, async ({ fill, consumer }) => {
  await fill("1");
  const c = await consumer("C");
  assert.equal(await (await c.next()).ackAck(), true);
  const info = await c.info();
  assert.deepEqual([info.ack_floor.stream_seq, info.num_ack_pending], [1, 0]);
}));

test("messages come back when refused or forgotten", () => bench({}, async ({ fill, consumer }) => {
  await fill("1");
  const c = await consumer("C", { ack_wait: nanos(500) });
  (await c.next()).nak();
  let m = await c.next();
  assert.deepEqual([m.info.deliveryCount, m.redelivered], [2, true]);
  m.nak(700);
  assert.equal(await c.next({ expires: 1_000 }).then((m) => m.info.deliveryCount), 3);
  m = await c.next({ expires: 3_000 });
  assert.equal(m.info.deliveryCount, 4);
}));

test("working puts the redelivery off", () => bench({}, async ({ fill, consumer }) => {
  await fill("1");
  const c = await consumer("C", { ack_wait: nanos(800) });
  const m = await c.next();
  for (let n = 0; n < 4; n++) {
    await sleep(400);
    m.working();
  }
  assert.equal((await c.info()).num_redelivered, 0);
}));

test("a work queue is emptied by its workers", () => bench({ retention: "workqueue" }, async ({ jsm, name, fill, consumer, state }) => {
  await fill("1", "2", "3");
  const c = await consumer("C");
  await fails(10099, jsm.consumers.add(name, { durable_name: "D", ack_policy: "explicit" }));
  const [one, two] = await take(await c.fetch({ max_messages: 2 }), 2);
  await one.ackAck();
  two.term("broken");
  await until(async () => (await state()).messages === 1, "one is left");
}));

// pushing

test("a push consumer delivers", () => bench({}, async ({ js, jsm, name, fill }) => {
  await jsm.consumers.add(name, { durable_name: "P", deliver_subject: fresh("deliver"), ack_policy: "explicit" });
  const c = await js.consumers.getPushConsumer(name, "P");
  const messages = await c.consume();
  await fill("1", "2");
  const seen = await take(messages, 2);
  assert.deepEqual(strings(seen), ["1", "2"]);
  assert.equal((await c.info()).push_bound, true);
}));

test("a group shares a push consumer", () => bench({}, async ({ js, jsm, name, fill }) => {
  await jsm.consumers.add(name, { durable_name: "P", deliver_subject: fresh("deliver"), deliver_group: "g", ack_policy: "explicit" });
  const got = [[], []];
  for (const list of got) {
    const c = await js.consumers.getPushConsumer(name, "P");
    await c.consume({ callback: (m) => { list.push(m.seq); m.ack(); } });
  }
  await fill(...Array.from({ length: 100 }, (_, n) => `${n}`));
  await until(() => got.flat().length === 100, "100 messages");
  assert(got[0].length > 0 && got[1].length > 0 && new Set(got.flat()).size === 100);
}));

test("an ordered push consumer sees all in order", () => bench({}, async ({ nc, js, name, at, state }) => {
  for (let n = 0; n < 60; n++) nc.publish(at("a"), new Uint8Array(100_000));
  await until(async () => (await state()).messages === 60, "60 messages");
  const c = await js.consumers.getPushConsumer(name);
  const seen = await take(await c.consume(), 60);
  assert.deepEqual(seen.map((m) => m.seq), Array.from({ length: 60 }, (_, n) => n + 1));
}));

// advisories

test("advisories tell", async () => {
  const nc = await connect();
  const jsm = await jetstreamManager(nc);
  const js = jetstream(nc);
  const name = fresh();
  const told = [];
  nc.subscribe("$JS.EVENT.ADVISORY.>", { callback: (_, m) => {
    const data = m.json();
    if (data.stream === name) told.push(`${m.subject.split(".").slice(3, -1).join(".")}: ${data.type.split(".").at(-1)} ${data.action ?? data.deliveries}`);
  } });
  await nc.flush();
  await jsm.streams.add({ name, subjects: [`${name}.>`] });
  await jsm.consumers.add(name, { durable_name: "C", ack_policy: "explicit", ack_wait: nanos(200), max_deliver: 1 });
  await js.publish(`${name}.a`, "1");
  await js.publish(`${name}.a`, "2");
  const c = await js.consumers.get(name, "C");
  const [, two] = await take(await c.fetch({ max_messages: 2 }), 2);
  two.term("no good");
  await until(() => told.some((line) => line.includes("max_deliver")), "max deliveries");
  await jsm.consumers.delete(name, "C");
  await jsm.streams.update(name, { description: "new" });
  await jsm.streams.delete(name);
  await until(() => told.length >= 7, "seven advisories");
  assert.deepEqual(told, [
    "STREAM.CREATED: stream_action create",
    `CONSUMER.CREATED.${name}: consumer_action create`,
    `CONSUMER.MSG_TERMINATED.${name}: terminated 1`,
    `CONSUMER.MAX_DELIVERIES.${name}: max_deliver 1`,
    `CONSUMER.DELETED.${name}: consumer_action delete`,
    "STREAM.UPDATED: stream_action modify",
    "STREAM.DELETED: stream_action delete",
  ]);
  await nc.close();
});

test("the manager hears advisories", () => bench({}, async ({ jsm, name }) => {
  const heard = jsm.advisories();
  await jsm.consumers.add(name, { durable_name: "C" });
  for await (const advisory of heard) {
    if (advisory.kind === "consumer_action" && advisory.data.stream === name) break;
  }
}));

await main();
