// Live pages. The socket says what changed ({topic, id, sequence}); the page asks the server for that part again.
//
//   socket open -> frame -> parts whose topics match are read again, and swapped without flicker
//   gap in the sequence, or a reconnect -> every part is read again, so a missed push costs nothing
//   no socket -> back-off and polling (X-Poll: 1, which does not keep a session alive)

import { tellAges } from "../accounts/base.js";

const badge = document.getElementById("live");
const banner = document.getElementById("silent");
const POLL = Math.max(5, Number(document.body.dataset.poll) || 30) * 1000;
const MOVING = 1000;
const AGAIN = 3000; // a part that a person has in hand is asked for again a little later
const SILENT = 3;

const sequences = new Map();
const busy = new Map();
const held = new Map();
let failures = 0;
let socketTries = 0;
let socket = null;
let over = false;

const WORDS = { connecting: "Connecting", live: "Live", polling: "Checking often", silent: "No news", gone: "Signed out" };

function say(state) {
  if (!badge || badge.dataset.state === state) return;
  badge.dataset.state = state;
  badge.querySelector(".live-words").textContent = WORDS[state];
  badge.title = state === "polling" ? "The live line is blocked; the page asks again by itself." : "";
}

function silent(words) {
  if (!banner) return;
  banner.hidden = !words;
  if (words) banner.querySelector(".silent-words").textContent = words;
}

// A socket belongs to one client; a page of all clients polls.
function wants(part, topic, id) {
  return (part.dataset.topics ?? "").split(/\s+/).some((one) => one === topic || one === `${topic}:${id}`);
}

/** What a form asks for: its answer stays with it, also when rows come or go around it. */
function asked(form) {
  return [form.dataset.api, ...[...form.querySelectorAll('input[type="hidden"]')].map((one) => one.value)].join(" ");
}

function answer(form) {
  return form.querySelector(".act-answer");
}

/** The fields of a part that a person types into: [form and name, field]. A tick is never carried over: it is given anew. */
function fields(part) {
  return [...part.querySelectorAll("form.act")].flatMap((form) => [...form.elements]
    .filter((one) => one.name && one.matches('input:not([type="hidden"], [type="checkbox"], [type="radio"])'))
    .map((one) => [`${asked(form)} ${one.name}`, one]));
}

/** Put the new markup in place: typing, open folds and focus stay; figures that moved are marked for a moment. */
function swap(part, markup) {
  const focused = document.activeElement;
  if (focused && part.contains(focused) && focused.matches("input, textarea, select") && focused.value) return false;
  if (part.querySelector('[aria-busy="true"]')) return false;
  if (part.querySelector("button:active, a:active, summary:active")) return false; // a press is under way
  const kept = fields(part).filter(([, one]) => one.value !== one.defaultValue && one.value !== "");
  const before = new Map([...part.querySelectorAll("[data-key]")].map((one) => [one.dataset.key, one.textContent]));
  const open = [...part.querySelectorAll("details")].map((one) => one.open);
  const answers = [...part.querySelectorAll("form.act")].map((one) => [asked(one), answer(one)]);
  const ticked = new Set([...part.querySelectorAll(".tick:checked")].map((one) => one.value));
  const path = focused && part.contains(focused) ? [...part.querySelectorAll("a, button, summary, input")].indexOf(focused) : -1;
  const next = document.createElement("template");
  next.innerHTML = markup;
  part.replaceChildren(next.content);
  for (const one of part.querySelectorAll(".tick")) one.checked = ticked.has(one.value);
  const folds = part.querySelectorAll("details");
  if (folds.length === open.length) folds.forEach((one, index) => { one.open = open[index]; });
  const now = new Map(fields(part));
  for (const [name, { value }] of kept) if (now.has(name)) now.get(name).value = value;
  const forms = [...part.querySelectorAll("form.act")];
  const known = new Map(answers);
  forms.forEach((form, index) => {
    // As many as before: the same form, though a switch asks for the opposite now. Else rows came or went.
    const said = forms.length === answers.length ? answers[index][1] : known.get(asked(form));
    if (said && answer(form)) [answer(form).textContent, answer(form).className] = [said.textContent, said.className];
  });
  if (path >= 0) part.querySelectorAll("a, button, summary, input")[path]?.focus();
  for (const one of part.querySelectorAll("[data-key]")) {
    if (before.has(one.dataset.key) && before.get(one.dataset.key) !== one.textContent) one.classList.add("moved");
  }
  tellAges(part);
  return true;
}

function later(part) {
  clearTimeout(held.get(part));
  held.set(part, setTimeout(() => { if (!over) read(part, { poll: true }); }, AGAIN));
}

async function read(part, { poll = false } = {}) {
  const name = part.dataset.part;
  if (busy.get(name)) {
    busy.set(name, "again");
    return;
  }
  busy.set(name, "reading");
  const url = new URL(location.href);
  url.hash = "";
  url.searchParams.set("part", name);
  try {
    const answer = await fetch(url, { headers: poll ? { "X-Poll": "1" } : {}, credentials: "same-origin" });
    if (answer.redirected || answer.status === 401 || answer.status === 403) {
      over = true;
      socket?.close();
      say("gone");
      silent("You are signed out. Reload the page to sign in again.");
      document.dispatchEvent(new CustomEvent("metaads:signed-out", { detail: answer.headers.get("X-Session-Ended") }));
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    if (!swap(part, await answer.text())) later(part);
    failures = 0;
    if (!over) silent("");
  } catch {
    failures += 1;
    if (failures >= SILENT) {
      say("silent");
      silent("The server does not answer. The page keeps trying; nothing on it is newer than its “checked” says.");
    }
  } finally {
    const again = busy.get(name) === "again";
    busy.delete(name);
    if (again && !over) read(part, { poll });
  }
}

const parts = () => document.querySelectorAll("[data-part]");

/** Read parts again: those of a topic, or all. */
export function reread({ topic = null, id = null, poll = false } = {}) {
  if (over) return;
  for (const part of parts()) if (topic === null || wants(part, topic, id)) read(part, { poll });
}

function heard(frame) {
  const last = sequences.get(frame.topic);
  sequences.set(frame.topic, frame.sequence);
  if (last !== undefined && frame.sequence > last + 1) reread({ poll: true });
  else reread({ topic: frame.topic, id: frame.id, poll: true });
}

function connect() {
  if (over || !document.body.dataset.client) {
    if (!over) say("polling");
    return;
  }
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/ws/live/?client=${encodeURIComponent(document.body.dataset.client)}`);
  socket.addEventListener("open", () => {
    say("live");
    if (socketTries > 0) reread({ poll: true });
    socketTries = 0;
    sequences.clear();
  });
  socket.addEventListener("message", (event) => {
    try {
      heard(JSON.parse(event.data));
    } catch {
      reread({ poll: true });
    }
  });
  socket.addEventListener("close", (event) => {
    socket = null;
    if (over) return;
    if (event.code === 4401) document.dispatchEvent(new CustomEvent("metaads:signed-out"));
    say("polling");
    socketTries += 1;
    setTimeout(connect, Math.min(60_000, 500 * 2 ** Math.min(socketTries, 7)) * (0.7 + Math.random() * 0.6));
  });
}

connect();
// Slow when the socket is open (it only keeps the ages true), at the product's own pace when it is not.
setInterval(() => {
  if (!document.hidden) reread({ poll: true });
}, POLL);
// What is on its way is looked at every second until it has arrived, socket or not.
setInterval(() => {
  if (document.hidden || over) return;
  for (const part of parts()) if (part.querySelector("[data-moving]")) read(part, { poll: true });
}, MOVING);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) reread({ poll: true });
});
document.addEventListener("metaads:acted", () => reread());
