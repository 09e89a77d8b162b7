// The sessions, and the audit log.

import {showAccount} from "./account.js";
import {ask} from "./api.js";
import {onEvent, byId, bytes, cell, element, fill, span} from "./page.js";

const LIMIT = 100;

/** The filter that was submitted last: what is being typed does not count yet. */
let filter = {};
/** Where the page of the audit log begins; undefined = at the newest. */
let from;

/** Shows the sessions that match the filter. */
export async function showSessions() {
  const asked = filter;
  const page = await ask("GET", "/connections", {...asked, limit: LIMIT});
  // Another filter was submitted meanwhile: its own response is shown.
  if (asked !== filter) return;
  const now = Date.now() / 1000;
  const rows = page.connections.map(one => [
    cell(one.account === null ? "–" : pointer(one.account)),
    cell(one.protocol),
    cell(one.client),
    cell(one.destination),
    cell(span(now - one.since), "number"),
    cell(bytes(one.bytes_to_backend), "number"),
    cell(bytes(one.bytes_to_client), "number"),
  ]);
  fill(byId("sessions"), ["Account", "Protocol", "Client", "Destination", "#Duration", "#Sent", "#Received"], rows, "None.");
  byId("sessions-more").textContent = page.next === undefined ? "" : `The oldest ${LIMIT}; the filter narrows them down.`;
}

/** Shows the audit log, newest first. */
export async function showAudit() {
  const {records, next} = await ask("GET", "/audit", {limit: 20, from});
  const rows = records.map(one => [
    cell(one.time.replace("T", " ").replace(/\..*/, "")),
    cell(one.name ? `${one.name} (${one.who})` : one.who, "stranger"),
    cell(one.from ?? "–"),
    cell(one.act),
    cell(one.subject ?? "", "stranger"),
    cell([one.before, one.after].filter(word => word !== undefined).join(" → "), "stranger"),
    cell(one.result, one.result === "ok" ? "" : "bad"),
  ]);
  fill(byId("audit"), ["Time (UTC)", "Requester", "Address", "Action", "Subject", "Change", "Result"], rows, "None.");
  byId("older").hidden = next === undefined;
  byId("older").dataset.from = next ?? "";
  byId("newest").hidden = from === undefined;
}

/** Sets up the controls. */
export function setUpLists() {
  onEvent(byId("filter"), "submit", byId("sessions-more"), async () => {
    const before = filter;
    filter = {
      identifier: byId("filter-identifier").value.trim(),
      destination: byId("filter-destination").value,
      client: byId("filter-client").value.trim(),
    };
    try {
      await showSessions();
    } catch (error) {
      filter = before;
      throw error;
    }
  });
  const turn = (id, to) => onEvent(byId(id), "click", byId("error"), async () => {
    from = to();
    await showAudit();
  });
  turn("older", () => byId("older").dataset.from);
  turn("newest", () => undefined);
}

/** Clears the filter and the tables. */
export function forgetLists() {
  filter = {};
  from = undefined;
  byId("filter").reset();
  for (const id of ["sessions", "audit"]) byId(id).replaceChildren();
}

function pointer(account) {
  const button = element("button", {type: "button", class: "stranger", title: "Look this account up"}, account);
  button.addEventListener("click", () => showAccount(account));
  return button;
}
