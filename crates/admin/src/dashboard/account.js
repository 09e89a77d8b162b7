// One account: where it is, and sending it elsewhere.

import {ask} from "./api.js";
import {acting, byId, count, isSure} from "./page.js";

const WHY = {
  entry: "by an entry of its own",
  domain: "by the entry of its domain",
  default: "no entry: the default",
  store_down_stale: "the store does not answer: as last known",
  store_down: "the store does not answer: the default",
  undeclared: "its entry names no declared destination: the default",
};

let account = "";

/** Ties the section's controls to what they do; `changed` is told after each act. */
export function tieAccount(changed) {
  const outcome = byId("outcome");
  // What an act began with it ends with: another account may be looked up while it is under way.
  const act = (id, event, run) => acting(byId(id), event, outcome, async () => {
    const whose = account;
    if (!whose) return;
    const said = await run(whose);
    if (said === undefined) return;
    if (account === whose) await show(whose);
    outcome.textContent = account === whose ? said : `${whose}: ${said}`;
    changed();
  });
  acting(byId("look-up"), "submit", byId("whereabouts"), async () => {
    byId("found").hidden = false;
    outcome.textContent = "";
    // Nothing below may act on another account than the one that is shown.
    account = "";
    controls(false);
    await show(byId("account").value.trim());
  });
  act("assign", "submit", async whose => {
    const destination = byId("destination").value;
    if (!await isSure(`Send ${whose} to ${destination}, and end its sessions?`)) return undefined;
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

/** Fills the section for an account that somebody has pointed at. */
export async function showAccount(identifier) {
  byId("account").value = identifier;
  byId("look-up").requestSubmit();
}

/** Forgets whatever was looked up. */
export function forgetAccount() {
  account = "";
  byId("account").value = "";
  byId("found").hidden = true;
}

async function show(identifier) {
  const found = await ask("GET", "/mappings", {identifier});
  account = found.normalized;
  byId("whereabouts").textContent = `${account} is at ${found.destination} (${WHY[found.why] ?? found.why}).`;
  controls(true);
}

function controls(enabled) {
  for (const button of byId("found").querySelectorAll("button")) button.disabled = !enabled;
}

// An entry for a whole domain is @example.org; a kick calls its accounts *@example.org.
const kick = whose => ask("POST", "/connections/kick", {identifier: whose.startsWith("@") ? `*${whose}` : whose});

function ended({kicked, logins, ending}) {
  const still = ending ? ` ${ending} still say goodbye.` : "";
  return `${count(kicked, "session")} ended, ${count(logins, "login")} under way led afresh.${still}`;
}
