// Loaded first on the doctor's page: keeps what goes wrong with scripts and styles until doctor.js asks for it.

window.metaadsHeard = [];

function metaadsKeep(text) {
  if (window.metaadsHeard.length < 20) window.metaadsHeard.push(text);
}

// Only file names: an address may hold more than should be shown.
function metaadsName(address) {
  return String(address || "").split(/[?#]/)[0].split("/").pop() || "this page";
}

addEventListener("error", (event) => {
  const element = event.target;
  if (element && element !== window && (element.src || element.href)) metaadsKeep(`${metaadsName(element.src || element.href)} was not loaded`);
  else metaadsKeep(`${metaadsName(event.filename)}: ${event.message}`);
}, true);
addEventListener("unhandledrejection", (event) => metaadsKeep(String((event.reason && event.reason.message) || "a promise failed")));
document.addEventListener("securitypolicyviolation", (event) => metaadsKeep(`blocked by the page's policy: ${event.effectiveDirective} ${metaadsName(event.blockedURI)}`));
