// The page of the inspector. Everything that comes from an exchange is shown by `textContent`.

const $ = (id) => document.getElementById(id);

const exchanges = new Map(); // number -> summary
const rows = new Map(); // number -> <li>
let waiting = null; // while paused: number -> summary
let missed = 0;
let keeps = 500;
let chosen = null; // the number of the exchange that is shown
let shown = null; // what is shown of it: {count, leftOut, refresh}

// Elements.

function element(name, properties = {}, ...children) {
  const { data = {}, attributes = {}, ...rest } = properties;
  const made = Object.assign(document.createElement(name), rest);
  Object.assign(made.dataset, data);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

function duration(microseconds) {
  if (microseconds < 1000) return `${microseconds} µs`;
  if (microseconds < 1e6) return `${(microseconds / 1000).toFixed(microseconds < 1e4 ? 2 : 1)} ms`;
  if (microseconds < 6e7) return `${(microseconds / 1e6).toFixed(2)} s`;
  return `${Math.floor(microseconds / 6e7)} min ${Math.round((microseconds % 6e7) / 1e6)} s`;
}

// The token, which the address gives to the page and then no longer shows.

const tokenKey = `token of ${location.pathname}`;

function token() {
  const given = /^#token=(.+)$/.exec(location.hash);
  if (given) {
    sessionStorage.setItem(tokenKey, given[1]);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(tokenKey);
}

async function request(path, options = {}) {
  const headers = { ...options.headers, authorization: `Bearer ${token()}` };
  const response = await fetch(path, { cache: "no-store", ...options, headers });
  if (response.ok) return response;
  const text = await response.text();
  let reason = `${response.status} ${response.statusText}`;
  try {
    reason = JSON.parse(text).error ?? reason;
  } catch {
    // The response comes from something else, such as a proxy.
  }
  throw Object.assign(new Error(reason), { status: response.status });
}

// The feed: server-sent events, read by `fetch`, because an `EventSource` cannot send the token.

function setState(state, text) {
  $("state").dataset.state = state;
  $("state").textContent = text;
}

async function readFeed() {
  const response = await request("feed");
  setState("open", "Live");
  $("token").hidden = true;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let isFirst = true;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const lines = event.split("\n").filter((line) => line.startsWith("data: "));
      if (lines.length === 0) continue;
      const changes = JSON.parse(lines.map((line) => line.slice(6)).join("\n"));
      // The first event has all that is kept: the program may have been replaced.
      apply(changes, isFirst);
      isFirst = false;
    }
  }
}

async function follow() {
  for (let delay = 500; ; delay = Math.min(delay * 2, 5000)) {
    const began = Date.now();
    try {
      if (!token()) throw Object.assign(new Error("no token"), { status: 401 });
      await readFeed();
    } catch (error) {
      if (error.status === 401) {
        setState("closed", "Not connected");
        sessionStorage.removeItem(tokenKey);
        $("token").hidden = false;
        $("empty").hidden = true;
        $("secret").focus();
        return;
      }
    }
    setState("closed", "Connection lost, trying again");
    if (Date.now() - began > 5000) delay = 500;
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}

function apply(changes, isFirst) {
  keeps = changes.keeps;
  if (isFirst || changes.cleared) {
    forget();
    if (waiting) waiting = new Map();
  }
  missed += changes.missed;
  const target = waiting ?? exchanges;
  for (const summary of changes.changed) {
    target.set(summary.number, summary);
    if (!waiting) showRow(summary);
  }
  trim(target);
  update();
}

function forget() {
  exchanges.clear();
  rows.clear();
  $("rows").replaceChildren();
  missed = 0;
}

// Removes what the inspector itself no longer keeps: the oldest that have ended.
function trim(map) {
  const removable = [...map.values()].filter((summary) => summary.end !== null && summary.number !== chosen);
  for (const summary of removable.slice(0, Math.max(map.size - keeps, 0))) {
    map.delete(summary.number);
    rows.get(summary.number)?.remove();
    rows.delete(summary.number);
  }
}

// The list.

const target = (summary) => (summary.kind === "lifespan" ? "start-up and shutdown" : summary.target);

const kinds = { websocket: "WS", lifespan: "lifespan", other: "other" };

function showRow(summary) {
  let row = rows.get(summary.number);
  if (!row) {
    row = element("li", { data: { kind: summary.kind } }, element("button", { type: "button", data: { number: summary.number } }));
    rows.set(summary.number, row);
    $("rows").prepend(row);
    addMethod(summary.method);
  }
  const isRunning = summary.end === null;
  const notes = element("span", { className: "notes" });
  if (summary.violations > 0) notes.append(element("span", { className: "broken", textContent: `${plural(summary.violations, "rule")} broken` }));
  if (summary.replay_of !== null) notes.append(`replay of ${summary.replay_of}`);
  if (summary.end !== null && !["returned", "declined", "disconnected"].includes(summary.end)) notes.append(element("span", { className: "broken", textContent: summary.end }));
  if (summary.kind === "websocket") notes.append(plural(summary.events, "event"));
  row.firstChild.replaceChildren(
    element("span", { className: "what", textContent: summary.method ?? kinds[summary.kind] }),
    element("span", { className: "path", textContent: target(summary), title: summary.target }),
    status(summary),
    element("span", { className: "time", textContent: isRunning ? "running" : duration(summary.duration) }),
    notes,
  );
  row.firstChild.setAttribute("aria-current", summary.number === chosen);
  row.hidden = !passes(summary);
  if (summary.number === chosen) refresh();
}

function status({ status, end }) {
  if (status === null) return element("span", { className: "status running", textContent: end === null ? "…" : "–" });
  const className = status >= 500 ? "server" : status >= 400 ? "client" : "";
  return element("span", { className: `status ${className}`, textContent: status });
}

function addMethod(method) {
  const select = $("filters").elements.method;
  const isKnown = [...select.options].some((option) => option.value === (method ?? ""));
  if (!isKnown && select.options.length < 30) select.append(new Option(method, method));
}

function passes(summary) {
  const { text, kind, method, status, broken } = $("filters").elements;
  return (
    target(summary).toLowerCase().includes(text.value.trim().toLowerCase()) &&
    (kind.value === "" || summary.kind === kind.value) &&
    (method.value === "" || summary.method === method.value) &&
    (status.value === "" || (summary.status === null ? "none" : String(summary.status)[0]) === status.value) &&
    (!broken.checked || summary.violations > 0)
  );
}

function update() {
  const visible = [...rows.values()].filter((row) => !row.hidden).length;
  $("empty").hidden = visible > 0 || !$("token").hidden;
  $("empty").textContent =
    exchanges.size > 0
      ? "No exchange passes the filters."
      : "Nothing has been said yet. Exchanges are kept while this page is open: make a request.";
  $("missed").hidden = missed === 0;
  $("missed").textContent = `${plural(missed, "exchange")} came too fast to be shown, or were forgotten before.`;
  const count = waiting?.size ?? 0;
  $("pause").textContent = waiting ? `Continue${count > 0 ? ` (${count})` : ""}` : "Pause";
  $("pause").setAttribute("aria-pressed", waiting !== null);
}

function filter() {
  for (const [number, row] of rows) row.hidden = !passes(exchanges.get(number));
  update();
}

// One exchange.

function choose(number) {
  rows.get(chosen)?.firstChild.setAttribute("aria-current", false);
  chosen = number;
  rows.get(chosen)?.firstChild.setAttribute("aria-current", true);
  document.body.classList.toggle("chosen", number !== null);
  shown = { count: 0, leftOut: 0 };
  if (number === null) return;
  $("detail").replaceChildren(
    element("button", { id: "back", type: "button", textContent: "Back to the list" }),
    element("h2"),
    element("div", { className: "facts" }),
    element("div", { className: "tools" }),
    element("div", { id: "outcome", hidden: true, attributes: { role: "status" } }),
    element("ol", { id: "entries" }),
  );
  $("detail").scrollTop = 0;
  $("back").onclick = () => {
    const row = rows.get(chosen);
    choose(null);
    row?.firstChild.focus();
  };
  refresh();
}

// Reads the exchange again: at once, and then not more often than twice a second.
async function refresh() {
  const mine = shown;
  if (mine.isReading) {
    mine.isStale = true;
    return;
  }
  mine.isReading = true;
  try {
    const from = mine.leftOut > 0 ? 0 : mine.count;
    const response = await request(`exchanges/${chosen}?from=${from}`);
    const exchange = await response.json();
    if (mine !== shown) return;
    showExchange(exchange);
  } catch (error) {
    if (mine === shown) showOutcome("failed", error.message);
    return;
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  mine.isReading = false;
  if (mine.isStale && mine === shown) {
    mine.isStale = false;
    refresh();
  }
}

function showExchange({ summary, from, entries, left_out, left_out_after, cannot_replay }) {
  const detail = $("detail");
  detail.querySelector("h2").textContent = `${summary.method ?? kinds[summary.kind]} ${target(summary)}`;
  const facts = [
    `number ${summary.number}`,
    new Date(summary.began).toLocaleTimeString("en-GB"),
    summary.status === null ? "no status" : `status ${summary.status}`,
    summary.duration === null ? "running" : duration(summary.duration),
    plural(summary.events, "event"),
    summary.end ?? "",
  ];
  detail.querySelector(".facts").replaceChildren(
    ...facts.filter(Boolean).map((text) => element("span", { textContent: text })),
    summary.violations > 0 ? element("span", { className: "broken", textContent: `${plural(summary.violations, "rule")} broken` }) : "",
    summary.replay_of === null ? "" : link(`replay of ${summary.replay_of}`, () => choose(summary.replay_of)),
  );
  showTools(summary, cannot_replay);
  const list = $("entries");
  // Entries are only added, unless some were left out.
  if (left_out > 0) list.replaceChildren();
  entries.forEach((entry, index) => {
    if (left_out > 0 && from + index === left_out_after) {
      list.append(element("li", { className: "gap", textContent: `${plural(left_out, "entry").replace("entrys", "entries")} left out: only the beginning and the latest are kept` }));
    }
    list.append(showEntry(entry));
  });
  shown.count = from + entries.length;
  shown.leftOut = left_out;
}

function link(text, action) {
  return element("button", { type: "button", className: "link", textContent: text, onclick: action });
}

function showTools(summary, cannotReplay) {
  const tools = $("detail").querySelector(".tools");
  // A button that is focused stays.
  const key = `${summary.kind} ${cannotReplay}`;
  if (tools.dataset.key === key) return;
  tools.dataset.key = key;
  const tool = (text, action, properties = {}) => element("button", { type: "button", textContent: text, onclick: action, ...properties });
  const isLifespan = summary.kind === "lifespan";
  tools.replaceChildren(
    tool("Copy as curl", () => copy("curl"), { disabled: isLifespan }),
    tool("Copy as test", () => copy("test"), { disabled: isLifespan }),
    tool("Save as recording", save),
    tool("Replay", () => replay(summary), { disabled: cannotReplay !== null, title: cannotReplay ?? "Makes the request again, to the application as it runs now" }),
    cannotReplay === null || isLifespan ? "" : element("span", { className: "brief", textContent: `No replay: ${cannotReplay}.` }),
  );
}

function showOutcome(className, ...children) {
  const outcome = $("outcome");
  outcome.className = className;
  outcome.hidden = false;
  outcome.replaceChildren(...children);
}

async function copy(form) {
  try {
    const text = await (await request(`exchanges/${chosen}/${form}`)).text();
    const parts = [element("pre", { textContent: text })];
    try {
      await navigator.clipboard.writeText(text);
      showOutcome("", "Copied.", part("What was copied", parts));
    } catch {
      // The clipboard is not for pages without TLS that are not on this machine.
      showOutcome("", part("The browser lets this page not copy. Copy it from here", parts, true));
    }
  } catch (error) {
    showOutcome("failed", error.message);
  }
}

async function save() {
  try {
    const response = await request(`exchanges/${chosen}/recording`);
    const address = URL.createObjectURL(await response.blob());
    element("a", { href: address, download: `exchange-${chosen}.jsonl` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  } catch (error) {
    showOutcome("failed", error.message);
  }
}

function replay(summary) {
  if (["GET", "HEAD", "OPTIONS"].includes(summary.method)) return runReplay([]);
  const what = summary.method === null ? "the WebSocket" : `the ${summary.method}`;
  showOutcome(
    "differs",
    `The application does again what it does for ${what}. `,
    element("button", { type: "button", textContent: "Replay it", onclick: () => runReplay([]) }),
  );
}

async function runReplay(credentials) {
  showOutcome("", "Replaying…");
  const number = chosen;
  try {
    const response = await request(`exchanges/${number}/replay`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ credentials }),
    });
    const { exchange, is_masked, difference } = await response.json();
    if (number !== chosen) return;
    const parts = [];
    if (difference === null) {
      parts.push("The application responds as before. ");
    } else {
      parts.push(`The application responds differently now: ${difference.what}. `);
      parts.push(
        element("dl", {},
          element("dt", { textContent: "before" }), element("dd", { textContent: difference.recorded }),
          element("dt", { textContent: "now" }), element("dd", { textContent: difference.replayed })),
      );
    }
    if (exchange !== null) parts.push(link(`See the replay, number ${exchange}`, () => choose(exchange)));
    if (is_masked) parts.push(credentialForm());
    showOutcome(difference === null ? "same" : "differs", ...parts);
  } catch (error) {
    if (number === chosen) showOutcome("failed", error.message);
  }
}

function credentialForm() {
  const name = element("input", { placeholder: "authorization", value: "authorization", attributes: { "aria-label": "Field" } });
  const value = element("input", { type: "password", placeholder: "Bearer …", autocomplete: "off", required: true, attributes: { "aria-label": "Value" } });
  const form = element("form", {}, name, value, element("button", { textContent: "Replay with this" }));
  form.onsubmit = (event) => {
    event.preventDefault();
    runReplay([[name.value.trim(), value.value]]);
  };
  return element("div", {}, element("p", { textContent: "Credentials are masked, so the request was sent without them. Give the right value here:" }), form);
}

// The entries of an exchange.

function showEntry(entry) {
  const { broken, called, received, sent, failed, ended, error } = entry;
  if (broken !== null) return showRule(entry.at, broken);
  const [direction, event] = called ? ["called", called] : received ? ["received", received] : sent ? ["sent", sent] : ["ended", null];
  const line = element("div", { className: "line" },
    element("time", { textContent: `+${duration(entry.at)}` }),
    element("span", { className: "direction", textContent: event === null ? "" : direction }),
    element("code", { textContent: event === null ? ended : event.type }),
    element("span", { className: "brief", textContent: event === null ? (error ?? "") : brief(event) }),
  );
  if (entry.waited >= 100) line.append(element("span", { className: "waited", textContent: `waited ${duration(entry.waited)} for room` }));
  if (failed) line.append(element("span", { className: "failure", textContent: `failed: ${failed}` }));
  if (event === null) return element("li", { className: direction }, line);
  const content = event.body ?? event.text ?? event.bytes ?? "";
  const isShort = typeof content === "string" && content.length <= 80 && !content.trimEnd().includes("\n") && entry.full_length === null;
  if (isShort && content !== "") line.append(element("span", { className: "content", textContent: content.trimEnd() }));
  const parts = eventParts(event, entry.full_length, isShort);
  return element("li", { className: direction }, line, ...parts);
}

function showRule(at, { id, role, level, sentence, detail, url }) {
  return element("li", { className: "rule" },
    element("div", { className: "line" },
      element("time", { textContent: `+${duration(at)}` }),
      element("span", { className: "failure", textContent: `broken by the ${role}` }),
      element("code", {}, element("a", { href: url, target: "_blank", rel: "noreferrer", textContent: id })),
      element("span", { className: "brief", textContent: level }),
    ),
    element("p", { textContent: detail }),
    element("p", { className: "brief", textContent: sentence }),
  );
}

// What is told of an event beside its name.
function brief(event) {
  switch (event.type) {
    case "http": return `${event.method} HTTP/${event.http_version}`;
    case "websocket": return `HTTP/${event.http_version}`;
    case "http.request":
    case "http.response.body":
    case "websocket.http.response.body": return event.more_body ? "more follows" : "last";
    case "http.response.start":
    case "websocket.http.response.start": return String(event.status);
    case "http.response.pathsend": return event.path;
    case "websocket.accept": return event.subprotocol ?? "";
    case "websocket.close":
    case "websocket.disconnect": return `${event.code} ${event.reason ?? ""}`;
    default: return event.message ?? "";
  }
}

const known = ["type", "body", "more_body", "headers", "trailers", "text", "bytes", "status", "code", "reason", "message", "subprotocol"];

function eventParts(event, fullLength, isShort) {
  const parts = [];
  const others = Object.entries(event).filter(([key, value]) => !known.includes(key) && value !== null && value !== "" && !(Array.isArray(value) && value.length === 0) && value !== false);
  if (others.length > 0) parts.push(part("Scope", [table(others)]));
  for (const key of ["headers", "trailers"]) {
    const fields = Array.isArray(event[key]) ? event[key] : [];
    if (fields.length > 0) parts.push(part(plural(fields.length, key === "headers" ? "header field" : "trailer field"), [table(fields)]));
  }
  const content = event.body ?? event.text ?? event.bytes;
  if (content !== undefined && content !== null && content !== "") parts.push(showContent(content, fullLength, isShort));
  return parts;
}

function part(title, children, isOpen = false) {
  return element("details", { className: "part", open: isOpen }, element("summary", { textContent: title }), ...children);
}

function table(fields) {
  const text = (value) => {
    if (typeof value === "string") return value;
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value.join("\n");
    if (value?.base64 !== undefined) return `base64: ${value.base64}`;
    return JSON.stringify(value, null, typeof value === "object" && !Array.isArray(value) ? 1 : 0);
  };
  const lines = fields.map(([name, value]) => element("tr", {}, element("th", { scope: "row", textContent: name }), element("td", { textContent: text(value) })));
  return element("table", {}, element("tbody", {}, ...lines));
}

const decode = (content) => (typeof content === "string" ? new TextEncoder().encode(content) : Uint8Array.from(atob(content.base64), (character) => character.codePointAt(0)));

// A content: as text or JSON where it is one, and as octets.
function showContent(content, fullLength, isShort) {
  const octets = decode(content);
  const isBinary = typeof content !== "string";
  const length = fullLength ?? octets.length;
  const title = `${plural(length, "octet")}${isBinary ? ", no text" : ""}${fullLength === null ? "" : `, the first ${octets.length.toLocaleString("en")} kept`}`;
  const pre = element("pre");
  const views = {
    text: () => content,
    json: () => JSON.stringify(JSON.parse(content), null, 2),
    hex: () => hexDump(octets),
  };
  const isJson = !isBinary && /^\s*[[{]/.test(content) && fullLength === null && parses(content);
  const names = [...(isBinary ? [] : ["text"]), ...(isJson ? ["json"] : []), "hex"];
  const buttons = names.map((name) => element("button", { type: "button", textContent: name, onclick: () => show(name) }));
  const show = (name) => {
    pre.textContent = views[name]();
    pre.className = name;
    buttons.forEach((button) => button.setAttribute("aria-pressed", button.textContent === name));
  };
  const made = part(title, [names.length > 1 ? element("div", { className: "bar" }, ...buttons) : "", pre], length <= 2000 && !isShort);
  if (made.open) show(names[0]);
  else made.addEventListener("toggle", () => { if (pre.textContent === "") show(names[0]); });
  return made;
}

function parses(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function hexDump(octets) {
  const lines = [];
  for (let at = 0; at < octets.length; at += 16) {
    const line = [...octets.slice(at, at + 16)];
    const hex = line.map((octet) => octet.toString(16).padStart(2, "0")).join(" ");
    const text = line.map((octet) => (octet >= 32 && octet < 127 ? String.fromCharCode(octet) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(47)}  ${text}`);
  }
  return lines.join("\n");
}

// What the user does.

$("rows").onclick = (event) => {
  const row = event.target.closest("button");
  if (row) choose(Number(row.dataset.number));
};
$("rows").onkeydown = (event) => {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (!step) return;
  event.preventDefault();
  let row = event.target.closest("li")?.[step];
  while (row?.hidden) row = row[step];
  if (!row) return;
  row.firstChild.focus();
  // On a small screen the exchange would cover the list.
  if (matchMedia("(min-width: 801px)").matches) choose(Number(row.firstChild.dataset.number));
};
$("filters").oninput = filter;
$("filters").onsubmit = (event) => event.preventDefault();
$("pause").onclick = () => {
  const held = waiting;
  waiting = held ? null : new Map();
  for (const summary of held?.values() ?? []) {
    exchanges.set(summary.number, summary);
    showRow(summary);
  }
  trim(exchanges);
  update();
};
$("clear").onclick = async () => {
  try {
    await request("exchanges", { method: "DELETE" });
    choose(null);
    $("detail").replaceChildren();
  } catch (error) {
    setState("closed", error.message);
  }
};
$("token").onsubmit = (event) => {
  event.preventDefault();
  sessionStorage.setItem(tokenKey, $("secret").value.trim().replace(/^.*#token=/, ""));
  $("secret").value = "";
  follow();
};
addEventListener("hashchange", () => { if (token() && !$("token").hidden) follow(); });

follow();
