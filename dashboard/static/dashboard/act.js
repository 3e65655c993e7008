// Every write of a page: <form class="act" data-api="..."> becomes one request to the API, and its answer is told.
// Nothing is shown as done before the server says so: "requested" here, "applied" only when it was read back at Meta.

import { refusal, send } from "../accounts/base.js";

/** The form's fields as JSON: "rules.minCtr" nests, data-number and data-boolean are typed; empty ones are left out, or are
 * null with data-empty="null". */
function body(form) {
  const data = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled) continue;
    let value = field.value;
    if (field.dataset.boolean !== undefined) value = field.checked;
    else if (value.trim() === "") {
      if (field.dataset.empty === "null") data[field.name] = null;
      continue;
    }
    const [head, tail] = field.name.split(".");
    // A number keeps its digits: JSON.rawJSON where there is one, else the shortest double, which is exact here.
    if (field.dataset.number !== undefined) value = JSON.rawJSON ? JSON.rawJSON(plain(value)) : Number(value);
    if (tail) (data[head] ??= {})[tail] = value;
    else data[head] = value;
  }
  if (form.classList.contains("new-strategy")) data.rules ??= {};
  return data;
}

/** "007.50" is no JSON number; "7.50" is. */
function plain(text) {
  return text.trim().replace(/^0+(?=\d)/, "");
}

function tell(form, tone, words) {
  const place = form.querySelector(".act-answer");
  if (!place) return;
  place.className = `act-answer ${tone}`;
  place.textContent = words;
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form.act");
  if (!form) return;
  event.preventDefault();
  const button = form.querySelector('button[type="submit"]');
  if (button.getAttribute("aria-busy") === "true") return;
  if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) return;
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  tell(form, "", "Asking…");
  const answer = await send(form.dataset.api, { method: form.dataset.method ?? "POST", body: body(form) });
  button.removeAttribute("aria-busy");
  button.disabled = false;
  if (answer.ok) {
    tell(form, "good", form.dataset.done ?? "Done.");
    form.querySelectorAll('input:not([type="hidden"], [type="checkbox"])').forEach((one) => { one.value = ""; });
    button.blur();
    if (form.dataset.reload || form.closest(".stop")) setTimeout(() => location.reload(), 600);
    else document.dispatchEvent(new CustomEvent("metaads:acted"));
  } else {
    if (answer.status === 401) document.dispatchEvent(new CustomEvent("metaads:signed-out"));
    tell(form, "poor", refusal(answer));
    if (answer.lost || answer.status === 409) document.dispatchEvent(new CustomEvent("metaads:acted"));
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    button.textContent = "Selected: copy it";
  }
});
