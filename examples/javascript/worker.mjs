// A worker: takes tasks from the queue that it shares with its colleagues, and answers.
//
//     node worker.mjs NAME

import { connect } from "@nats-io/transport-node";

const servers = process.env.NEUROPLEX_SERVER ?? "nats://127.0.0.1:4222";
const name = process.argv[2] ?? "anonymous";

const client = await connect({ servers, name: `worker ${name}` });

// Every worker names the same queue, so each task reaches exactly one of them.
const tasks = client.subscribe("tasks.>", { queue: "workers" });
await client.flush();
console.log(`${name} is ready`);

for await (const task of tasks) {
  const { line } = task.json();
  const words = line.split(/\s+/).filter(Boolean).length;
  task.respond(JSON.stringify({ worker: name, words }));
}
