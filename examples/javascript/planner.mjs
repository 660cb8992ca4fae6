// A planner: splits a job into tasks, gives them to whoever works, and reports who did what.
//
//     node planner.mjs
//
// Ends with 0 only if every task was answered, each exactly once, and at least two workers took part.

import { connect, createInbox, headers } from "@nats-io/transport-node";

const servers = process.env.NEUROPLEX_SERVER ?? "nats://127.0.0.1:4222";

const poem = `\
Tell all the truth but tell it slant
Success in Circuit lies
Too bright for our infirm Delight
The Truth's superb surprise
As Lightning to the Children eased
With explanation kind
The Truth must dazzle gradually
Or every man be blind`.split("\n");

const job = [poem, poem, poem, poem].flat(); // count the words of 32 lines
const client = await connect({ servers, name: "planner" });
process.exitCode = (await plan()) ? 0 : 1;
await client.drain();

async function plan() {
  // All answers come to one inbox; its last token says which task was answered. Asking this way, rather than with
  // client.request, a second answer to the same task would not go unnoticed.
  const inbox = createInbox();
  const answers = client.subscribe(`${inbox}.*`);
  const patience = setTimeout(() => answers.unsubscribe(), 5_000);
  job.forEach((line, task) => client.publish(`tasks.count.${task}`, JSON.stringify({ line }), { reply: `${inbox}.${task}` }));

  const words = new Map();
  const by = {};
  for await (const answer of answers) {
    if (answer.headers?.code === 503) {
      console.error("nobody works on tasks.>: start two workers first");
      clearTimeout(patience);
      return false;
    }
    const result = answer.json();
    words.set(answer.subject.split(".").at(-1), result.words);
    by[result.worker] = (by[result.worker] ?? 0) + 1;
    if (words.size === job.length) break;
  }
  clearTimeout(patience);
  await client.flush(); // a late second answer would be here by now
  const answered = answers.getReceived();

  for (const [worker, tasks] of Object.entries(by).sort()) console.log(`${worker.padStart(12)}  ${tasks} tasks`);
  const total = [...words.values()].reduce((sum, n) => sum + n, 0);
  console.log(`${"together".padStart(12)}  ${words.size} tasks, ${total} words`);

  const marks = headers();
  marks.set("Job", "count-words");
  for (const worker of Object.keys(by)) marks.append("Worker", worker);
  client.publish("events.job.done", JSON.stringify({ tasks: words.size, words: total, by }), { headers: marks });

  return words.size === job.length && answered === job.length && Object.keys(by).length >= 2;
}
