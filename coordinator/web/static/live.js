// An open page asks "has something changed?" (ETag, 304) and swaps its live parts when it has. Hidden tabs do not ask.
const main = document.querySelector("[data-live]");

export function follow() {
  if (!main) return;
  const url = main.dataset.live;
  const every = Number(main.dataset.every || 2) * 1000;
  let tag = main.dataset.tag || "";
  let misses = 0;
  let timer = 0;

  const again = () => {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(look, Math.min(every * 2 ** misses, 30000) + Math.random() * 250);
  };

  async function look() {
    try {
      const answer = await fetch(url, { headers: { "If-None-Match": `"${tag}"`, "X-Live": "1" }, cache: "no-store", redirect: "manual" });
      if (answer.status === 401 || answer.status === 404 || answer.type === "opaqueredirect") return stop();
      misses = answer.ok || answer.status === 304 ? 0 : Math.min(misses + 1, 4);
      const newer = (answer.headers.get("ETag") || "").replace(/^W\//, "").replaceAll('"', "");
      if (answer.ok && newer && newer !== tag) {
        const made = await swap();
        if (made !== null) tag = made || newer;
      }
    } catch {
      misses = Math.min(misses + 1, 4);
    }
    say(misses > 1);
    again();
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); else clearTimeout(timer); });
  again();
}

// Gives the version of what was fetched, where the page says it: another process may have made it a moment before the
// change, and then it is asked for again. null when it failed.
async function swap() {
  const answer = await fetch(location.href, { headers: { "X-Live": "1" }, cache: "no-store", redirect: "manual" });
  if (!answer.ok) return null;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  let changed = false;
  for (const part of document.querySelectorAll("[data-part]")) {
    const next = fresh.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    if (!next || next.innerHTML === part.innerHTML || busy(part)) continue;
    for (const fold of part.querySelectorAll("details[open][id]")) next.querySelector(`#${CSS.escape(fold.id)}`)?.setAttribute("open", "");
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolls = [...part.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    part.innerHTML = next.innerHTML;
    [...part.querySelectorAll(".scroll")].forEach((box, place) => { box.scrollLeft = scrolls[place] || 0; });
    if (focused) document.getElementById(focused)?.focus();
    part.classList.remove("fresh");
    void part.offsetWidth;
    part.classList.add("fresh");
    changed = true;
  }
  if (changed) announce(main.dataset.said || "The page was updated.");
  return fresh.querySelector("[data-live]")?.dataset.tag || "";
}

// Nothing is taken away from under somebody who is writing.
function busy(part) {
  const at = document.activeElement;
  return part.contains(at) && /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
}

function announce(text) {
  const place = document.getElementById("announce");
  if (place) place.textContent = text;
}

function say(lost) {
  const place = document.getElementById("connection");
  if (place) place.hidden = !lost;
}

function stop() {
  const place = document.getElementById("signed-out");
  if (place) place.hidden = false;
  for (const part of document.querySelectorAll("[data-part]")) part.replaceChildren();
}
