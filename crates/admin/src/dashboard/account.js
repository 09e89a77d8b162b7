// One account: where it is, and changes of its entry.

import {ask} from "./api.js";
import {onEvent, byId, count, isSure} from "./page.js";

const REASON = {
  entry: "by an entry of its own",
  domain: "by the entry of its domain",
  default: "no entry: the default",
  store_down_stale: "the store does not answer: as last known",
  store_down: "the store does not answer: the default",
  undeclared: "its entry names no declared destination: the default",
};

let account = "";

/** Sets up the controls of the section; `changed` is called after each action. */
export function setUpAccount(changed) {
  const outcome = byId("outcome");
  // Another account may be looked up while an action is in progress.
  const act = (id, event, run) => onEvent(byId(id), event, outcome, async () => {
    const whose = account;
    if (!whose) return;
    const said = await run(whose);
    if (said === undefined) return;
    if (account === whose) await show(whose);
    outcome.textContent = account === whose ? said : `${whose}: ${said}`;
    changed();
  });
  onEvent(byId("look-up"), "submit", byId("whereabouts"), async () => {
    byId("found").hidden = false;
    outcome.textContent = "";
    // The controls must not act on another account than the one that is shown.
    account = "";
    controls(false);
    await show(byId("account").value.trim());
  });
  act("assign", "submit", async whose => {
    const destination = byId("destination").value;
    if (!await isSure(`Map ${whose} to ${destination}, and end its sessions?`)) return undefined;
    const stored = await ask("PUT", "/mappings", {identifier: whose, destination});
    return `Now at ${stored.destination}, before at ${stored.previous}. ${ended(await kick(whose))}`;
  });
  act("hold", "submit", async whose => {
    const {seconds} = await ask("POST", "/connections/delay", {identifier: whose, seconds: byId("seconds").value});
    return seconds ? `New logins wait, at most ${count(seconds, "second")} each.` : "New logins no longer wait.";
  });
  act("kick", "click", async whose => {
    if (!await isSure(`End all sessions of ${whose}?`)) return undefined;
    return ended(await kick(whose));
  });
  act("forget", "click", async whose => {
    if (!await isSure(`Remove the entry of ${whose}? New logins then go to the default destination, or to its domain's.`)) return undefined;
    const removed = await ask("DELETE", "/mappings", {identifier: whose});
    return removed.removed ? `Removed. Now at ${removed.destination}.` : "There was no entry.";
  });
}

/** Looks up an account that was chosen in a table. */
export async function showAccount(identifier) {
  byId("account").value = identifier;
  byId("look-up").requestSubmit();
}

/** Clears the section. */
export function forgetAccount() {
  account = "";
  byId("account").value = "";
  byId("found").hidden = true;
}

async function show(identifier) {
  const found = await ask("GET", "/mappings", {identifier});
  account = found.normalized;
  byId("whereabouts").textContent = `${account} is at ${found.destination} (${REASON[found.why] ?? found.why}).`;
  controls(true);
}

function controls(enabled) {
  for (const button of byId("found").querySelectorAll("button")) button.disabled = !enabled;
}

// An entry for a whole domain is @example.org; a kick calls its accounts *@example.org.
const kick = whose => ask("POST", "/connections/kick", {identifier: whose.startsWith("@") ? `*${whose}` : whose});

function ended({kicked, logins, ending}) {
  const still = ending ? ` ${ending} are still ending.` : "";
  return `${count(kicked, "session")} ended, ${count(logins, "login")} in progress looked up again.${still}`;
}
