// What the suites of durable streams share: named tests, connections, a stream of one's own for each test.
//
// `cargo xtask peers` says in PEERS where the servers are, and reads the results.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect as open } from "@nats-io/transport-node";

const PEERS = JSON.parse(process.env.PEERS);
const PATIENCE_MS = 5_000;
const tests = [];
let number = 0;

export const CALM_MS = 300; // in which something that must not happen would have happened
export const test = (name, run) => tests.push({ name, run });
export const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));
export const fresh = (prefix = "J") => `${prefix}${++number}`;
export const nanos = (ms) => ms * 1_000_000;

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the runner for something; returns when it is done. */
export async function please(order) {
  say({ please: order });
  assert.equal((await answers.next()).value, "done");
}

export function connect(setup = "streams", options = {}) {
  const servers = `127.0.0.1:${PEERS.ports[setup]}`;
  return open({ servers, reconnect: false, timeout: PATIENCE_MS, ...options });
}

/** Fails unless the promise settles in time. */
export function soon(promise, what = "nothing happened", ms = PATIENCE_MS) {
  const late = sleep(ms).then(() => assert.fail(`${what} within ${ms} ms`));
  return Promise.race([promise, late]);
}

/** Waits until the check is true. */
export async function until(check, what = "it did not happen") {
  const end = Date.now() + PATIENCE_MS;
  while (!(await check())) {
    if (Date.now() > end) assert.fail(`${what} within ${PATIENCE_MS} ms`);
    await sleep(20);
  }
}

/** The error of a promise that must fail: with that code, or that name. */
export async function fails(wanted, promise) {
  const result = await promise.then((value) => ({ value }), (error) => ({ error }));
  assert(result.error, `expected ${wanted}, got ${JSON.stringify(result.value)}`);
  const { error } = result;
  assert([error.code, error.name, error.constructor.name].includes(wanted), `expected ${wanted}, got ${error.code} ${error.name}: ${error.message}`);
  return error;
}

/** Takes `count` from an iterator, and leaves it open. */
export async function take(iterable, count) {
  const got = [];
  const iterator = iterable[Symbol.asyncIterator]();
  while (got.length < count) {
    const { value, done } = await soon(iterator.next(), `${got.length} of ${count}`);
    assert(!done, `ended after ${got.length} of ${count}`);
    got.push(value);
  }
  return got;
}

/** Everything an iterator has until it ends. */
export async function all(iterable) {
  const got = [];
  for await (const item of await iterable) got.push(item);
  return got;
}

export const strings = (messages) => messages.map((m) => m.string());

/** Runs with a connection and a stream that goes when the test ends. */
export async function bench(config, run) {
  const nc = await connect();
  const [js, jsm] = [jetstream(nc), await jetstreamManager(nc)];
  const name = fresh();
  const at = (rest) => `${name.toLowerCase()}.${rest}`;
  const b = {
    nc, js, jsm, name, at,
    fill: async (...bodies) => { for (const body of bodies) await js.publish(at("a"), body); },
    state: async () => (await jsm.streams.info(name)).state,
    consumer: async (durable_name, options = {}) => {
      await jsm.consumers.add(name, { durable_name, ack_policy: "explicit", ...options });
      return js.consumers.get(name, durable_name);
    },
  };
  try {
    b.info = await jsm.streams.add({ name, subjects: [at(">")], ...config });
    await run(b);
  } finally {
    await jsm.streams.delete(name).catch(() => {});
    await nc.close();
  }
}

export async function main() {
  for (const { name, run } of tests) {
    if (!name.includes(PEERS.only)) continue;
    try {
      await soon(run(), "the test did not end", 60_000);
      say({ test: name, error: null });
    } catch (error) {
      const at = error.stack?.split("\n").filter((line) => /(streams|stores|harness)\.mjs/.test(line)).slice(0, 3) ?? [];
      say({ test: name, error: [`${error.name}: ${error.message}`, ...at.map((line) => line.trim())].join("\n") });
    }
  }
  process.exit(0);
}
