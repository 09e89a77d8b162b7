// Signing in, and keeping the page up to date: an event of the proxy makes the page load everything again.

import {forgetAccount, setUpAccount} from "./account.js";
import {ask, events, setToken} from "./api.js";
import {forgetLists, showAudit, showSessions, setUpLists} from "./lists.js";
import {forgetMoves, showMoves, setUpMoves} from "./moves.js";
import {showOverview} from "./overview.js";
import {onEvent, byId} from "./page.js";

/** The page is loaded again after this time without an event: latencies and times change without one. */
const REFRESH = 10_000;
/** The page is loaded at most this often. */
const PAUSE = 1_000;
/** The pause before a broken stream of events is opened again. */
const RECONNECT = 3_000;

let watching = null;

onEvent(byId("sign-in"), "submit", byId("sign-in-error"), async () => {
  const field = byId("token");
  const entered = field.value.trim();
  // Checked here, because the browser's own error about a bad header would repeat it.
  if (!/^[\x21-\x7e]+$/.test(entered)) throw new Error("A token contains only printable ASCII characters and no spaces.");
  setToken(entered, byId("name").value.trim(), signOut);
  try {
    await ask("GET", "/stats");
  } catch (error) {
    setToken(null);
    throw error;
  }
  field.value = "";
  byId("sign-in-error").textContent = "";
  byId("sign-in").hidden = true;
  byId("signed-in").hidden = false;
  watching = new AbortController();
  watch(watching.signal);
  listen(watching.signal);
});
byId("sign-out").addEventListener("click", () => signOut(""));
setUpAccount(() => changed());
setUpLists();
setUpMoves(() => changed());
signOut("");

function signOut(reason) {
  watching?.abort();
  watching = null;
  setToken(null);
  // The next person at this browser must not see it.
  forgetAccount();
  forgetLists();
  forgetMoves();
  for (const id of ["destinations", "tiles"]) byId(id).replaceChildren();
  byId("token").value = "";
  byId("signed-in").hidden = true;
  byId("sign-in").hidden = false;
  byId("sign-in-error").textContent = reason;
}

let wake = () => {};
const changed = () => wake();

/** Loads the page whenever something has changed, and every ten seconds. */
async function watch(signal) {
  while (!signal.aborted) {
    const woken = new Promise(resolve => { wake = resolve; });
    try {
      await showOverview();
      await Promise.all([showSessions(), showMoves(), showAudit()]);
      if (!signal.aborted) showError("");
    } catch (error) {
      if (!signal.aborted) showError(`${error.message} The page may be out of date.`);
    }
    await pause(PAUSE);
    await Promise.race([woken, pause(REFRESH)]);
  }
}

/** Follows the stream of events, and opens it again when it breaks. */
async function listen(signal) {
  while (!signal.aborted) {
    try {
      for await (const _ of events(signal)) changed();
    } catch {
      // The next load shows the error.
    }
    changed();
    await pause(RECONNECT);
  }
}

function showError(text) {
  byId("error").textContent = text;
  byId("error").hidden = !text;
}

function pause(milliseconds) {
  return new Promise(resolve => { setTimeout(resolve, milliseconds); });
}
