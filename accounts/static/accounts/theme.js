// Runs before the first paint, so that a remembered theme does not flash. Everything else waits for base.js.
(() => {
  // In a cookie: signing out clears every other store of this browser, and the colours are no secret.
  const theme = /(?:^|; )theme=(light|dark)/.exec(document.cookie)?.[1];
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  document.documentElement.classList.add("js");
})();
