// The operations site loads plain scripts only; the end of a session is a module.
addEventListener("DOMContentLoaded", () => import("./session.js"));
