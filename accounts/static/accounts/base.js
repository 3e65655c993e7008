// On every page: the theme switch, ages that stay true ("checked 12 s ago"), menus that close, and `send()`.

const THEMES = ["system", "light", "dark"];

function remembered() {
  return /(?:^|; )theme=(light|dark)/.exec(document.cookie)?.[1] ?? "system";
}

function applyTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const days = theme === "system" ? 0 : 365;
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${theme}; path=/; max-age=${days * 86400}; samesite=lax${secure}`;
  for (const input of document.querySelectorAll('input[name="theme"]')) input.checked = input.value === theme;
}

function themeSwitch() {
  const current = THEMES.includes(remembered()) ? remembered() : "system";
  for (const input of document.querySelectorAll('input[name="theme"]')) {
    input.checked = input.value === current;
    input.addEventListener("change", () => applyTheme(input.value));
  }
}

/** "12 s ago" for a moment in the past, "in 3 h" for one to come. */
export function age(then, now = Date.now()) {
  const seconds = Math.round((now - then) / 1000);
  const past = seconds >= 0;
  const n = Math.abs(seconds);
  let text;
  if (n < 5) return past ? "just now" : "in a moment";
  if (n < 90) text = `${n} s`;
  else if (n < 90 * 60) text = `${Math.round(n / 60)} min`;
  else if (n < 36 * 3600) text = `${Math.round(n / 3600)} h`;
  else text = `${Math.round(n / 86400)} days`;
  return past ? `${text} ago` : `in ${text}`;
}

// The server's clock, not the visitor's, is the one that the ages count from.
const skew = (() => {
  const meta = document.querySelector('meta[name="server-now"]');
  return meta ? Date.parse(meta.content) - Date.now() : 0;
})();

/** Rewrite every <time data-age> below `root`; past `data-stale-after` seconds it says so by class. */
export function tellAges(root = document) {
  const now = Date.now() + skew;
  for (const element of root.querySelectorAll("time[data-age]")) {
    const then = Date.parse(element.dateTime);
    if (Number.isNaN(then)) continue;
    const text = age(then, now);
    if (element.textContent !== text) element.textContent = text;
    const limit = Number(element.dataset.staleAfter ?? 0);
    element.classList.toggle("is-old", limit > 0 && now - then > limit * 1000);
  }
}

/**
 * Send JSON to the API with the session and the CSRF token.
 * Resolves to {ok, status, body, location}; a refusal's body is problem details, and a lost answer is told apart
 * (`lost`), because a write whose answer was lost may have happened.
 */
export async function send(url, { method = "POST", body = {}, key = crypto.randomUUID?.() } = {}) {
  const headers = {
    "Content-Type": "application/json",
    Accept: "application/json",
    "X-CSRFToken": document.querySelector('meta[name="csrf"]')?.content ?? "",
  };
  if (key) headers["Idempotency-Key"] = key;
  let response;
  try {
    response = await fetch(url, { method, headers, credentials: "same-origin", body: JSON.stringify(body) });
  } catch {
    return {
      ok: false,
      lost: true,
      status: 0,
      body: { detail: "The answer did not arrive, so it is not known whether this was taken.", advice: "Open the ledger and look before you try again." },
      location: "",
    };
  }
  const text = await response.text();
  let parsed = {};
  try {
    parsed = text ? JSON.parse(text) : {};
  } catch {
    parsed = { detail: `The server answered ${response.status} without a reason.`, advice: "Reload the page and look before you try again." };
  }
  return { ok: response.ok, lost: false, status: response.status, body: parsed, location: response.headers.get("Location") ?? "" };
}

/** One sentence of a refusal: what happened and what to do next. */
export function refusal(answer) {
  const { detail, title, advice, errors } = answer.body ?? {};
  const fields = (errors ?? []).map((error) => error.detail ?? error.message ?? "").filter(Boolean);
  const said = detail || title || `The server refused this (${answer.status}).`;
  return [...new Set([said, ...fields, advice || (answer.status === 403 ? "Reload the page; if it stays, sign in again." : "")])]
    .filter(Boolean)
    .join(" ");
}

function closeMenus(event) {
  for (const open of document.querySelectorAll("details.menu[open]")) {
    if (event.type === "keydown") {
      if (event.key !== "Escape") return;
      open.open = false;
      open.querySelector("summary")?.focus();
    } else if (!open.contains(event.target)) {
      open.open = false;
    }
  }
}

// Facebook leaves its mark behind the address; it would travel on through every redirect.
if (location.hash === "#_=_") history.replaceState(history.state, "", location.pathname + location.search);
themeSwitch();
tellAges();
setInterval(tellAges, 5000);
document.addEventListener("click", closeMenus);
document.addEventListener("keydown", closeMenus);
