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

for (const part of ["graph", "recent", "status"]) {
  events.addEventListener(part, (event) => show(part, event.data));
}

// What has happened to a resource is shown in place; without a script the same link shows a page with it.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a.history");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) {
    return;
  }
  event.preventDefault();
  try {
    const answer = await fetch(`${link.href}&part`);
    show("history", await answer.text());
  } catch {
    document.getElementById("history").textContent = "the server does not answer";
  }
  document.getElementById("history").focus();
});

events.addEventListener("open", () => {
  live.textContent = "live";
  live.className = "";
});

events.addEventListener("error", () => {
  live.textContent = "the server does not answer; what is shown is old";
  live.className = "lost";
});
