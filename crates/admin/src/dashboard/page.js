// What the sections share. Text is inserted as text, never as markup: clients choose the names.

export const byId = id => document.getElementById(id);

/** Makes an element with attributes and children; strings become text. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Makes a cell; `how` is a class. */
export const cell = (content, how = "") => element("td", how ? {class: how} : {}, content);

/** Fills a table. A column whose name begins with # has numbers. */
export function fill(table, head, rows, empty) {
  const names = head.map(name => element("th", name.startsWith("#") ? {class: "number", scope: "col"} : {scope: "col"}, name.replace("#", "")));
  const body = rows.length ? rows.map(cells => element("tr", {}, ...cells))
    : [element("tr", {}, element("td", {colspan: String(head.length), class: "hint"}, empty))];
  const focused = table.contains(document.activeElement) ? document.activeElement.textContent : null;
  table.replaceChildren(element("thead", {}, element("tr", {}, ...names)), element("tbody", {}, ...body));
  // The keyboard focus stays on the same button.
  if (focused !== null) [...table.querySelectorAll("button")].find(button => button.textContent === focused)?.focus();
}

/** Fills a select, and keeps the choice if it is still there. */
export function choices(select, names, ...first) {
  const chosen = select.value;
  const wanted = [...first.map(option => option.value), ...names];
  // Replacing the options would close an open list.
  if (wanted.join("\n") === [...select.options].map(option => option.value).join("\n")) return;
  select.replaceChildren(...first, ...names.map(name => element("option", {value: name}, name)));
  if ([...select.options].some(option => option.value === chosen)) select.value = chosen;
}

/** Writes seconds in the two largest units. */
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

/** Asks before an action that users would notice. */
export async function isSure(question) {
  const dialog = byId("confirm");
  byId("question").textContent = question;
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise(closed => dialog.addEventListener("close", closed, {once: true}));
  return dialog.returnValue === "yes";
}

/** Runs `act` on an event of a button or form, once at a time, and shows its error in `where`. */
export function onEvent(target, event, where, act) {
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
