// The ad-account switcher: opens with its search field focused, arrow keys walk the list, and a client with many ad
// accounts gets the rest of them when the menu is opened first. The items are links: without this file it still works.

const menu = document.getElementById("account-switcher");

function items() {
  return [...menu.querySelectorAll("a.item")].filter((one) => !one.hidden);
}

function filter() {
  const field = menu.querySelector("input");
  if (!field) return;
  const words = field.value.trim().toLowerCase().split(/\s+/);
  let left = 0;
  for (const one of menu.querySelectorAll(".items a.item")) {
    const text = one.dataset.words.toLowerCase();
    one.hidden = !words.every((word) => text.includes(word));
    if (!one.hidden) left += 1;
  }
  menu.querySelector(".none-found").hidden = left > 0;
}

/** The list starts where the person is. */
function show() {
  const current = menu.querySelector(".items [aria-current]");
  if (current) current.parentElement.scrollTop = current.offsetTop - current.parentElement.offsetTop - current.parentElement.clientHeight / 2;
}

/** Once: everything that the page left out. A failure leaves the short list and its link to the whole one. */
async function more() {
  if (!menu.dataset.more) return show();
  delete menu.dataset.more;
  const address = new URL(location.href);
  address.searchParams.set("part", "switcher");
  try {
    const answer = await fetch(address, { headers: { "X-Poll": "1" }, credentials: "same-origin", redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    menu.querySelector(".items").innerHTML = await answer.text();
    filter();
    show();
  } catch {
    menu.dataset.more = "1";
  }
}

function move(event) {
  const all = items();
  const field = menu.querySelector("input");
  const at = all.indexOf(document.activeElement);
  if (event.key === "ArrowDown") all[Math.min(at + 1, all.length - 1)]?.focus();
  else if (event.key === "ArrowUp") (at > 0 ? all[at - 1] : (field ?? all[0]))?.focus();
  else if (event.key === "Home" && at >= 0) all[0]?.focus();
  else if (event.key === "End" && at >= 0) all.at(-1)?.focus();
  else if (event.key === "Enter" && document.activeElement === field) [...menu.querySelectorAll(".items a.item")].find((one) => !one.hidden)?.click();
  else return;
  event.preventDefault();
}

if (menu) {
  menu.addEventListener("toggle", () => {
    if (!menu.open) return;
    more();
    // On a phone the keyboard would cover the list.
    const field = matchMedia("(pointer: fine)").matches ? menu.querySelector("input") : null;
    (field ?? menu.querySelector("[aria-current]") ?? items()[0])?.focus();
  });
  menu.addEventListener("keydown", move);
  menu.addEventListener("input", filter);
}
