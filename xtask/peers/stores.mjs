// Key-value buckets and object stores as the clients from npm build them upon streams. Run by `cargo xtask peers`.
//
// Every expectation here holds for the real nats-server: `cargo xtask peers --only javascript-stores --against
// nats-server`.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import { headers } from "@nats-io/transport-node";
import { all, connect, fails, fresh, main, test, until } from "./harness.mjs";

/** Runs with a bucket that goes when the test ends. */
async function bucket(options, run) {
  const nc = await connect();
  const kvm = new Kvm(nc);
  const kv = await kvm.create(fresh("npmbucket"), options);
  try {
    await run(kv, kvm, nc);
  } finally {
    await kv.destroy().catch(() => {});
    await nc.close();
  }
}

/** Runs with an object store that goes when the test ends. */
async function store(options, run) {
  const nc = await connect();
  const objm = new Objm(nc);
  const os = await objm.create(fresh("npmstore"), options);
  try {
    await run(os, objm);
  } finally {
    await os.destroy().catch(() => {});
    await nc.close();
  }
}

/** Remembers what a watcher sees. */
async function watch(kv, options) {
  const got = [];
  const watcher = await kv.watch(options);
  (async () => { for await (const e of watcher) got.push(`${e.operation} ${e.key} ${e.string()} ${e.revision}`); })();
  return { got, watcher };
}

// keys and values

test("a value is put and got", () => bucket({}, async (kv) => {
  assert.equal(await kv.put("a", "one"), 1);
  assert.equal(await kv.put("a", "two"), 2);
  const entry = await kv.get("a");
  assert.deepEqual([entry.key, entry.string(), entry.revision, entry.operation], ["a", "two", 2, "PUT"]);
  assert.equal(await kv.get("b"), null);
}));

test("an old value is got by its revision", () => bucket({ history: 3 }, async (kv) => {
  await kv.put("a", "one");
  await kv.put("a", "two");
  assert.equal((await kv.get("a", { revision: 1 })).string(), "one");
  assert.equal(await kv.get("b", { revision: 1 }), null);
}));

test("values are read without direct get", () => bucket({ allow_direct: false, history: 2 }, async (kv) => {
  await kv.put("a", "one");
  await kv.put("a", "two");
  assert.equal((await kv.get("a")).string(), "two");
  assert.equal((await kv.get("a", { revision: 1 })).string(), "one");
  assert.equal(await kv.get("b"), null);
}));

test("a key is created once", () => bucket({}, async (kv) => {
  assert.equal(await kv.create("a", "one"), 1);
  await fails(10071, kv.create("a", "two"));
  await kv.delete("a");
  assert.equal(await kv.create("a", "three"), 3);
}));

test("an update knows the last revision", () => bucket({}, async (kv) => {
  const first = await kv.put("a", "one");
  await kv.update("a", "two", first);
  const error = await fails(10071, kv.update("a", "three", first));
  assert.equal(error.message, "wrong last sequence: 2");
  await fails(10071, kv.put("a", "x", { previousSeq: 1 }));
}));

test("a deleted key is marked", () => bucket({ history: 5 }, async (kv) => {
  await kv.put("a", "one");
  await fails(10071, kv.delete("a", { previousSeq: 9 }));
  await kv.delete("a");
  assert.equal((await kv.get("a")).operation, "DEL");
  assert.equal((await kv.get("a", { revision: 1 })).string(), "one");
}));

test("a purged key has no past", () => bucket({ history: 5 }, async (kv) => {
  await kv.put("a", "one");
  await kv.put("a", "two");
  await kv.purge("a");
  const past = await all(kv.history({ key: "a" }));
  assert.deepEqual(past.map((e) => e.operation), ["PURGE"]);
}));

test("history goes as far back as it was told", () => bucket({ history: 2 }, async (kv) => {
  for (const value of ["1", "2", "3"]) await kv.put("a", value);
  await kv.put("b", "x");
  assert.deepEqual((await all(kv.history())).map((e) => `${e.key}${e.string()}`), ["a2", "a3", "bx"]);
  assert.deepEqual(await all(kv.history({ key: "none" })), []);
}));

test("keys are listed", () => bucket({}, async (kv) => {
  assert.deepEqual(await all(kv.keys()), []);
  for (const key of ["a", "b.c", "b.d", "e"]) await kv.put(key, "x");
  await kv.delete("e");
  assert.deepEqual((await all(kv.keys())).sort(), ["a", "b.c", "b.d"]);
  assert.deepEqual((await all(kv.keys("b.*"))).sort(), ["b.c", "b.d"]);
  assert.deepEqual((await all(kv.keys(["a", "b.d"]))).sort(), ["a", "b.d"]);
}));

test("a watcher sees what is there and what comes", () => bucket({}, async (kv) => {
  await kv.put("a", "one");
  await kv.put("b", "two");
  const { got } = await watch(kv);
  await until(() => got.length === 2, "two entries");
  await kv.put("a", "three");
  await kv.delete("b");
  await kv.purge("a");
  await until(() => got.length === 5, "five entries");
  assert.deepEqual(got, ["PUT a one 1", "PUT b two 2", "PUT a three 3", "DEL b  4", "PURGE a  5"]);
}));

test("a watcher of some keys", () => bucket({}, async (kv) => {
  const { got } = await watch(kv, { key: ["x.*", "y"], ignoreDeletes: true });
  for (const key of ["x.a", "z", "y"]) await kv.put(key, "1");
  await kv.delete("y");
  await kv.put("x.b", "2");
  await until(() => got.length === 3, "three entries");
  assert.deepEqual(got, ["PUT x.a 1 1", "PUT y 1 3", "PUT x.b 2 5"]);
}));

test("a watcher of the past, of news, and from a revision on", () => bucket({ history: 5 }, async (kv) => {
  for (const value of ["1", "2", "3"]) await kv.put("a", value);
  const past = await watch(kv, { include: "history" });
  const news = await watch(kv, { include: "updates" });
  const resumed = await watch(kv, { resumeFromRevision: 3 });
  await until(() => past.got.length === 3 && resumed.got.length === 1, "the past");
  await kv.put("a", "4");
  await until(() => past.got.length === 4 && news.got.length === 1 && resumed.got.length === 2, "the news");
  assert.deepEqual(news.got, ["PUT a 4 4"]);
  assert.deepEqual(resumed.got, ["PUT a 3 3", "PUT a 4 4"]);
}));

test("a key lives as long as it says", () => bucket({ markerTTL: 1_000 }, async (kv) => {
  await kv.create("a", "short", "1s");
  const { got } = await watch(kv);
  await until(() => got.length === 2, "the marker");
  assert.equal(got[0], "PUT a short 1");
  assert.match(got[1], /^PURGE a {2}\d+$/);
}));

test("values grow old", () => bucket({ ttl: 500 }, async (kv) => {
  await kv.put("a", "x");
  await until(async () => (await kv.get("a")) === null, "the value is gone");
}));

test("values that are too large are refused", () => bucket({ maxValueSize: 10 }, async (kv) => {
  await fails(10054, kv.put("a", "x".repeat(11)));
  await kv.put("a", "x".repeat(10));
}));

test("a bucket says what it is", () => bucket({ history: 7, description: "ours", ttl: 60_000, metadata: { owner: "us" } }, async (kv) => {
  await kv.put("a", "x");
  const status = await kv.status();
  assert.deepEqual([status.values, status.history, status.description, status.ttl], [1, 7, "ours", 60_000]);
  assert.equal(status.metadata.owner, "us");
  assert(status.size > 0 && status.streamInfo.config.allow_direct);
}));

test("buckets are listed, opened and destroyed", () => bucket({}, async (kv, kvm) => {
  const name = (await kv.status()).bucket;
  assert((await all(kvm.list())).some((status) => status.bucket === name));
  await kv.put("a", "x");
  const again = await kvm.open(name);
  assert.equal((await again.get("a")).string(), "x");
  assert.equal(await kv.destroy(), true);
}));

test("many writers count without losing one", () => bucket({}, async (kv) => {
  await kv.put("n", "0");
  await Promise.all(Array.from({ length: 5 }, async () => {
    for (let done = 0; done < 10;) {
      const entry = await kv.get("n");
      done += await kv.update("n", `${Number(entry.string()) + 1}`, entry.revision).then(() => 1, () => 0);
    }
  }));
  assert.equal((await kv.get("n")).string(), "50");
}));

// objects

test("an object is put and got", () => store({}, async (os) => {
  const info = await os.putBlob({ name: "a" }, new TextEncoder().encode("hello"));
  assert.deepEqual([info.name, info.size, info.chunks], ["a", 5, 1]);
  assert.match(info.digest, /^SHA-256=/);
  assert.equal(new TextDecoder().decode(await os.getBlob("a")), "hello");
  assert.equal(await os.getBlob("b"), null);
  assert.equal(await os.info("b"), null);
}));

test("a large object keeps every byte", () => store({}, async (os) => {
  const data = new Uint8Array(randomBytes(5_000_000));
  const info = await os.putBlob({ name: "large" }, data);
  assert.deepEqual([info.size, info.chunks], [5_000_000, 39]);
  const result = await os.get("large"); // the client compares the checksum
  const chunks = [];
  for await (const chunk of result.data) chunks.push(chunk);
  assert(!(await result.error));
  assert(Buffer.concat(chunks).equals(data));
}));

test("an empty object is an object", () => store({}, async (os) => {
  const info = await os.putBlob({ name: "empty" }, new Uint8Array(0));
  assert.equal(info.size, 0);
  assert.equal((await os.getBlob("empty")).length, 0);
}));

test("an object replaces the one before", () => store({}, async (os) => {
  const first = await os.putBlob({ name: "a" }, new Uint8Array(300_000));
  await os.putBlob({ name: "a" }, new Uint8Array(10));
  assert.equal((await os.getBlob("a")).length, 10);
  assert.equal((await os.status()).streamInfo.state.messages, 2);
  await fails(10071, os.putBlob({ name: "a" }, new Uint8Array(1), { previousRevision: first.revision }));
}));

test("an object is described, renamed and linked", () => store({}, async (os) => {
  const marks = headers();
  marks.set("Owner", "us");
  await os.putBlob({ name: "a", description: "ours", headers: marks, options: { max_chunk_size: 10 } }, new Uint8Array(25));
  let info = await os.info("a");
  assert.deepEqual([info.chunks, info.description, info.headers.get("Owner")], [3, "ours", "us"]);
  await os.update("a", { name: "b", description: "new" });
  info = await os.info("b");
  assert.equal(info.description, "new");
  assert.equal(await os.info("a"), null);
  await os.link("l", info);
  assert.equal((await os.getBlob("l")).length, 25);
}));

test("an object is deleted", () => store({}, async (os) => {
  await os.putBlob({ name: "a" }, new Uint8Array(300_000));
  const { success, purged } = await os.delete("a");
  assert.deepEqual([success, purged], [true, 3]);
  assert.equal(await os.getBlob("a"), null);
  assert.equal((await os.info("a")).deleted, true);
}));

test("objects are listed", () => store({}, async (os) => {
  assert.deepEqual(await os.list(), []);
  for (const name of ["a", "b c", "ü/3"]) await os.putBlob({ name }, new Uint8Array(3));
  await os.delete("a");
  assert.deepEqual((await os.list()).map((info) => info.name).sort(), ["b c", "ü/3"]);
}));

test("a watcher sees objects come and go", () => store({}, async (os) => {
  await os.putBlob({ name: "a" }, new Uint8Array(3));
  const watcher = await os.watch({ includeHistory: true });
  const got = [];
  (async () => { for await (const info of watcher) got.push(`${info.name} ${info.deleted ? "deleted" : info.size}`); })();
  await until(() => got.length === 1, "what is there");
  await os.putBlob({ name: "b" }, new Uint8Array(4));
  await os.delete("a");
  await until(() => got.length === 3, "what comes");
  assert.deepEqual(got, ["a 3", "b 4", "a deleted"]);
}));

test("a sealed store only reads", () => store({}, async (os) => {
  await os.putBlob({ name: "a" }, new Uint8Array(3));
  assert.equal((await os.seal()).sealed, true);
  await fails(10109, os.putBlob({ name: "b" }, new Uint8Array(3)));
  assert.equal((await os.getBlob("a")).length, 3);
}));

test("stores are listed and opened", () => store({ description: "ours" }, async (os, objm) => {
  const status = await os.status();
  assert.equal(status.description, "ours");
  assert((await all(objm.list())).some((other) => other.bucket === status.bucket));
  await os.putBlob({ name: "a" }, new Uint8Array(3));
  assert.equal((await (await objm.open(status.bucket)).getBlob("a")).length, 3);
}));

await main();
