// Moves: starting one, following those in progress, cancelling them and taking them back.

import {ask} from "./api.js";
import {onEvent, byId, cell, count, element, fill, isSure} from "./page.js";

const LIMIT = 20;

/** Where the page of moves begins; undefined = at the newest. */
let from;

/** Sets up the controls of the section; `changed` is called after each action. */
export function setUpMoves(changed) {
  const outcome = byId("move-outcome");
  onEvent(byId("move"), "submit", outcome, async () => {
    const accounts = byId("move-accounts").value.split(/[\s,]+/).filter(name => name);
    const to = byId("move-destination").value;
    if (!await isSure(`Move ${accounts.join(", ")} to ${to}? Their sessions end, and their logins wait until they are there.`)) return;
    const copies = byId("move-sync").checked;
    const {moves: [id]} = await ask("POST", "/moves", {}, {to, accounts, ...(copies ? {} : {sync: ""})});
    outcome.textContent = `Move ${id} is queued.`;
    byId("move-accounts").value = "";
    changed();
  });
  const turn = (id, to) => onEvent(byId(id), "click", outcome, async () => {
    from = to();
    await showMoves();
  });
  turn("moves-older", () => byId("moves-older").dataset.from);
  turn("moves-newest", () => undefined);
}

/** Shows the moves, newest first, and the batches that they belong to. */
export async function showMoves() {
  let page;
  try {
    page = await ask("GET", "/moves", {limit: LIMIT, from});
  } catch (error) {
    // Without a journal there are no moves; the rest of the page works.
    if (error.status !== 503) throw error;
    fill(byId("moves"), ["Moves"], [], error.message);
    return;
  }
  const rows = page.moves.map(move => [
    cell(String(move.id), "number"),
    cell(move.accounts.join(", "), "stranger"),
    cell(`${move.from} → ${move.to}`),
    cell(move.outcome ?? move.step, ["failed", "unverified"].includes(move.outcome) ? "bad" : ""),
    cell(move.finished === undefined || move.finished === null ? "" : `${(move.held_ms / 1000).toFixed(1)} s`, "number"),
    cell(String(move.logins_waited), "number"),
    cell(move.message ?? "", "stranger"),
    cell(control(move)),
  ]);
  fill(byId("moves"), ["#Move", "Accounts", "From and to", "State", "#Held", "#Logins that waited", "Message", ""], rows, "None.");
  byId("moves-older").hidden = page.next === undefined || page.next === null;
  byId("moves-older").dataset.from = page.next ?? "";
  byId("moves-newest").hidden = from === undefined;
  await showBatches(page.moves);
}

/** Clears the section. */
export function forgetMoves() {
  from = undefined;
  byId("move").reset();
  byId("move-outcome").textContent = "";
  for (const id of ["moves", "batches"]) byId(id).replaceChildren();
}

async function showBatches(moves) {
  const names = [...new Set(moves.map(move => move.batch).filter(name => name))];
  const batches = await Promise.all(names.map(name => ask("GET", `/moves/batches/${encodeURIComponent(name)}`)));
  byId("batches").replaceChildren(...batches.map(batch => {
    const all = batch.queued + batch.running + batch.done + batch.not_done;
    const ended = batch.done + batch.not_done;
    const text = `Batch ${batch.batch}: ${batch.done} of ${count(all, "move")} done, ${batch.not_done} not done` +
      (batch.paused ? ", paused" : "");
    const bar = element("progress", {max: String(all), value: String(ended), "aria-label": `batch ${batch.batch}`});
    const parts = [text, " ", bar];
    if (batch.queued > 0) parts.push(" ", batchControl(batch));
    return element("p", {}, ...parts);
  }));
}

function batchControl(batch) {
  const act = batch.paused ? "resume" : "pause";
  const button = element("button", {type: "button"}, batch.paused ? "Resume" : "Pause");
  onEvent(button, "click", byId("move-outcome"), async () => {
    await ask("POST", `/moves/batches/${encodeURIComponent(batch.batch)}/${act}`);
    await showMoves();
  });
  return button;
}

/** Makes the button of a move: it can be cancelled until the mapping changes, and taken back afterwards. */
function control(move) {
  if (move.outcome === undefined || move.outcome === null) {
    return button("Cancel", `Cancel move ${move.id}? Its accounts stay at ${move.from}.`, async () => {
      await ask("DELETE", `/moves/${move.id}`);
      return `Move ${move.id} is cancelled.`;
    });
  }
  if (!["done", "unverified"].includes(move.outcome)) return "";
  const question = `Take move ${move.id} back? Its accounts go to ${move.from} again. What they have received at ${move.to} stays there: ` +
    "to copy it back, use the command line with --sync.";
  return button("Roll back", question, async () => {
    const {moves: [id]} = await ask("POST", `/moves/${move.id}/rollback`, {}, {leave_behind: true});
    return `Move ${id} takes move ${move.id} back.`;
  });
}

function button(label, question, act) {
  const made = element("button", {type: "button"}, label);
  onEvent(made, "click", byId("move-outcome"), async () => {
    if (!await isSure(question)) return;
    byId("move-outcome").textContent = await act();
    await showMoves();
  });
  return made;
}
