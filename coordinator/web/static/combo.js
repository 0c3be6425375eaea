// Names for codes in a text field that takes several: suggestions as one types after the last comma.
// Keyboard: arrows, Enter, Escape (WAI-ARIA combobox with a list).
let number = 0;

export function combine(field) {
  const source = document.getElementById(field.dataset.names);
  if (!source) return;
  const names = [...source.options].map((option) => ({ code: option.value, name: option.textContent, plain: fold(option.textContent) }));
  const box = document.createElement("div");
  box.className = "combo";
  field.before(box);
  box.append(field);
  const list = document.createElement("ul");
  list.id = `names-${++number}`;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", field.labels[0]?.textContent || "");
  list.hidden = true;
  box.append(list);
  Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id }).forEach(([key, value]) => field.setAttribute(key, value));
  let at = -1;

  const typed = () => field.value.slice(field.value.lastIndexOf(",") + 1).trim();
  const close = () => { list.hidden = true; at = -1; field.setAttribute("aria-expanded", "false"); field.removeAttribute("aria-activedescendant"); };

  function open() {
    const wanted = fold(typed());
    if (wanted.length < 2) return close();
    const found = names.filter((one) => one.plain.startsWith(wanted) || one.plain.includes(` ${wanted}`) || one.code.toLowerCase() === wanted).slice(0, 8);
    if (!found.length) return close();
    list.replaceChildren(...found.map((one, place) => {
      const item = document.createElement("li");
      item.id = `${list.id}-${place}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      item.dataset.name = field.dataset.codes ? one.code : one.name;
      item.textContent = `${one.name} (${one.code})`;
      item.addEventListener("mousedown", (event) => { event.preventDefault(); take(item); });
      return item;
    }));
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
    at = -1;
  }

  function move(step) {
    const items = [...list.children];
    items[at]?.setAttribute("aria-selected", "false");
    at = (at + step + items.length) % items.length;
    items[at].setAttribute("aria-selected", "true");
    items[at].scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", items[at].id);
  }

  function take(item) {
    const cut = field.value.lastIndexOf(",") + 1;
    field.value = `${field.value.slice(0, cut)}${cut ? " " : ""}${item.dataset.name.replaceAll(",", "")}, `;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    close();
  }

  field.addEventListener("input", open);
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); move(event.key === "ArrowDown" ? 1 : -1); }
    else if (event.key === "Enter" && at >= 0) { event.preventDefault(); take(list.children[at]); }
    else if (event.key === "Escape") { event.preventDefault(); close(); }
  });
}

function fold(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}
