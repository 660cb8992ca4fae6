// What the NATS client for browsers does over WebSocket. The same file runs in Node and, bundled, in a browser.

import { headers, wsconnect } from "@nats-io/nats-core";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";

const PATIENCE_MS = 5_000;

function same(got, wanted) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`expected ${b}, got ${a}`);
}

async function take(iterable, count) {
  const got = [];
  const iterator = iterable[Symbol.asyncIterator]();
  while (got.length < count) {
    const late = new Promise((_, fail) => setTimeout(() => fail(new Error(`${got.length} of ${count}`)), PATIENCE_MS));
    const { value, done } = await Promise.race([iterator.next(), late]);
    if (done) throw new Error(`ended after ${got.length} of ${count}`);
    got.push(value);
  }
  return got;
}

const tests = {
  async "a message reaches whoever subscribed, headers and all"(a, b) {
    const sub = b.subscribe("news.*");
    await b.flush();
    const h = headers();
    h.append("Color", "blue");
    a.publish("news.tea", JSON.stringify({ cups: 2 }), { headers: h });
    a.publish("news.empty");
    const [first, second] = await take(sub, 2);
    same([first.subject, first.json(), first.headers.get("Color")], ["news.tea", { cups: 2 }, "blue"]);
    same([second.subject, second.data.length], ["news.empty", 0]);
  },
  async "order is kept over many messages"(a, b) {
    const sub = b.subscribe("count", { max: 20_000 });
    await b.flush();
    for (let n = 0; n < 20_000; n++) a.publish("count", String(n));
    let next = 0;
    for await (const m of sub) same(m.string(), String(next++));
    same(next, 20_000);
  },
  async "a large message goes there and back"(a, b) {
    const sub = b.subscribe("large");
    await b.flush();
    const bytes = new Uint8Array(1_000_000).map((_, n) => n % 251);
    a.publish("large", bytes);
    const [m] = await take(sub, 1);
    same(m.data.length, bytes.length);
    if (!m.data.every((byte, n) => byte === n % 251)) throw new Error("it is damaged");
  },
  async "a request is answered, and nobody is told at once"(a, b) {
    b.subscribe("echo", { callback: (_, m) => m.respond(m.data) });
    await b.flush();
    same((await a.request("echo", "hello", { timeout: PATIENCE_MS })).string(), "hello");
    const error = await a.request("nobody", "", { timeout: PATIENCE_MS }).then(() => null, (e) => e);
    same(error?.isNoResponders?.(), true);
  },
  async "a queue group shares its messages"(a, b) {
    const seen = [0, 0];
    [a, b].forEach((nc, at) => nc.subscribe("work", { queue: "q", callback: () => seen[at]++ }));
    await Promise.all([a.flush(), b.flush()]);
    for (let n = 0; n < 200; n++) a.publish("work");
    // What was published is on its way to both before the other one asks.
    await a.flush();
    await b.flush();
    same(seen[0] + seen[1], 200);
    if (Math.min(...seen) < 20) throw new Error(`one had ${Math.min(...seen)}`);
  },
  async "a stream keeps what is published, and a consumer gets it"(a) {
    const [js, jsm] = [jetstream(a), await jetstreamManager(a)];
    const name = `WEB${Date.now()}`;
    await jsm.streams.add({ name, subjects: [`${name}.>`] });
    for (let n = 1; n <= 5; n++) same((await js.publish(`${name}.a`, String(n), { msgID: `m${n}` })).seq, n);
    same((await js.publish(`${name}.a`, "again", { msgID: "m5" })).duplicate, true);
    await jsm.consumers.add(name, { durable_name: "c", ack_policy: "explicit" });
    const got = await take(await (await js.consumers.get(name, "c")).consume(), 5);
    for (const m of got) await m.ackAck();
    same(got.map((m) => m.string()), ["1", "2", "3", "4", "5"]);
    same((await jsm.consumers.info(name, "c")).num_ack_pending, 0);
    await jsm.streams.delete(name);
  },
  async "a wrong operation is told in the protocol's words"(a, _, connect) {
    const nc = await connect({ pedantic: true });
    const told = (async () => { for await (const s of nc.status()) if (s.type === "error") return s.error.message; })();
    nc.publish("a.*", "x");
    const late = new Promise((_, fail) => setTimeout(() => fail(new Error("nothing was told")), PATIENCE_MS));
    if (!/subject/i.test(await Promise.race([told, late]))) throw new Error(await told);
    await nc.close();
  },
};

/** Runs everything against the door at `url`; tells each result. */
export async function run(url, tell) {
  const connect = (options = {}) => wsconnect({ servers: url, reconnect: false, timeout: PATIENCE_MS, ...options });
  for (const [test, act] of Object.entries(tests)) {
    let [a, b, error] = [null, null, null];
    try {
      [a, b] = [await connect(), await connect()];
      await act(a, b, connect);
    } catch (e) {
      error = `${e.name}: ${e.message}`;
    }
    await Promise.all([a?.close(), b?.close()]).catch(() => {});
    await tell({ test, error });
  }
}
