// Fetches the page again every few seconds while somebody looks at it, and puts its new content in place.
"use strict";
const EVERY = 5000;

async function refresh() {
  const busy = document.hidden || !getSelection().isCollapsed || document.querySelector("details[open]");
  if (!busy) {
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (answer.redirected) return location.reload();
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of ["page", "as-of"]) {
        const [old, now] = [document.getElementById(id), fresh.getElementById(id)];
        if (old && now) old.replaceWith(document.adoptNode(now));
      }
    } catch {
      // The server is away for a moment; the time in the footer tells how old the page is.
    }
  }
  setTimeout(refresh, EVERY);
}

setTimeout(refresh, EVERY);
