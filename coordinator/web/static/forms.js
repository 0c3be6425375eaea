// Help for long forms: "Now" buttons, characters left, drafts kept on the server, names instead of codes.
import { combine } from "./combo.js";

export function helpForms(root) {
  for (const button of root.querySelectorAll("button[data-now]")) nowButton(button);
  for (const field of root.querySelectorAll("[data-most]")) countLeft(field);
  for (const form of root.querySelectorAll("form[data-draft]")) keepDraft(form);
  for (const field of root.querySelectorAll("input[data-names]")) combine(field);
  for (const form of root.querySelectorAll("form[data-once]")) once(form);
  for (const form of root.querySelectorAll("form[data-filters]")) filters(form);
}

function nowButton(button) {
  button.hidden = false;
  const name = button.dataset.now;
  button.addEventListener("click", () => {
    const zone = document.querySelector("[name=zone]")?.value || "UTC";
    let parts;
    try {
      parts = Object.fromEntries(new Intl.DateTimeFormat("en-GB", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit",
        hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).formatToParts(new Date()).map((part) => [part.type, part.value]));
    } catch { return; }
    document.getElementById(`${name}_date`).value = `${parts.year}-${parts.month}-${parts.day}`;
    document.getElementById(`${name}_time`).value = `${parts.hour}:${parts.minute}`;
  });
}

function countLeft(field) {
  const most = Number(field.dataset.most);
  const line = document.createElement("p");
  line.className = "count-left";
  field.after(line);
  let spoken = 0;
  const update = () => {
    const left = most - [...field.value].length;
    line.hidden = most > 500 && left > most / 5;
    line.textContent = left >= 0 ? `${left} characters left` : `${-left} characters too many`;
    line.classList.toggle("over", left < 0);
    clearTimeout(spoken);
    spoken = setTimeout(() => line.setAttribute("role", left < 20 ? "status" : "note"), 1000);
  };
  field.addEventListener("input", update);
  update();
}

function keepDraft(form) {
  const said = form.querySelector("[data-saved]");
  let timer = 0;
  let sending = false;
  let dirty = false;
  form.addEventListener("input", () => { dirty = true; clearTimeout(timer); timer = setTimeout(save, 3000); });
  form.addEventListener("submit", () => { clearTimeout(timer); dirty = false; sending = true; });
  document.addEventListener("visibilitychange", () => { if (document.hidden && dirty) save(); });

  async function save() {
    if (sending || !dirty) return;
    dirty = false;
    const body = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (typeof value === "string") body.append(name, value);
    try {
      const answer = await fetch(form.dataset.draft, { method: "POST", body, headers: { Accept: "application/json" }, redirect: "manual", keepalive: true });
      if (!answer.ok) throw new Error();
      const { draft } = await answer.json();
      form.elements.draft.value = draft;
      document.dispatchEvent(new Event("coordinator:saved"));
      if (said) said.textContent = `Draft kept at ${new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}.`;
    } catch {
      dirty = true;
      if (said) said.textContent = "The draft could not be kept: sign in again in another tab, then go on here.";
    }
  }
}

// A second click does nothing. (The server does not mind either.)
function once(form) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => { delete form.dataset.sent; }, 8000);
  });
}

function filters(form) {
  form.addEventListener("change", (event) => { if (event.target.matches("select, input[type=checkbox]")) form.requestSubmit(); });
}
