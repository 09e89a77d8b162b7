// Who is connected, and who did what.

import {showAccount} from "./account.js";
import {ask} from "./api.js";
import {acting, byId, bytes, cell, element, fill, span} from "./page.js";

const LIMIT = 100;

/** As it was when it was sent: what is being typed is not yet meant. */
let filter = {};
/** Where the page of acts begins; undefined = at the newest. */
let from;

/** The sessions that are asked for. */
export async function showSessions() {
  const asked = filter;
  const page = await ask("GET", "/connections", {...asked, limit: LIMIT});
  // Another filter has been asked for meanwhile: its own answer is what is shown.
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

/** The acts, the newest first. */
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

/** Ties the controls to what they do. */
export function tieLists() {
  acting(byId("filter"), "submit", byId("sessions-more"), async () => {
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
  const turn = (id, to) => acting(byId(id), "click", byId("trouble"), async () => {
    from = to();
    await showAudit();
  });
  turn("older", () => byId("older").dataset.from);
  turn("newest", () => undefined);
}

/** Forgets what was asked for and what was shown. */
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
