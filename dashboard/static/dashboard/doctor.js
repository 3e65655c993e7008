// The doctor's page: asks for the checks once it is open, then looks from inside the browser, which no server can.

import { tellAges } from "../accounts/base.js";

const SKEW = 120_000;
const SOCKET = 6000;
const place = document.getElementById("checks");
const button = document.getElementById("run-checks");
const WORDS = { ok: ["ok", "ok"], fail: ["fails", "bad"] };

function wait(milliseconds) {
  return new Promise((done) => { setTimeout(done, milliseconds); });
}

async function live() {
  const badge = document.getElementById("live");
  if (!badge || !document.body.dataset.client) return true; // a page of all clients has no line of its own
  const until = performance.now() + SOCKET;
  while (performance.now() < until) {
    if (badge.dataset.state === "live") return true;
    await wait(200);
  }
  return false;
}

/** [name of the trouble, what was found] for everything that is wrong here. */
async function look(publicUrl, serverTime) {
  const found = [];
  if (location.origin !== new URL(publicUrl).origin) found.push(["origin", `This page is open at ${location.origin}, the product's address is ${publicUrl}.`]);
  if (!navigator.cookieEnabled) found.push(["cookies", "This browser takes no cookies from here."]);
  if (!(await live())) found.push(["socket", "The live line did not open within 6 seconds."]);
  const heard = [...new Set(window.metaadsHeard ?? [])];
  if (heard.length) found.push(["script", `${heard.slice(0, 3).join("; ")}.`]);
  if (serverTime && Math.abs(serverTime.at - serverTime.here) > SKEW) {
    found.push(["clock", `This computer's clock is ${Math.round(Math.abs(serverTime.at - serverTime.here) / 60_000)} minutes away from the server's.`]);
  }
  return found;
}

async function browser(serverTime) {
  const row = place.querySelector('[data-check="login.browser"]');
  if (!row) return;
  const hidden = row.querySelector("[data-public-url]");
  const found = await look(hidden.dataset.publicUrl, serverTime);
  const state = found.length ? "fail" : "ok";
  const fixes = found.map(([name]) => hidden.querySelector(`[data-fix="${name}"]`)?.textContent ?? "");
  row.dataset.state = state;
  const badge = row.querySelector(".badge");
  [badge.textContent] = WORDS[state];
  badge.className = `badge ${WORDS[state][1]}`;
  row.querySelector(".finding").textContent = found.map(([, text]) => text).join(" ") || "Address, cookies, scripts, live line and clock are well.";
  const fix = row.querySelector(".fix");
  fix.textContent = fixes.join(" ");
  fix.hidden = !fixes.length;
  sum();
}

/** The line of counts, now that the browser's own check is known. */
function sum() {
  const line = place.querySelector("[data-sum]");
  const count = (state) => place.querySelectorAll(`.check[data-state="${state}"]`).length;
  const told = [["fail", "bad", count("fail") === 1 ? "fails" : "fail"], ["warn", "warn", "to look at"], ["ok", "ok", "ok"], ["unknown", "hollow", "not known"]];
  for (const old of line.querySelectorAll(".badge")) old.remove();
  const badges = told.filter(([state]) => count(state)).map(([state, tone, words]) => {
    const one = document.createElement("span");
    one.className = `badge ${tone}`;
    one.textContent = `${count(state)} ${words}`;
    return one;
  });
  line.prepend(...badges.flatMap((one) => [one, " "]));
}

async function ask(address) {
  place.setAttribute("aria-busy", "true");
  button?.setAttribute("aria-disabled", "true");
  let serverTime = null;
  try {
    const answer = await fetch(address, { credentials: "same-origin", redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    const markup = await answer.text();
    place.innerHTML = markup;
    const date = Date.parse(answer.headers.get("Date") ?? "");
    if (!Number.isNaN(date)) serverTime = { at: date, here: Date.now() };
    if (button) button.textContent = "Check again";
  } catch {
    place.innerHTML = '<div class="notice warn"><div>The checks could not be fetched. Press “Run the checks”; if that shows the sign-in page, sign in again.</div></div>';
  }
  place.removeAttribute("aria-busy");
  button?.removeAttribute("aria-disabled");
  tellAges(place);
  await browser(serverTime);
}

if (place?.dataset.ask) {
  button?.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (place.getAttribute("aria-busy") !== "true") ask(place.dataset.ask);
  });
  ask(place.dataset.ask);
} else if (place) {
  browser(null);
}
