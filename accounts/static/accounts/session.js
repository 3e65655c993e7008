// The end of a session, in every tab: warned of in time, put off by the person, and then nothing is left on the screen.
//
//   GET  /api/session (X-Poll: 1)   how long it lasts; asking is no activity
//   POST /api/session               the person is there: Stay signed in, a key, a click
//   two minutes before the end      ask again (another tab may have put it off), then warn and count down
//   the end, or 401 from anybody    wipe the page, clear what the browser keeps, go to the sign-in page, which says why
//                                   (X-Session-Ended of the answer that ended it; else this browser's own clock)
//   other tabs                      hear of each answer and of each end; they ask the server before they believe it

const SIGN_IN = "/accounts/login/";
const TELL = 60_000;
const ANSWERED = 10_000;

// The operations site has its own templates: there the person is learned from the first answer.
const admin = location.pathname.startsWith("/admin/");
let person = document.querySelector('meta[name="person"]')?.content ?? "";
const dialog = document.getElementById("session-warning") ?? (admin ? built() : null);
const channel = "BroadcastChannel" in window ? new BroadcastChannel("metaads-session") : null;

let idleEnd = Infinity;
let absoluteEnd = Infinity;
let warn = 120_000;
let told = Date.now();
let busy = false;
let over = false;
let signedOut = false;
let said = ""; // why the server ended it: it tells so once, to the first who asks
let leaving = 0; // when this very tab sent its sign-out: the answer to that form says so, and nothing overtakes it
let title = "";

/** The warning where no template brings one. */
function built() {
  const made = document.createElement("dialog");
  made.id = "session-warning";
  made.setAttribute("aria-label", "Your session ends soon");
  for (const [kind, words, button, name] of [
    ["when-idle", "Are you still there? You will be signed out in ", "Stay signed in", "stay"],
    ["when-absolute", "Everybody at the agency signs in again after 12 hours. You will be signed out in ", "I will finish in time", "noted"],
  ]) {
    const part = document.createElement("div");
    part.className = kind;
    const line = document.createElement("p");
    const clock = document.createElement("strong");
    clock.className = "countdown";
    line.append(words, clock, ".");
    const press = document.createElement("button");
    press.type = "button";
    press.className = name;
    press.textContent = button;
    part.append(line, press);
    made.append(part);
  }
  document.body.append(made);
  return made;
}

function token() {
  const meta = document.querySelector('meta[name="csrf"]');
  return meta?.content ?? document.querySelector('input[name="csrfmiddlewaretoken"]')?.value ?? "";
}

const rest = () => Math.min(idleEnd, absoluteEnd) - Date.now();

function why() {
  if (said === "absolute" || said === "idle") return said;
  if (absoluteEnd <= Date.now()) return "absolute";
  if (idleEnd <= Date.now()) return "idle";
  return signedOut ? "signed_out" : "ended";
}

/** What this browser keeps of us besides cookies. The server's Clear-Site-Data does the same where https allows it. */
async function clear() {
  try {
    localStorage.clear();
    sessionStorage.clear();
    if ("caches" in window) await Promise.all((await caches.keys()).map((name) => caches.delete(name)));
    const workers = (await navigator.serviceWorker?.getRegistrations()) ?? [];
    await Promise.all(workers.map((worker) => worker.unregister()));
  } catch {
    // Refused storage holds nothing.
  }
}

async function leave(reason) {
  if (over || Date.now() - leaving < ANSWERED) return;
  over = true;
  const query = new URLSearchParams({ ended: reason });
  if (reason !== "signed_out") query.set("next", location.pathname + location.search);
  dialog?.close();
  document.body.replaceChildren();
  document.title = "Signed out · metaads";
  channel?.postMessage({ kind: "look", said });
  await Promise.race([clear(), new Promise((done) => setTimeout(done, 500))]);
  location.replace(`${SIGN_IN}?${query}`);
}

function take(answer, { spread = true } = {}) {
  if (!person) person = answer.person;
  if (answer.person !== person) {
    // Somebody else has signed in in this browser: what stands here is not theirs to see.
    over = true;
    document.body.replaceChildren();
    location.replace("/");
    return;
  }
  ({ idleEnd, absoluteEnd } = answer);
  document.documentElement.dataset.session = "known";
  if (rest() > warn) quiet();
  if (spread) channel?.postMessage({ kind: "lasts", ...answer });
}

/** Ask the server, or tell it that the person is there (POST). Whether it answered. */
async function ask(method = "GET") {
  const headers = { Accept: "application/json" };
  if (method === "GET") headers["X-Poll"] = "1";
  else headers["X-CSRFToken"] = token();
  let answer;
  try {
    answer = await fetch("/api/session", { method, headers, credentials: "same-origin", cache: "no-store" });
  } catch {
    return false;
  }
  if (answer.status === 401) {
    said ||= answer.headers.get("X-Session-Ended") ?? "";
    leave(why());
    return true;
  }
  if (answer.status === 403 && method === "POST") {
    location.reload(); // signed in anew in another tab: this page's form tokens are of the session before
    return true;
  }
  if (!answer.ok) return false;
  const body = await answer.json();
  const end = (seconds) => (seconds === null ? Infinity : Date.now() + seconds * 1000);
  warn = body.warn_seconds * 1000;
  take({ person: body.person, idleEnd: end(body.idle_seconds), absoluteEnd: end(body.absolute_seconds) });
  return true;
}

function quiet() {
  if (!dialog?.open) return;
  dialog.close();
  document.title = title;
}

function warnNow() {
  const last = absoluteEnd <= idleEnd;
  dialog.querySelector(".when-idle").hidden = last;
  dialog.querySelector(".when-absolute").hidden = !last;
  if (!dialog.open) {
    title = document.title;
    dialog.showModal();
    dialog.querySelector(last ? ".when-absolute button" : ".stay").focus();
  }
  const seconds = Math.max(0, Math.ceil(rest() / 1000));
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  for (const one of dialog.querySelectorAll(".countdown")) one.textContent = clock;
  document.title = `Signed out in ${clock} · metaads`;
}

let dismissed = 0; // the absolute end that the person has taken note of

async function tick() {
  if (over || busy || rest() > warn) {
    if (!over && !busy) quiet();
    return;
  }
  if (dialog?.open && rest() > 0) {
    warnNow();
    return;
  }
  if (absoluteEnd <= idleEnd && Math.abs(dismissed - absoluteEnd) < 5000 && rest() > 0) return;
  busy = true;
  const answered = await ask();
  busy = false;
  if (over) return;
  if (rest() > warn) return;
  if (rest() > 0) warnNow();
  else if (!answered) leave(why()); // the server is away, and its clock has run out
}

/** Keys, clicks, the wheel: a person reads or types here, although no page is asked for. */
function active() {
  if (over || busy || dialog?.open || Date.now() - told < TELL) return;
  told = Date.now();
  ask("POST");
}

async function stay() {
  told = Date.now();
  await ask("POST");
}

function begin() {
  for (const kind of ["pointerdown", "keydown", "wheel", "touchstart"]) {
    document.addEventListener(kind, active, { passive: true, capture: true });
  }
  dialog?.querySelector(".stay").addEventListener("click", stay);
  dialog?.querySelector(".noted").addEventListener("click", () => {
    dismissed = absoluteEnd;
    quiet();
  });
  dialog?.addEventListener("cancel", (event) => {
    event.preventDefault(); // Escape is an answer, too
    if (absoluteEnd > idleEnd) stay();
    else dialog.querySelector(".noted").click();
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches?.("form[data-sign-out]")) return;
    leaving = Date.now();
    channel?.postMessage({ kind: "signing out" });
  });
  // Another script was answered 401, or its socket was closed.
  document.addEventListener("metaads:signed-out", ({ detail }) => {
    said ||= detail ?? "";
    ask();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) tick();
  });
  // A page that comes back out of the browser's memory shows nothing until the server knows its session.
  addEventListener("pageshow", async (event) => {
    if (!event.persisted) return;
    leaving = 0;
    document.documentElement.classList.add("withheld");
    const answered = await ask();
    if (!answered) leave("ended");
    else if (!over) document.documentElement.classList.remove("withheld");
  });
  channel?.addEventListener("message", ({ data }) => {
    if (data.kind === "signing out") signedOut = true;
    else if (data.kind === "look" && !over) {
      said ||= data.said ?? "";
      ask();
    }
    else if (data.kind === "lasts" && !over) take(data, { spread: false });
  });
  setInterval(tick, 1000);
  ask();
}

if (person || admin) {
  begin();
} else {
  channel?.postMessage({ kind: "look" }); // nobody is signed in here: do the others know?
  clear();
}
