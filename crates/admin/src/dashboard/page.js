// What the sections have in common. Text comes in as text, never as markup: names are chosen by strangers.

export const byId = id => document.getElementById(id);

/** An element with attributes and children; strings become text. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A cell; `how` is a class. */
export const cell = (content, how = "") => element("td", how ? {class: how} : {}, content);

/** Puts a head and rows into a table. A column's name that begins with # is one of numbers. */
export function fill(table, head, rows, empty) {
  const names = head.map(name => element("th", name.startsWith("#") ? {class: "number", scope: "col"} : {scope: "col"}, name.replace("#", "")));
  const body = rows.length ? rows.map(cells => element("tr", {}, ...cells))
    : [element("tr", {}, element("td", {colspan: String(head.length), class: "hint"}, empty))];
  const focused = table.contains(document.activeElement) ? document.activeElement.textContent : null;
  table.replaceChildren(element("thead", {}, element("tr", {}, ...names)), element("tbody", {}, ...body));
  // Whoever goes through the rows by keyboard stays where they are.
  if (focused !== null) [...table.querySelectorAll("button")].find(button => button.textContent === focused)?.focus();
}

/** Choices of a select; the chosen one stays, where it is still there. */
export function choices(select, names, ...first) {
  const chosen = select.value;
  const wanted = [...first.map(option => option.value), ...names];
  // An open list must not be taken away.
  if (wanted.join("\n") === [...select.options].map(option => option.value).join("\n")) return;
  select.replaceChildren(...first, ...names.map(name => element("option", {value: name}, name)));
  if ([...select.options].some(option => option.value === chosen)) select.value = chosen;
}

/** Seconds, in the two largest units. */
export function span(seconds) {
  const two = number => String(Math.floor(number)).padStart(2, "0");
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h${two(seconds / 60 % 60)}m`;
  return `${Math.floor(seconds / 86400)}d${two(seconds / 3600 % 24)}h`;
}

export function bytes(count) {
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (count < 1000) return `${unit === "B" ? count : count.toFixed(1)} ${unit}`;
    count /= 1024;
  }
  return `${count.toFixed(1)} TiB`;
}

export const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

/** Asks before something that people would notice. */
export async function isSure(question) {
  const dialog = byId("confirm");
  byId("question").textContent = question;
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise(closed => dialog.addEventListener("close", closed, {once: true}));
  return dialog.returnValue === "yes";
}

/** What a button or form does, once at a time, with its trouble told in `where`. */
export function acting(target, event, where, act) {
  target.addEventListener(event, async submitted => {
    submitted.preventDefault();
    const buttons = target.matches("button") ? [target] : [...target.querySelectorAll("button")];
    if (buttons.some(button => button.disabled)) return;
    buttons.forEach(button => { button.disabled = true; });
    where.classList.remove("failed");
    try {
      await act();
    } catch (error) {
      where.classList.add("failed");
      where.textContent = error.message;
      where.hidden = false;
    } finally {
      buttons.forEach(button => { button.disabled = false; });
    }
  });
}
