// A store for what is too large for a message: it is cut into pieces, and its checksum is compared when it is read.
//
//     node pictures.mjs
//
// Ends with 0 only if every byte came back.

import { randomBytes } from "node:crypto";
import { Objm } from "@nats-io/obj";
import { connect } from "@nats-io/transport-node";

const servers = process.env.NEUROPLEX_SERVER ?? "nats://127.0.0.1:4222";

const client = await connect({ servers, name: "pictures" });
const pictures = await new Objm(client).create("pictures");

const picture = randomBytes(3_000_000);
const info = await pictures.putBlob({ name: "sunrise.raw", description: "taken at 5 o'clock" }, picture);
console.log(`${info.name}: ${info.size} bytes in ${info.chunks} pieces, ${info.digest}`);

const back = await pictures.getBlob("sunrise.raw");
const names = (await pictures.list()).map((entry) => entry.name);
console.log(`${back.length} bytes came back; the store holds ${names.join(", ")}`);

await pictures.destroy();
await client.close();
process.exitCode = picture.equals(back) && names.join() === "sunrise.raw" ? 0 : 1;
