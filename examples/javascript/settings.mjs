// Settings in a key-value bucket: whoever watches hears of every change; two who write at once do not lose one.
//
//     node settings.mjs
//
// Ends with 0 only if the watcher saw every change and the write that came too late was refused.

import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";

const servers = process.env.NEUROPLEX_SERVER ?? "nats://127.0.0.1:4222";

const client = await connect({ servers, name: "settings" });
const settings = await new Kvm(client).create("example-settings", { history: 5 });

const first = await settings.put("lamp.hall", "off");
const watcher = await settings.watch({ key: "lamp.*" });

// An update says which revision it has seen; whoever was slower is told so.
await settings.update("lamp.hall", "on", first);
const refused = await settings.update("lamp.hall", "dimmed", first).then(() => "", (error) => error.message);
console.log(`refused: ${refused}`);
await settings.delete("lamp.hall");

const patience = setTimeout(() => watcher.stop(), 10_000);
const seen = [];
for await (const entry of watcher) {
  seen.push(entry.operation === "PUT" ? entry.string() : entry.operation);
  console.log(`${entry.key} ${seen.at(-1)}`);
  if (seen.length === 3) break;
}
clearTimeout(patience);

await settings.destroy();
await client.close();
process.exitCode = refused && seen.join() === "off,on,DEL" ? 0 : 1;
