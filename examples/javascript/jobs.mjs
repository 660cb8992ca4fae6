// A durable work queue: jobs outlive whoever does them, and one that fails is tried again.
//
//     node jobs.mjs
//
// Ends with 0 only if every job was done, the one that failed at first too.

import { AckPolicy, RetentionPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, nanos } from "@nats-io/transport-node";

const servers = process.env.NEUROPLEX_SERVER ?? "nats://127.0.0.1:4222";
const JOBS = 20;

const client = await connect({ servers, name: "jobs" });
const [js, manager] = [jetstream(client), await jetstreamManager(client)];

// In a work queue a message stays until it is acknowledged, then it goes.
await manager.streams.add({ name: "EXAMPLE-JOBS", subjects: ["example.jobs.>"], retention: RetentionPolicy.Workqueue });
for (let job = 0; job < JOBS; job++) {
  // The message id lets a planner that is not sure publish again: the server stores it once.
  for (let times = 0; times < 2; times++) await js.publish("example.jobs.resize", `${job}`, { msgID: `job-${job}` });
}
const waiting = (await manager.streams.info("EXAMPLE-JOBS")).state.messages;
console.log(`${waiting} jobs wait`);

// Every worker asks for the next jobs by the name of the same consumer. One that is not acknowledged within
// `ack_wait` goes to another.
await manager.consumers.add("EXAMPLE-JOBS", {
  durable_name: "resizers",
  ack_policy: AckPolicy.Explicit,
  ack_wait: nanos(5_000),
  max_deliver: 3,
});
const jobs = await (await js.consumers.get("EXAMPLE-JOBS", "resizers")).consume({ max_messages: 5 });
const patience = setTimeout(() => jobs.stop(), 10_000);
const done = new Map();
for await (const job of jobs) {
  if (job.string() === "7" && !job.redelivered) {
    job.nak(200); // not today: again in a moment
    continue;
  }
  done.set(job.string(), job.info.deliveryCount);
  await job.ackAck();
  if (done.size === JOBS) break;
}
clearTimeout(patience);

const left = (await manager.streams.info("EXAMPLE-JOBS")).state.messages;
console.log(`${done.size} jobs done, job 7 at try ${done.get("7")}, ${left} left`);
await manager.streams.delete("EXAMPLE-JOBS");
await client.close();
process.exitCode = waiting === JOBS && left === 0 && done.get("7") === 2 ? 0 : 1;
