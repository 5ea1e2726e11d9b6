// Keeps the page up to date: each event is a part of the page as the server made it, and replaces that part.
"use strict";

const live = document.getElementById("live");

function show(part, html) {
  const place = document.getElementById(part);
  // Scripts in a document that is parsed like this do not run, and the policy forbids them anyway.
  const parsed = new DOMParser().parseFromString(html, "text/html");
  place.replaceChildren(...parsed.body.childNodes);
}

const events = new EventSource("events");

for (const part of ["graph", "status"]) {
  events.addEventListener(part, (event) => show(part, event.data));
}

events.addEventListener("open", () => {
  live.textContent = "live";
  live.className = "";
});

events.addEventListener("error", () => {
  live.textContent = "the server does not answer; what is shown is old";
  live.className = "lost";
});
