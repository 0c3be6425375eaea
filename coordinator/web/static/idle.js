// Says two minutes ahead that the session will end, and lets people stay (WCAG 2.2, 2.2.1).
export function watchIdle() {
  const seconds = Number(document.body.dataset.idle || 0);
  if (!seconds) return;
  let since = Date.now();
  let box = null;
  setInterval(() => {
    const left = seconds - (Date.now() - since) / 1000;
    if (left < 120 && left > 0 && !box) box = ask();
    if (left <= 0 && box) box.querySelector("p").textContent = "You have been signed out because nothing was done for 15 minutes. Drafts are kept.";
  }, 5000);

  document.addEventListener("coordinator:saved", () => { since = Date.now(); close(); });

  function close() { box?.remove(); box = null; }

  function ask() {
    const place = document.createElement("div");
    place.className = "idle";
    place.setAttribute("role", "alertdialog");
    place.setAttribute("aria-label", "Session");
    const text = document.createElement("p");
    text.textContent = "You will be signed out in two minutes.";
    const stay = document.createElement("button");
    stay.type = "button";
    stay.className = "button";
    stay.textContent = "Stay signed in";
    stay.addEventListener("click", async () => {
      const answer = await fetch("/account/here", { cache: "no-store", redirect: "manual" }).catch(() => null);
      if (answer && answer.ok) { since = Date.now(); close(); }
    });
    place.append(text, stay);
    document.body.append(place);
    return place;
  }
}
