// The form of rules. What may stand where comes from the server's own table of the language (#vocabulary); the text area holds
// the document, and the form and the text write each other.
//
//   form or text changes -> document -> /api/rules/check (a moment later) -> sentences, or each mistake at its field

import { refusal, send } from "../accounts/base.js";

const form = document.getElementById("builder");
const V = JSON.parse(document.getElementById("vocabulary").textContent);
const tree = document.getElementById("tree");
const area = form.elements.document;
const WAIT = 350;
let root = null;
let number = 0;
let asked = 0;
let timer = 0;

function make(tag, props = {}, ...children) {
  const el = Object.assign(document.createElement(tag), props);
  el.append(...children);
  return el;
}

function button(words, does, label = words) {
  const el = make("button", { type: "button", className: "button small", textContent: words });
  if (label !== words) el.setAttribute("aria-label", label);
  el.addEventListener("click", does);
  return el;
}

function field(key, control, words = V.fields[key] ?? key) {
  const id = `b-${number++}`;
  const target = control.input ?? control.el;
  target.id = id;
  const label = make("label", { htmlFor: id, textContent: words });
  const error = make("div", { className: "error", id: `${id}-error` });
  const box = make("div", { className: "b-field" }, ...(control.flag ? [make("div", { className: "b-tick" }, control.el, label)] : [label, control.el]), error);
  return box;
}

const at = (el, path, value) => { el.dataset.path = path; return value; };

// --- single values

function word(shape, value) {
  const el = make("select");
  for (const [one, words] of shape.choices) el.append(new Option(words, one, false, one === value));
  return { el, read: (path) => at(el, path, el.value) };
}

function typed(shape, value, kind) {
  const el = make("input", { type: "text", value: value ?? "", autocomplete: "off", maxLength: shape.most > 0 && kind === "text" ? shape.most : 40 });
  if (kind !== "text") el.inputMode = "decimal";
  const given = { amount: (text) => text.replace(",", "."), whole: (text) => (/^\d+$/.test(text) ? Number(text) : text), text: (text) => text }[kind];
  return { el, read: (path) => at(el, path, el.value.trim() === "" ? undefined : given(el.value.trim())) };
}

function flag(value) {
  const el = make("input", { type: "checkbox", checked: value === true });
  return { el, flag: true, read: (path) => at(el, path, el.checked || undefined) };
}

function lines(value) {
  const el = make("textarea", { rows: 3, value: (value ?? []).join("\n"), spellcheck: false });
  const read = () => el.value.split("\n").map((one) => one.trim()).filter(Boolean);
  return { el, read: (path) => at(el, path, read().length ? read() : undefined) };
}

/** Text of a window <-> its kind and numbers. */
function windowed(value) {
  const kinds = V.windows.map((one) => ({ ...one, like: new RegExp(`^${one.text.replace("{count}", "(?<count>\\d+)").replace("{share}", "(?<share>\\d+)")}$`) }));
  const text = value ?? V.usual.window;
  const found = kinds.find((one) => one.like.test(text)) ?? kinds[2];
  const seen = found.like.exec(text)?.groups ?? {};
  const kind = make("select");
  kinds.forEach((one, index) => kind.append(new Option(one.label, index, false, one === found)));
  const count = make("input", { type: "number", min: 1, value: seen.count ?? 7, ariaLabel: "How many" });
  const share = make("input", { type: "number", value: seen.share ?? 90, ariaLabel: "Reported at least, in percent" });
  const show = () => {
    const one = kinds[kind.value];
    [count.hidden, share.hidden, count.max, share.min, share.max] = [!one.text.includes("{count}"), !one.text.includes("{share}"), one.most, ...one.shares];
  };
  kind.addEventListener("change", show);
  show();
  const el = make("div", { className: "b-window" }, count, kind, share);
  return { el, input: kind, read: (path) => at(kind, path, kinds[kind.value].text.replace("{count}", count.value).replace("{share}", share.value)) };
}

// --- records, and what is chosen among several kinds

function control(shape, value, key, context) {
  if (key === "than") return operand(shape, value ?? {}, context);
  switch (shape.is) {
    case "word": return word(shape, value ?? V.usual[key]);
    case "amount": case "whole": case "text": return typed(shape, value ?? (shape.needed ? undefined : V.usual[key]), shape.is);
    case "flag": return flag(value);
    case "window": return windowed(value);
    case "node": return tree_of(value, key === "where");
    case "many": return lines(value);
  }
  throw new Error(`a form does not know ${shape.is}`);
}

function ticks(shape, value) {
  const boxes = shape.choices.map(([one, words]) => [one, make("input", { type: "checkbox", value: one, checked: (value ?? []).includes(one) }), words]);
  const el = make("div", { className: "b-ticks", role: "group" }, ...boxes.map(([, box, words]) => make("label", { className: "b-tick" }, box, words)));
  return { el, read: (path) => at(el, path, boxes.filter(([, box]) => box.checked).map(([one]) => one)) };
}

/** A fact of fixed words: those that are ticked, one or several. */
function chosen_words(shape, data) {
  const { read, el } = ticks(shape.fields.texts.one, data.texts ?? (data.text === undefined ? [] : [data.text]));
  const box = make("div", { className: "b-record" }, field("texts", { el }, V.fields.op));
  return { el: box, controls: {}, read: (path) => {
    const texts = read(`${path}.texts`);
    return texts.length === 1 ? { op: "is", text: texts[0] } : { op: V.in, texts };
  } };
}

/** The fields of a record. Of `oneOf` one group is shown: which one is chosen, or follows the operator (text or texts). */
function record(shape, data = {}) {
  if (shape.fields.texts?.one.is === "word") return chosen_words(shape, data);
  const el = make("div", { className: "b-record" });
  const controls = {};
  const boxes = {};
  const grouped = new Set(shape.oneOf.flat());
  const left = () => ({ metric: controls.metric?.read(controls.metric.el.dataset.path ?? ""), window: controls.window?.read(controls.window.input.dataset.path ?? "") });
  for (const [key, one] of Object.entries(shape.fields)) {
    controls[key] = control(one, data[key], key, left);
    boxes[key] = field(key, controls[key]);
  }
  let chosen = shape.oneOf.findIndex((group) => group.some((key) => key in data));
  const byOperator = grouped.has("texts");
  const choice = make("select");
  if (shape.oneOf.length && !byOperator) {
    shape.oneOf.forEach((group, index) => choice.append(new Option(group.map((key) => V.fields[key]).join(" … "), index, false, index === chosen)));
    el.append(field("", { el: choice }, "By"));
  }
  el.append(...Object.values(boxes));
  const show = () => {
    if (byOperator) chosen = controls.op.el.value === V.in ? 1 : 0;
    else if (shape.oneOf.length) chosen = Number(choice.value);
    for (const key of grouped) boxes[key].hidden = !shape.oneOf[chosen].includes(key);
  };
  if (grouped.size) {
    show();
    el.addEventListener("change", show);
  }
  const read = (path) => {
    el.dataset.path = path;
    const found = {};
    for (const [key, one] of Object.entries(controls)) {
      if (boxes[key].hidden) { delete (one.input ?? one.el).dataset.path; continue; }
      const value = one.read(`${path}.${key}`);
      if (value !== undefined) found[key] = value;
    }
    return found;
  };
  return { el, read, controls };
}

/** Another record for another word: a fact, an action. */
function named(shape, data) {
  const el = make("div", { className: "b-named" });
  const choice = make("select");
  for (const [kind, one] of Object.entries(shape.kinds)) choice.append(new Option(one.label, kind, false, kind === data[shape.key]));
  let inner = null;
  const place = make("div");
  const show = (given) => { inner = record(shape.kinds[choice.value], given); place.replaceChildren(inner.el); };
  show(data);
  choice.addEventListener("change", () => show({}));
  el.append(field(shape.key, { el: choice }), place);
  return { el, first: choice, read: (path) => { at(choice, `${path}.${shape.key}`); return { [shape.key]: choice.value, ...inner.read(path) }; } };
}

function unit(metric) {
  const one = V.units[metric];
  return one === "money" ? form.elements.account.selectedOptions[0].dataset.currency : one === "percent" ? "percent" : "";
}

/** What a figure is compared with. An average is the same figure, over the same days, of what the object is in. */
function operand(shape, data, left) {
  const own = left();
  const average = data.metric !== undefined && data.metric === own.metric && (data.window ?? V.usual.window) === own.window && (data.of ?? V.usual.of) !== V.usual.of;
  const kinds = { number: V.operands.number, average: "an average", ...V.operands };
  const start = average ? "average" : Object.keys(V.operands).find((kind) => kind in data) ?? "number";
  const choice = make("select");
  for (const [kind, words] of Object.entries(kinds)) choice.append(new Option(words, kind, false, kind === start));
  const place = make("div");
  let inner = null;
  const show = (given) => {
    if (choice.value === "average") {
      const { times, of } = shape.kinds.metric.fields;
      const choices = Object.entries(V.whose);
      inner = record({ oneOf: [], fields: { of: { ...of, choices }, times } }, given);
    } else inner = record(shape.kinds[choice.value], given);
    place.replaceChildren(inner.el);
    hint();
  };
  const hint = () => {
    const label = place.querySelector("label");
    if (choice.value === "number" && label) label.textContent = [V.fields.number, unit(left().metric) && `in ${unit(left().metric)}`].filter(Boolean).join(" ");
  };
  show(data);
  choice.addEventListener("change", () => show({}));
  const el = make("div", { className: "b-operand" }, choice, place);
  el.addEventListener("metric", hint);
  return { el, input: choice, read: (path) => {
    at(choice, path);
    const found = inner.read(path);
    if (choice.value !== "average") return found;
    const now = left();
    return { metric: now.metric, window: now.window, ...found };
  } };
}

// --- the tree

const MODES = { all: "all of these hold", any: "at least one of these holds", none: "none of these holds", notall: "not all of these hold" };

function leaf(data, remove) {
  const kinds = V.node.kinds;
  const kind = Object.keys(V.nodes).find((one) => one in data);
  const inner = kind === "fact" ? named(kinds.fact, data) : record(kinds[kind], data);
  const el = make("li", { className: "b-leaf" }, inner.el, button("Remove", remove, `Remove this condition`));
  if (kind === "metric") inner.controls.metric.el.addEventListener("change", () => inner.controls.than.el.dispatchEvent(new Event("metric")));
  return { el, read: (path) => inner.read(path) };
}

function modeOf(data) {
  if (data === undefined) return ["all", []];
  if ("all" in data) return ["all", data.all];
  if ("any" in data) return ["any", data.any];
  if (!("not" in data)) return ["all", [data]];
  if ("any" in data.not) return ["none", data.not.any];
  return "all" in data.not ? ["notall", data.not.all] : ["none", [data.not]];
}

const isGroup = (data) => ["all", "any", "not"].some((key) => key in data);

function group(data, { remove = null, top = false, optional = false } = {}) {
  const [mode, children] = modeOf(data);
  const choice = make("select", { ariaLabel: "How the conditions go together" });
  for (const [one, words] of Object.entries(MODES)) choice.append(new Option(words, one, false, one === mode));
  const list = make("ul", { className: "b-list" });
  const parts = [];
  const adder = make("div", { className: "row b-add" });
  const put = (given, focus = false) => {
    const away = () => {
      parts.splice(parts.indexOf(part), 1);
      part.el.remove();
      adder.querySelector("button").focus();
      changed();
    };
    const part = isGroup(given) ? group(given, { remove: away }) : leaf(given, away);
    parts.push(part);
    list.append(part.el);
    if (focus) { part.el.querySelector("select, input").focus(); changed(); }
  };
  for (const child of children) put(child);
  const kinds = V.node.kinds;
  const fresh = {
    metric: () => ({ metric: kinds.metric.fields.metric.choices[0][0], op: ">" }),
    fact: () => ({ fact: "name" }),
    rank: () => ({ rank: "bottom", count: 3, within: "parent" }),
  };
  for (const [kind, words] of Object.entries(V.nodes)) adder.append(button(`+ ${words}`, () => put(fresh[kind](), true), `Add a condition: ${words}`));
  adder.append(button("+ Group", () => put({ any: [] }, true), "Add a group of conditions"));
  const head = make("div", { className: "row apart" }, choice, ...(remove ? [button("Remove group", remove)] : []));
  const error = make("div", { className: "error" });
  const el = make(top ? "div" : "li", { className: "b-group" }, head, list, adder, error);
  el.role = "group";
  const read = (path) => {
    const one = choice.value;
    el.dataset.path = path;
    if (optional && !parts.length) return undefined;
    if (top && one === "all" && parts.length === 1) return parts[0].read(path);
    if (one === "none" && parts.length === 1) return { not: parts[0].read(`${path}.not`) };
    const key = one === "any" || one === "none" ? "any" : "all";
    const base = one === "none" || one === "notall" ? `${path}.not` : path;
    const found = { [key]: parts.map((part, index) => part.read(`${base}.${key}[${index}]`)) };
    return base === path ? found : { not: found };
  };
  return { el, read };
}

function tree_of(data, optional) {
  return group(data, { top: true, optional });
}

// --- cases and the document

function action(data, remove) {
  const shape = V.document.fields.cases.one.fields.do.one;
  const inner = named(shape, data);
  return { el: make("li", { className: "b-leaf" }, inner.el, button("Remove", remove, "Remove this action")), read: inner.read };
}

function listed(items, one, adds, empty) {
  const el = make("ol", { className: "b-list" });
  const parts = [];
  const more = button(adds, () => put(empty(), true));
  const put = (given, focus = false) => {
    const part = one(given, () => { parts.splice(parts.indexOf(part), 1); part.el.remove(); more.focus(); changed(); }, (by) => {
      const from = parts.indexOf(part);
      const to = from + by;
      if (to < 0 || to >= parts.length) return;
      parts.splice(to, 0, ...parts.splice(from, 1));
      el.replaceChildren(...parts.map((each) => each.el));
      part.el.querySelector(by < 0 ? ".b-up" : ".b-down").focus();
      changed();
    });
    parts.push(part);
    el.append(part.el);
    if (focus) { part.el.querySelector("input, select").focus(); changed(); }
  };
  for (const item of items) put(item);
  const error = make("div", { className: "error" });
  const box = make("div", { className: "stack-2" }, el, make("div", { className: "row" }, more), error);
  return { el: box, read: (path) => { box.dataset.path = path; return parts.map((part, index) => part.read(`${path}[${index}]`)); } };
}

function kase(data, remove, move) {
  const name = typed(V.document.fields.cases.one.fields.name, data.name, "text");
  const when = tree_of(data.when, false);
  const does = listed(data.do, action, "+ Action", () => ({ action: "notify" }));
  const up = button("↑", () => move(-1), "Move this case up");
  const down = button("↓", () => move(1), "Move this case down");
  up.classList.add("b-up");
  down.classList.add("b-down");
  const head = make("header", {}, field("name", name, "Case"), make("div", { className: "row" }, up, down, button("Remove case", remove)));
  const el = make("li", { className: "card b-case" }, head, make("div", { className: "body stack" },
    make("h3", { textContent: V.fields.when }), when.el, make("h3", { textContent: V.fields.do }), does.el));
  return { el, read: (path) => ({ name: name.read(`${path}.name`) ?? "", when: when.read(`${path}.when`), do: does.read(`${path}.do`) }) };
}

function whole(data) {
  const fields = V.document.fields;
  const level = word(fields.level, data.level);
  const scope = record(fields.scope, data.scope ?? {});
  const given = Object.keys(data.scope ?? {}).length > 0;
  const fold = make("details", { className: "b-scope", open: given }, make("summary", { textContent: V.fields.scope }), scope.el);
  const cases = listed(data.cases ?? [], kase, "+ Case", () => ({ name: "", when: { all: [] }, do: [] }));
  tree.replaceChildren(make("div", { className: "card" }, make("div", { className: "body stack" }, field("level", level), fold)), cases.el);
  return (path) => {
    const about = scope.read(`${path}.scope`);
    return { level: level.read(`${path}.level`), ...(Object.keys(about).length ? { scope: about } : {}), cases: cases.read(`${path}.cases`) };
  };
}

// --- mistakes, sentences

function clear() {
  for (const one of form.querySelectorAll("[aria-invalid]")) { one.removeAttribute("aria-invalid"); one.removeAttribute("aria-describedby"); }
  for (const one of form.querySelectorAll(".error")) one.textContent = "";
}

/** The field that the mistake is about: the one whose path goes farthest along the mistake's. */
function place(path) {
  const fits = (one) => path === one || path.startsWith(`${one}.`) || path.startsWith(`${one}[`);
  let best = null;
  for (const one of form.querySelectorAll("[data-path]")) if (fits(one.dataset.path) && (best === null || one.dataset.path.length >= best.dataset.path.length)) best = one;
  return best;
}

function mark({ field: path, message }) {
  const spot = place(path);
  const error = spot && (spot.querySelector(":scope > .error") ?? spot.closest(".b-field")?.querySelector(":scope > .error"));
  if (!error) {
    document.getElementById("summary").append(`${path}: ${message}. `);
    return;
  }
  error.textContent = `${error.textContent} ${message}.`.trim();
  if (spot.matches("input, select, textarea")) {
    spot.setAttribute("aria-invalid", "true");
    spot.setAttribute("aria-describedby", error.id);
  }
}

function say(list, sentences) {
  document.getElementById(list).replaceChildren(...sentences.map((textContent) => make("li", { textContent })));
}

function state(words, tone) {
  const badge = document.getElementById("state");
  badge.textContent = words;
  badge.className = `badge ${tone}`;
}

function tell(answer) {
  clear();
  if (answer.ok) {
    say("read-back", answer.body.readBack);
    say("warnings", answer.body.warnings);
    state("Understood", "ok");
    return true;
  }
  const errors = answer.body.errors ?? [];
  errors.forEach(mark);
  state(errors.length === 1 ? "1 mistake" : errors.length ? `${errors.length} mistakes` : "Not checked", "bad");
  document.getElementById("summary").prepend(errors.length ? "" : refusal(answer));
  return false;
}

async function check() {
  clearTimeout(timer);
  const mine = ++asked;
  const given = root("document");
  state("Checking…", "");
  const answer = await send("/api/rules/check", { body: { accountId: form.elements.account.value, document: given }, key: null });
  return mine === asked ? tell(answer) : false;
}

function soon() {
  clearTimeout(timer);
  asked += 1; // an answer that is under way is about what stood there before
  state("Checking…", "");
  timer = setTimeout(check, WAIT);
}

function changed() {
  area.value = JSON.stringify(root("document"), null, 2);
  soon();
}

/** The text, as it was typed or imported, into the form. */
function take(text) {
  const error = document.getElementById("b-document-error");
  error.textContent = "";
  try {
    const found = JSON.parse(text);
    if (found.format && found.name && !form.elements.name.value) form.elements.name.value = found.name;
    root = whole(found.document ?? found);
    root("document");
  } catch (bad) {
    error.textContent = bad instanceof SyntaxError ? `This is no JSON: ${bad.message}` : "This is no document of rules that the form can show; Check says what is wrong with it.";
    state("Not understood", "bad");
    return;
  }
  soon();
}

async function preview() {
  const box = document.getElementById("preview");
  box.textContent = "Looking at the figures of now…";
  const headers = { "X-Part": "1", "X-CSRFToken": document.querySelector('meta[name="csrf"]')?.content ?? "" };
  try {
    const answer = await fetch("/strategies/preview", { method: "POST", headers, body: new FormData(form), credentials: "same-origin", redirect: "error" });
    box.innerHTML = answer.status < 500 ? await answer.text() : "The server could not look now. Try again in a moment.";
  } catch {
    box.textContent = "The server does not answer. Nothing was written; try again.";
  }
  box.focus();
  box.scrollIntoView({ block: "start" });
}

async function save() {
  const saved = document.getElementById("saved");
  const pressed = document.getElementById("save");
  if (pressed.disabled) return;
  [saved.className, saved.textContent] = ["act-answer", "Saving…"];
  pressed.disabled = true;
  const body = { name: form.elements.name.value, document: root("document"), type: "custom" };
  if (form.dataset.method === "POST") body.accountId = form.elements.account.value;
  const answer = await send(form.dataset.api, { method: form.dataset.method, body });
  pressed.disabled = false;
  if (answer.ok) {
    [saved.className, saved.textContent] = ["act-answer good", "Saved."];
    location.assign(`/strategies/${answer.body.id}/`);
    return;
  }
  clear();
  (answer.body.errors ?? []).forEach(mark);
  [saved.className, saved.textContent] = ["act-answer poor", refusal(answer)];
  form.querySelector('[aria-invalid="true"]')?.focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ({ check, ask: preview, save })[event.submitter?.id ?? "check"]?.();
});
tree.addEventListener("input", changed);
tree.addEventListener("change", changed);
form.elements.account.addEventListener("change", () => {
  document.getElementById("currency").textContent = form.elements.account.selectedOptions[0].dataset.currency;
  take(area.value);
});
area.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => take(area.value), WAIT); });
document.getElementById("b-import").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (!file) return;
  area.value = await file.text();
  take(area.value);
});
take(area.value);
