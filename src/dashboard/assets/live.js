// Keeps an open page current, shows times in the viewer's zone, and listens to a few keys.
"use strict";

const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (isNaN(at)) continue;
    time.title = `${zone.format(at)} here · ${time.dateTime}`;
    if (time.dataset.show === "clock") time.textContent = clock.format(at);
    if (time.dataset.show === "full") time.textContent = zone.format(at);
  }
}

// Makes the old tree equal to the new one and touches nothing that is equal already: no flicker, and focus,
// scroll position and what is unfolded stay.
function morph(old, now) {
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName) return old.replaceWith(now.cloneNode(true));
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== now.nodeValue) old.nodeValue = now.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) if (!now.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of now.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.matches("input, textarea, select")) return;
  const [olds, nows] = [[...old.childNodes], [...now.childNodes]];
  nows.forEach((child, index) => (olds[index] ? morph(olds[index], child) : old.append(child.cloneNode(true))));
  olds.slice(nows.length).forEach((child) => child.remove());
}

let fetching = false;
async function refresh() {
  const selecting = !getSelection().isCollapsed;
  if (document.hidden || fetching || selecting) return void (stale = true);
  fetching = true;
  stale = false;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.redirected) return location.reload();
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    localTimes(fresh);
    for (const id of ["page", "as-of"]) {
      const [old, now] = [document.getElementById(id), fresh.getElementById(id)];
      if (old && now) morph(old, now);
    }
  } catch {
    stale = true; // The server is away for a moment; the footer tells how old the page is.
  } finally {
    fetching = false;
  }
}
let stale = false;

document.querySelector(".top [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
localTimes(document);
if (document.body.dataset.live !== undefined) {
  let changes = null;
  const listen = () => {
    if (changes || document.hidden) return;
    changes = new EventSource("/dashboard/live");
    // At "ready" too: something may have happened between the making of this page and the first look.
    for (const word of ["ready", "changed"]) changes.addEventListener(word, refresh);
  };
  // A browser opens few connections to one server: a page that nobody sees must not hold one.
  const stop = () => {
    changes?.close();
    changes = null;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : listen()));
  addEventListener("pagehide", stop);
  addEventListener("pageshow", listen);
  listen();
  // Words like "5 s ago" grow old without a change.
  setInterval(refresh, 30000);
  setInterval(() => stale && refresh(), 2000);
}

const places = { o: "", e: "/events", r: "/orders", j: "/jobs?state=dead", p: "/replays", q: "/queues", d: "/destinations", h: "/shops", y: "/shopee", c: "/reconciliations", s: "/schedules", t: "/settings", f: "/rejections", a: "/actions" };
document.addEventListener("keydown", (key) => {
  if (key.ctrlKey || key.metaKey || key.altKey || key.target.matches("input, textarea, select")) return;
  if (key.key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search) {
      key.preventDefault();
      search.focus();
    }
  } else if (key.key in places) location.href = "/dashboard" + places[key.key];
});
