// "in 3 hours" stays true while the page is open. Words come from the browser in the page's language.
const STEPS = [[63072000, 31536000, "year"], [7776000, 2592000, "month"], [172800, 86400, "day"], [7200, 3600, "hour"], [60, 60, "minute"]];
const lang = document.documentElement.lang || "en";

function spell(seconds) {
  const minutes = Math.floor((seconds % 3600) / 60);
  if (seconds >= 7200 && seconds < 36000 && minutes) return `${Math.floor(seconds / 3600)} h ${minutes} min`;
  for (const [least, size, unit] of STEPS) {
    if (seconds >= least) {
      const number = Math.floor(seconds / size);
      if (unit === "minute" && lang.startsWith("en")) return `${number} min`;
      return new Intl.NumberFormat(lang, { style: "unit", unit, unitDisplay: "long" }).format(number);
    }
  }
  return "1 min";
}

function away(at, due) {
  const seconds = (at - Date.now()) / 1000;
  if (Math.abs(seconds) < 60) return "now";
  const span = spell(Math.abs(seconds));
  if (seconds > 0) return `in ${span}`;
  return due ? `${span} late` : `${span} ago`;
}

function refresh(root) {
  if (!lang.startsWith("en")) return;
  for (const element of root.querySelectorAll("time[datetime] [data-away]")) {
    const time = element.closest("time");
    const due = time.hasAttribute("data-due");
    const at = Date.parse(time.dateTime);
    const words = away(at, due);
    const text = element.textContent.startsWith("(") ? `(${words})` : words;
    if (element.textContent !== text) element.textContent = text;
    if (due) {
      time.classList.toggle("late", at <= Date.now());
      time.classList.toggle("soon", at > Date.now() && at - Date.now() < 7200000);
    }
  }
}

export function keepTimes(root) {
  setInterval(() => refresh(root), 20000);
}
