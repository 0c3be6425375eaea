// Everything here only adds to pages that work without it.
import { keepTimes } from "./times.js";
import { follow } from "./live.js";
import { watchIdle } from "./idle.js";
import { helpForms } from "./forms.js";

keepTimes(document);
helpForms(document);
follow();
watchIdle();

// A menu closes when one leaves it, or presses Escape.
for (const menu of document.querySelectorAll("details.menu")) {
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) { menu.open = false; menu.querySelector("summary").focus(); }
  });
}
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

document.getElementById("summary")?.focus();
