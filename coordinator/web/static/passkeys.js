// Passkeys (W3C WebAuthn). A form appears only where the browser knows them and the page is at the address they belong to.
const WORDS = {
  NotAllowedError: "Nothing was confirmed: the question was closed, took too long, or no passkey for this site was found. Try again.",
  InvalidStateError: "This device holds a passkey for your account already. Use it, or choose another device.",
  NotSupportedError: "This device cannot make a passkey that checks your finger, face or PIN. Choose another device.",
  ConstraintError: "This device cannot check your finger, face or PIN. Choose another device.",
  SecurityError: "The browser allows no passkeys at this address. Tell your operator.",
};
const OLD = "This page was open for too long, or you are no longer signed in. Load it again.";
const AWAY = "The server did not answer. Check your connection and try again.";

for (const form of document.querySelectorAll("form[data-passkey]")) offer(form);

function offer(form) {
  if (!window.PublicKeyCredential || !navigator.credentials || location.origin !== form.dataset.origin) return;
  form.hidden = false;
  for (const instead of document.querySelectorAll("[data-no-passkey]")) instead.hidden = true;
  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    const button = form.querySelector("button");
    button.setAttribute("aria-disabled", "true");
    announce("Waiting for your passkey.");
    const problem = await use(form);
    busy = false;
    button.removeAttribute("aria-disabled");
    announce("");
    if (problem) complain(form, problem);
  });
}

// Gives nothing when the page is being left, else {error, field}.
async function use(form) {
  const name = form.elements.name?.value.trim();
  if (name === "") return { error: "Give the passkey a name first.", field: "name" };
  const question = await send(form, form.dataset.options, {});
  if (question.error) return question;
  if (question.go) return void location.assign(question.go);
  let credential;
  try {
    credential = form.dataset.passkey === "add" ? await make(question) : await prove(question);
  } catch (error) {
    return { error: WORDS[error.name] || "The browser could not use a passkey. Try again, or use another way to sign in." };
  }
  const then = form.dataset.then || "";
  const answer = await send(form, `${form.dataset.answer}?then=${encodeURIComponent(then)}`, { name, credential });
  if (answer.error) return answer;
  location.assign(answer.go);
}

async function send(form, url, data) {
  try {
    const answer = await fetch(url, { method: "POST", redirect: "manual", cache: "no-store", body: JSON.stringify(data),
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": form.dataset.csrf } });
    if (!(answer.headers.get("Content-Type") || "").startsWith("application/json")) return { error: answer.status >= 500 ? AWAY : OLD };
    return await answer.json();
  } catch {
    return { error: AWAY };
  }
}

async function make(question) {
  const made = await navigator.credentials.create({ publicKey: { ...question, challenge: bytes(question.challenge),
    user: { ...question.user, id: bytes(question.user.id) }, excludeCredentials: known(question.excludeCredentials) } });
  return plain(made, ["clientDataJSON", "attestationObject"]);
}

async function prove(question) {
  const proof = await navigator.credentials.get({ publicKey: { ...question, challenge: bytes(question.challenge),
    allowCredentials: known(question.allowCredentials) } });
  return plain(proof, ["clientDataJSON", "authenticatorData", "signature", "userHandle"]);
}

function known(list) {
  return (list || []).map((one) => ({ ...one, id: bytes(one.id) }));
}

function plain(credential, parts) {
  const response = {};
  for (const part of parts) if (credential.response[part]) response[part] = text(credential.response[part]);
  return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response };
}

function bytes(base64url) {
  return Uint8Array.from(atob(base64url.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}

function text(buffer) {
  const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function announce(words) {
  const place = document.getElementById("announce");
  if (place) place.textContent = words;
}

// The same summary as the server's: it takes the focus, and leads to the field that is wrong.
function complain(form, { error, field }) {
  document.getElementById("summary")?.remove();
  const box = document.createElement("div");
  Object.assign(box, { className: "summary", id: "summary", tabIndex: -1 });
  box.setAttribute("role", "alert");
  box.setAttribute("aria-labelledby", "summary-title");
  const title = document.createElement("h2");
  Object.assign(title, { id: "summary-title", textContent: "There is a problem" });
  const list = document.createElement("ul");
  const line = document.createElement("li");
  const control = field && form.elements[field];
  if (control) {
    const link = document.createElement("a");
    Object.assign(link, { href: `#${field}`, textContent: error });
    control.setAttribute("aria-invalid", "true");
    line.append(link);
  } else line.textContent = error;
  list.append(line);
  box.append(title, list);
  document.querySelector("main > .wide").prepend(box);
  box.focus();
}
