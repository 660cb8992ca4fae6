// The NATS client for browsers over WebSocket, in Node (`web.mjs node`) and in Chromium (`web.mjs browser`), and the
// documentation page in Chromium. Run by `cargo xtask peers`, which says in PEERS where the HTTP door is.

import { createServer } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { http, only, chromium: binary } = JSON.parse(process.env.PEERS);
const nats = `${http.replace("http://", "ws://").replace("127.0.0.1", "localhost")}/nats`;
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const count = (where) => ({ test, error }) => {
  const name = `${where}: ${test}`;
  if (name.includes(only)) say({ test: name, error });
};

async function inNode() {
  // Older versions have no WebSocket of their own.
  globalThis.WebSocket ??= (await import("ws")).WebSocket;
  const { run } = await import("./suite.js");
  await run(nats, count("node"));
}

/** A page of our own, on another port of localhost: the client, bundled, and nothing else. */
async function page() {
  const { build } = await import("esbuild");
  const bundle = await build({ entryPoints: ["suite.js"], bundle: true, format: "esm", write: false, platform: "browser" });
  const script = bundle.outputFiles[0].text;
  const server = createServer((request, response) => {
    const [type, text] = request.url === "/suite.js" ? ["text/javascript", script] : ["text/html", "<!doctype html><title>nats</title>"];
    response.writeHead(200, { "Content-Type": type }).end(text);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return { server, url: `http://localhost:${server.address().port}/` };
}

async function inBrowser() {
  const { chromium } = await import("playwright-core");
  const profile = await mkdtemp(join(tmpdir(), "peers-chromium-"));
  const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  const browser = await chromium.launchPersistentContext(profile, { executablePath: binary, headless: true, args: quiet });
  const own = await page();
  try {
    await clientInPage(browser, own.url);
    await strangersPage(browser, own.url);
    await documentation(browser);
  } finally {
    await browser.close();
    own.server.close();
    await rm(profile, { recursive: true, force: true });
  }
}

async function clientInPage(browser, url) {
  const tab = await browser.newPage();
  await tab.exposeFunction("tell", count("chromium"));
  await tab.goto(url);
  await tab.evaluate(async (nats) => (await import("/suite.js")).run(nats, window.tell), nats);
  await tab.close();
}

/** The same page under a name that is not the door's. */
async function strangersPage(browser, url) {
  const tab = await browser.newPage();
  await tab.route("http://stranger.example/**", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
  await tab.goto("http://stranger.example/");
  const opened = await tab.evaluate((nats) => new Promise((end) => {
    const socket = new WebSocket(nats);
    socket.onopen = () => end(true);
    socket.onerror = () => end(false);
  }), nats);
  count("chromium")({ test: "a page of another site gets no socket", error: opened ? "it got one" : null });
  await tab.close();
}

async function documentation(browser) {
  const tab = await browser.newPage();
  const [errors, elsewhere] = [[], []];
  tab.on("console", (m) => m.type() === "error" && errors.push(m.text()));
  tab.on("pageerror", (e) => errors.push(e.message));
  tab.on("request", (r) => new URL(r.url()).origin !== http && elsewhere.push(r.url()));
  await tab.goto(`${http}/docs`, { waitUntil: "networkidle" });
  const shown = await tab.evaluate(() => document.body.innerText);
  const wrong = [...errors, ...elsewhere, ...(shown.includes("/v1/publish") ? [] : ["no routes are shown"])];
  count("chromium")({ test: "the documentation page shows the routes, and asks nobody else", error: wrong.join("\n") || null });
  await tab.close();
}

await (process.argv[2] === "browser" ? inBrowser() : inNode());
process.exit(0);
