// The core protocol as the NATS client from npm uses it. Run by `cargo xtask peers`, which says in PEERS where the
// servers are.
//
// Every expectation here holds for the real nats-server: `cargo xtask peers --only javascript --against nats-server`.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { headers, connect as open } from "@nats-io/transport-node";

const PEERS = JSON.parse(process.env.PEERS);
const CALM_MS = 300; // in which something that must not happen would have happened
const PATIENCE_MS = 5_000;
const tests = [];
const test = (name, run) => tests.push({ name, run });
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));
const text = (data) => new TextDecoder().decode(data);

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the runner for something; returns when it is done. */
async function please(order) {
  say({ please: order });
  assert.equal((await answers.next()).value, "done");
}

function connect(setup = "plain", options = {}) {
  const servers = `127.0.0.1:${PEERS.ports[setup]}`;
  return open({ servers, reconnect: false, timeout: PATIENCE_MS, ...options });
}

/** Fails unless the promise settles in time. */
function soon(promise, what = "nothing happened", ms = PATIENCE_MS) {
  const late = sleep(ms).then(() => assert.fail(`${what} within ${ms} ms`));
  return Promise.race([promise, late]);
}

/** The next `count` messages of a subscription, as text. */
async function take(sub, count) {
  const got = [];
  const iterator = sub[Symbol.asyncIterator]();
  while (got.length < count) {
    const { value, done } = await soon(iterator.next(), `${got.length} of ${count} messages`);
    assert(!done, "the subscription ended");
    got.push(value);
  }
  return got;
}

const bodies = async (sub, count) => (await take(sub, count)).map((m) => text(m.data));

/** Remembers what a subscription gets, by callback. */
function collect(nc, subject, options = {}) {
  const got = [];
  const sub = nc.subscribe(subject, { ...options, callback: (error, m) => got.push(error ?? text(m.data)) });
  return { got, sub };
}

/** The first status of a connection for which `wanted` is true. */
async function status(nc, wanted) {
  const watch = async () => {
    for await (const event of nc.status()) if (wanted(event)) return event;
    assert.fail("the connection ended without that status");
  };
  return soon(watch(), "no such status", 15_000);
}

const close = (...clients) => Promise.all(clients.map((nc) => nc.close()));

// publish and subscribe

test("a publish reaches every subscriber", async () => {
  const [a, b] = [await connect(), await connect()];
  const subs = [a.subscribe("news"), b.subscribe("news")];
  await Promise.all([a.flush(), b.flush()]);
  a.publish("news", "one");
  a.publish("news");
  for (const sub of subs) assert.deepEqual(await bodies(sub, 2), ["one", ""]);
  await close(a, b);
});

test("order is kept over many messages", async () => {
  const [a, b] = [await connect(), await connect()];
  const { got } = collect(b, "count");
  await b.flush();
  for (let n = 0; n < 50_000; n++) a.publish("count", String(n));
  await a.flush();
  await b.flush();
  assert.equal(got.length, 50_000);
  assert(got.every((body, n) => body === String(n)));
  await close(a, b);
});

test("wildcards match whole tokens", async () => {
  const nc = await connect();
  const [one, rest] = [collect(nc, "w.*.end"), collect(nc, "w.>")];
  for (const subject of ["w.a.end", "w.a.b.end", "w", "w.x", "ww.a.end"]) nc.publish(subject, subject);
  await nc.flush();
  assert.deepEqual(one.got, ["w.a.end"]);
  assert.deepEqual(rest.got, ["w.a.end", "w.a.b.end", "w.x"]);
  await close(nc);
});

// queue groups

test("a queue group shares without duplicates", async () => {
  const clients = await Promise.all([1, 2, 3, 4].map(() => connect()));
  const [publisher, ...workers] = clients;
  const shares = workers.map((nc) => collect(nc, "jobs.*", { queue: "workers" }).got);
  await Promise.all(workers.map((nc) => nc.flush()));
  for (let n = 0; n < 600; n++) publisher.publish("jobs.x", String(n));
  await publisher.flush();
  await Promise.all(workers.map((nc) => nc.flush()));
  const all = shares.flat().map(Number).sort((a, b) => a - b);
  assert.deepEqual(all, Array.from({ length: 600 }, (_, n) => n));
  assert(shares.every((share) => share.length > 60), `${shares.map((share) => share.length)}`);
  await close(...clients);
});

test("each queue group and each plain subscriber gets one", async () => {
  const nc = await connect();
  const red = [1, 2].map(() => collect(nc, "q", { queue: "red" }).got);
  const blue = [1, 2].map(() => collect(nc, "q", { queue: "blue" }).got);
  const plain = collect(nc, "q").got;
  for (let n = 0; n < 20; n++) nc.publish("q", String(n));
  await nc.flush();
  for (const group of [red.flat(), blue.flat(), plain]) assert.equal(new Set(group).size, 20);
  for (const group of [red.flat(), blue.flat(), plain]) assert.equal(group.length, 20);
  await close(nc);
});

// request and reply

test("a request is answered", async () => {
  const [server, client] = [await connect(), await connect()];
  server.subscribe("double", { callback: (_, m) => m.respond(String(2 * Number(text(m.data)))) });
  await server.flush();
  const asked = Array.from({ length: 100 }, (_, n) => client.request("double", String(n), { timeout: PATIENCE_MS }));
  const got = (await Promise.all(asked)).map((m) => Number(text(m.data)));
  assert.deepEqual(got, Array.from({ length: 100 }, (_, n) => 2 * n));
  const alone = await client.request("double", "21", { noMux: true, timeout: PATIENCE_MS });
  assert.equal(text(alone.data), "42");
  await close(server, client);
});

test("many services answer one request", async () => {
  const nc = await connect();
  for (const name of ["a", "b", "c"]) nc.subscribe("who", { callback: (_, m) => m.respond(name) });
  const got = [];
  for await (const m of await nc.requestMany("who", "", { maxMessages: 3, maxWait: PATIENCE_MS })) got.push(text(m.data));
  assert.deepEqual(got.sort(), ["a", "b", "c"]);
  await close(nc);
});

test("a request that nobody serves fails at once", async () => {
  const nc = await connect();
  for (const options of [{}, { noMux: true }]) {
    await assert.rejects(nc.request("nobody.home", "", { timeout: PATIENCE_MS, ...options }), (error) =>
      /NoResponders/.test(error.name) || /NoResponders/.test(error.cause?.name) || assert.fail(`${error.name}: ${error.message}`));
  }
  await close(nc);
});

test("a request to a silent service times out", async () => {
  const nc = await connect();
  nc.subscribe("silent", { callback: () => {} });
  await assert.rejects(nc.request("silent", "", { timeout: CALM_MS }), /timeout/i);
  await close(nc);
});

// headers

test("headers go round, many values under one key too", async () => {
  const nc = await connect();
  const sub = nc.subscribe("h");
  const sent = headers();
  sent.append("Trace-Id", "42");
  sent.append("Many", "one");
  sent.append("Many", "two");
  sent.append("X", "a: b; c");
  nc.publish("h", "body", { headers: sent });
  nc.publish("h", "", { headers: sent });
  nc.publish("h", "plain");
  const [full, empty, plain] = await take(sub, 3);
  for (const m of [full, empty]) {
    assert.equal(m.headers.get("Trace-Id"), "42");
    assert.deepEqual(m.headers.values("Many"), ["one", "two"]);
    assert.equal(m.headers.get("X"), "a: b; c");
  }
  assert.deepEqual([full, empty, plain].map((m) => text(m.data)), ["body", "", "plain"]);
  assert.equal(plain.headers, undefined);
  await close(nc);
});

test("a reply carries headers", async () => {
  const nc = await connect();
  nc.subscribe("hr", {
    callback: (_, m) => {
      const seen = headers();
      seen.set("Seen", m.headers.get("Ask"));
      m.respond("x", { headers: seen });
    },
  });
  const ask = headers();
  ask.set("Ask", "me");
  const answer = await nc.request("hr", "", { headers: ask, timeout: PATIENCE_MS });
  assert.equal(answer.headers.get("Seen"), "me");
  await close(nc);
});

// payloads

test("a payload of the largest size arrives whole", async () => {
  const nc = await connect();
  const sub = nc.subscribe("big");
  const payload = randomBytes(nc.info.max_payload);
  for (let n = 0; n < 3; n++) nc.publish("big", payload);
  for (const m of await take(sub, 3)) assert(payload.equals(m.data));
  await close(nc);
});

test("the client knows the limit from info", async () => {
  const nc = await connect("small");
  assert.equal(nc.info.max_payload, 1024);
  nc.publish("x", new Uint8Array(1024));
  assert.throws(() => nc.publish("x", new Uint8Array(1025)), /payload/i);
  await nc.flush();
  await close(nc);
});

test("a payload too large ends the connection", async () => {
  const nc = await connect("small");
  nc.protocol.info.max_payload = 1 << 20; // as a client that ignores INFO would
  nc.publish("x", new Uint8Array(1025));
  const why = await soon(nc.closed(), "the connection was not closed");
  assert(why === undefined || /payload|reset|EPIPE/i.test(`${why.message} ${why.cause?.message}`), String(why));
});

// unsubscribe, drain, echo

test("unsubscribe after a number", async () => {
  const nc = await connect();
  const { got, sub } = collect(nc, "five");
  sub.unsubscribe(5);
  for (let n = 0; n < 10; n++) nc.publish("five", String(n));
  await nc.flush();
  assert.deepEqual(got, ["0", "1", "2", "3", "4"]);
  await close(nc);
});

test("unsubscribe at once", async () => {
  const [a, b] = [await connect(), await connect()];
  const { got, sub } = collect(a, "gone");
  await a.flush();
  b.publish("gone", "seen");
  await b.flush();
  await a.flush();
  sub.unsubscribe();
  await a.flush();
  b.publish("gone", "unseen");
  await b.flush();
  await a.flush();
  assert.deepEqual(got, ["seen"]);
  await close(a, b);
});

test("drain delivers what is on its way", async () => {
  const [a, b] = [await connect(), await connect()];
  const { got } = collect(a, "d");
  await a.flush();
  for (let n = 0; n < 2_000; n++) b.publish("d", String(n));
  await b.flush();
  await a.drain();
  assert.equal(got.length, 2_000);
  assert(a.isClosed());
  await close(b);
});

test("without echo one's own messages stay away", async () => {
  const [a, b] = [await connect("plain", { noEcho: true }), await connect()];
  const [mine, other] = [collect(a, "e"), collect(b, "e")];
  await Promise.all([a.flush(), b.flush()]);
  a.publish("e", "from a");
  await a.flush();
  b.publish("e", "from b");
  await b.flush();
  await a.flush();
  assert.deepEqual(other.got, ["from a", "from b"]);
  assert.deepEqual(mine.got, ["from b"]);
  await close(a, b);
});

// who may come in, and what they may do

const refused = (setup, options) =>
  assert.rejects(connect(setup, options), (error) => /Authorization/i.test(`${error.name} ${error.message} ${error.cause?.message}`));

test("the right password opens and a wrong one does not", async () => {
  const nc = await connect("users", { user: "alice", pass: "wonderland" });
  await nc.flush();
  await close(nc);
  await refused("users", { user: "alice", pass: "wrong" });
  await refused("users", { user: "nobody", pass: "wonderland" });
  await refused("users", {});
});

test("the right token opens and a wrong one does not", async () => {
  const nc = await connect("token", { token: "open-sesame" });
  await nc.flush();
  await close(nc);
  await refused("token", { token: "close-sesame" });
  await refused("token", {});
});

test("a forbidden publish is told and the connection lives", async () => {
  const bob = await connect("users", { user: "bob", pass: "builder" });
  const alice = await connect("users", { user: "alice", pass: "wonderland" });
  const { got } = collect(alice, ">");
  await alice.flush();
  const told = status(bob, (event) => event.type === "error");
  for (const subject of ["closed.door", "open.door"]) bob.publish(subject, subject);
  const { error } = await told;
  assert.equal(error.name, "PermissionViolationError");
  assert.equal(error.operation, "publish");
  assert.equal(error.subject, "closed.door");
  await bob.flush();
  await alice.flush();
  assert.deepEqual(got, ["open.door"]);
  await close(alice, bob);
});

test("a forbidden subscription is told and gets nothing", async () => {
  const bob = await connect("users", { user: "bob", pass: "builder" });
  const alice = await connect("users", { user: "alice", pass: "wonderland" });
  for (const options of [{}, { queue: "q" }]) {
    const error = await soon(new Promise((tell) => bob.subscribe("closed.door", { ...options, callback: tell })));
    assert.equal(error.name, "PermissionViolationError");
    assert.equal(error.operation, "subscription");
    assert.equal(error.subject, "closed.door");
  }
  const allowed = collect(bob, "open.>");
  await bob.flush();
  for (const subject of ["open.secret", "open.deep.x", "open.door"]) alice.publish(subject, subject);
  await alice.flush();
  await bob.flush();
  assert.deepEqual(allowed.got, ["open.door"]);
  await close(alice, bob);
});

test("a request that one may not send fails by name", async () => {
  const bob = await connect("users", { user: "bob", pass: "builder" });
  await assert.rejects(bob.request("closed.door", "", { timeout: PATIENCE_MS }), (error) =>
    /PermissionViolation/.test(`${error.name} ${error.cause?.name}`) || assert.fail(`${error.name}: ${error.message}`));
  await close(bob);
});

// TLS

const file = (name) => `${PEERS.certificates}/${name}`;
const trust = { caFile: file("ca.pem") };

async function talk(nc) {
  const sub = nc.subscribe("t");
  const payload = randomBytes(200_000);
  for (let n = 0; n < 5; n++) nc.publish("t", payload);
  for (const m of await take(sub, 5)) assert(payload.equals(m.data));
  await close(nc);
}

test("TLS after INFO", async () => talk(await connect("tls", { tls: trust })));

test("TLS before anything else", async () => talk(await connect("tls-first", { tls: { ...trust, handshakeFirst: true } })));

test("TLS with a client certificate", async () => {
  const mine = { certFile: file("client.pem"), keyFile: file("client.key") };
  await talk(await connect("tls-mutual", { tls: { ...trust, ...mine } }));
  await assert.rejects(async () => (await connect("tls-mutual", { tls: trust })).flush());
});

test("a server that the client does not trust is left alone", async () => {
  await assert.rejects(connect("tls", { tls: {} }), (error) =>
    /certificate|verify/i.test(`${error.message} ${error.cause?.message}`) || assert.fail(error.message));
});

// trouble

test("a client comes back after the server was killed", async () => {
  const nc = await connect("plain", { reconnect: true, reconnectTimeWait: 100, maxReconnectAttempts: 100 });
  const { got } = collect(nc, "again");
  const back = status(nc, (event) => event.type === "reconnect");
  nc.publish("again", "before");
  await nc.flush();
  await please("restart plain");
  await back;
  nc.publish("again", "after");
  await nc.flush();
  assert.deepEqual(got, ["before", "after"]);
  await close(nc);
});

test("a server that leaves says so first", async () => {
  const nc = await connect("retiring");
  const told = status(nc, (event) => event.type === "ldm");
  await nc.flush();
  await please("retire retiring");
  await told;
  await close(nc);
});

test("the round trip is measured", async () => {
  const nc = await connect();
  assert((await nc.rtt()) < 1_000);
  await close(nc);
});

for (const { name, run } of tests) {
  if (!name.includes(PEERS.only)) continue;
  try {
    await soon(run(), "the test did not end", 60_000);
    say({ test: name, error: null });
  } catch (error) {
    const at = error.stack?.split("\n").find((line) => line.includes("core.mjs")) ?? "";
    say({ test: name, error: `${error.name}: ${error.message}\n${at.trim()}` });
  }
}
process.exit(0);
