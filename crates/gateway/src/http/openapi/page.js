// Shows /openapi.json and tries its routes. It loads nothing from elsewhere and writes all that it shows as text.
"use strict";

const byId = (id) => document.getElementById(id);

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  for (const child of children) element.append(child);
  return element;
}

let spec = null;

function resolve(schema) {
  const name = schema && schema.$ref && schema.$ref.split("/").pop();
  return name ? { name, ...spec.components.schemas[name] } : schema || {};
}

function bounds(schema) {
  const said = [];
  if (schema.type) said.push([].concat(schema.type).join(" or "));
  if (schema.format) said.push(schema.format);
  if (schema.enum) said.push(schema.enum.join(", "));
  if (schema.minimum !== undefined) said.push(schema.minimum + " to " + schema.maximum);
  if (schema.maxLength !== undefined) said.push("at most " + schema.maxLength + " characters");
  if (schema.default !== undefined) said.push("default " + schema.default);
  return said.join("; ");
}

// A value that a schema would take, to begin with.
function example(schema, depth = 0) {
  schema = resolve(schema);
  if (schema.enum) return schema.enum[0];
  const type = [].concat(schema.type || "")[0];
  if (type === "array") return depth > 3 ? [] : [example(schema.items, depth + 1)];
  if (type === "object") {
    const all = schema.properties || {};
    const names = schema.required || Object.keys(all).slice(0, 3);
    return Object.fromEntries(names.map((name) => [name, example(all[name] || {}, depth + 1)]));
  }
  if (type === "integer") return schema.minimum > 0 ? schema.minimum : 0;
  if (type === "boolean") return true;
  return "";
}

function credentials() {
  const [user, secret] = [byId("user").value, byId("secret").value];
  if (user) return { Authorization: "Basic " + btoa(String.fromCharCode(...new TextEncoder().encode(user + ":" + secret))) };
  return secret ? { Authorization: "Bearer " + secret } : {};
}

async function send(method, url, headers, body, out, button) {
  const stop = new AbortController();
  out.replaceChildren(make("button", { type: "button", onclick: () => stop.abort() }, "Stop"));
  button.disabled = true;
  try {
    const answer = await fetch(url, { method, headers: { ...credentials(), ...headers }, body, signal: stop.signal });
    const head = make("p", { class: answer.ok ? "good" : "bad" }, answer.status + " " + answer.statusText);
    const names = [...answer.headers].map(([name, value]) => name + ": " + value).join("\n");
    const text = make("pre", {});
    out.append(head, make("pre", {}, names), text);
    const reader = answer.body ? answer.body.getReader() : null;
    const decoder = new TextDecoder();
    for (let size = 0; reader && size < 1000000; ) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      text.append(decoder.decode(value, { stream: true }));
      text.scrollTop = text.scrollHeight;
    }
    if ((answer.headers.get("content-type") || "").includes("json")) {
      try { text.textContent = JSON.stringify(JSON.parse(text.textContent), null, 2); } catch { /* as it came */ }
    }
  } catch (error) {
    out.append(make("p", { class: "bad" }, String(error)));
  } finally {
    stop.abort();
    button.disabled = false;
    out.firstChild.remove();
  }
}

function tryOut(method, path, operation) {
  const fields = (operation.parameters || []).map((parameter) => {
    const schema = parameter.schema;
    const input = schema.enum
      ? make("select", {}, make("option", { value: "" }, ""), ...schema.enum.map((word) => make("option", {}, word)))
      : make("input", { placeholder: schema.default === undefined ? "" : String(schema.default) });
    return { parameter, input };
  });
  const rows = fields.map(({ parameter, input }) => make("tr", {},
    make("td", {}, make("code", {}, parameter.name), parameter.required ? " *" : "", make("br"), make("span", { class: "bounds" }, parameter.in)),
    make("td", {}, input),
    make("td", {}, parameter.description, make("br"), make("span", { class: "bounds" }, bounds(parameter.schema)))));
  const extra = make("input", { placeholder: "Np-Header-Color: blue" });
  const content = operation.requestBody && operation.requestBody.content;
  const media = make("select", {}, ...Object.keys(content || {}).map((type) => make("option", {}, type)));
  const body = make("textarea", {});
  if (content) {
    const schema = Object.values(content)[0].schema;
    body.value = schema && schema.$ref ? JSON.stringify(example(schema), null, 2) : "hello";
  }
  const out = make("div", {});
  const button = make("button", { type: "button" }, "Send");
  button.addEventListener("click", () => {
    let url = path;
    const [query, headers] = [new URLSearchParams(), {}];
    for (const { parameter, input } of fields) {
      if (parameter.in === "path") url = url.replace("{" + parameter.name + "}", encodeURIComponent(input.value));
      else if (input.value === "") continue;
      else if (parameter.in === "query") query.append(parameter.name, input.value);
      else headers[parameter.name] = input.value;
    }
    const [name, ...value] = extra.value.split(":");
    if (name.trim() && value.length) headers[name.trim()] = value.join(":").trim();
    if (content && body.value) headers["Content-Type"] = media.value;
    const asked = query.toString();
    send(method, asked ? url + "?" + asked : url, headers, content && body.value ? body.value : undefined, out, button);
  });
  const parts = [];
  if (rows.length) parts.push(make("table", {}, ...rows));
  if (content) parts.push(make("p", {}, "Body ", media), body);
  return [...parts, make("p", {}, "One more header ", extra, " ", button), out];
}

function answers(operation) {
  return make("table", {}, ...Object.entries(operation.responses).map(([status, answer]) => {
    const types = Object.entries(answer.content || {}).map(([type, { schema }]) => type + (schema.$ref ? " " + schema.$ref.split("/").pop() : ""));
    return make("tr", {}, make("td", { class: status < 400 ? "good" : "bad" }, status), make("td", {}, answer.description, make("br"), make("span", { class: "bounds" }, types.join(", "))));
  }));
}

function card(method, path, operation) {
  const summary = make("summary", {}, make("span", { class: "method" }, method), make("code", {}, path), make("span", { class: "what" }, operation.summary));
  const details = make("details", { id: operation.operationId }, summary);
  details.addEventListener("toggle", () => {
    if (details.childElementCount === 1) details.append(...tryOut(method, path, operation), make("h4", {}, "Answers"), answers(operation));
  });
  return details;
}

function show() {
  byId("version").textContent = spec.info.version;
  byId("about").textContent = spec.info.description;
  const areas = new Map(spec.tags.map(({ name }) => [name, make("section", {}, make("h2", {}, name))]));
  const cards = [];
  for (const [path, operations] of Object.entries(spec.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const shown = card(method.toUpperCase(), path, operation);
      cards.push([(method + " " + path + " " + operation.summary).toLowerCase(), shown]);
      areas.get(operation.tags[0]).append(shown);
    }
  }
  const schemas = make("section", {}, make("h2", {}, "schemas"), ...Object.entries(spec.components.schemas).map(([name, schema]) =>
    make("details", {}, make("summary", {}, make("code", {}, name)), make("pre", {}, JSON.stringify(schema, null, 2)))));
  byId("routes").replaceChildren(...areas.values(), schemas);
  byId("search").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const [text, shown] of cards) shown.hidden = !text.includes(wanted);
  });
  const wanted = location.hash && byId(location.hash.slice(1));
  if (wanted) wanted.open = true;
  document.body.dataset.ready = "yes";
}

byId("who").addEventListener("submit", (event) => event.preventDefault());
fetch("/openapi.json").then((answer) => answer.json()).then((document_) => { spec = document_; show(); })
  .catch((error) => byId("routes").replaceChildren(make("p", { class: "bad" }, String(error))));
