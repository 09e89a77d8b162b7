// Signing in, and keeping the page fresh: the proxy says when something has changed, and the page looks again.

import {forgetAccount, tieAccount} from "./account.js";
import {ask, events, setToken} from "./api.js";
import {forgetLists, showAudit, showSessions, tieLists} from "./lists.js";
import {showOverview} from "./overview.js";
import {acting, byId} from "./page.js";

/** Between two looks where nothing is said to have changed: latencies, times. */
const LOOK = 10_000;
/** Between two looks however much is said to have changed. */
const PAUSE = 1_000;
/** Between a broken stream of events and the next. */
const AGAIN = 3_000;

let watching = null;

acting(byId("sign-in"), "submit", byId("sign-in-trouble"), async () => {
  const field = byId("token");
  const word = field.value.trim();
  // In a header, and not to be repeated in an error of the browser's.
  if (!/^[\x21-\x7e]+$/.test(word)) throw new Error("A token contains only printable ASCII characters and no spaces.");
  setToken(word, byId("name").value.trim(), signOut);
  try {
    await ask("GET", "/stats");
  } catch (error) {
    setToken(null);
    throw error;
  }
  field.value = "";
  byId("sign-in-trouble").textContent = "";
  byId("sign-in").hidden = true;
  byId("signed-in").hidden = false;
  watching = new AbortController();
  watch(watching.signal);
  listen(watching.signal);
});
byId("sign-out").addEventListener("click", () => signOut(""));
tieAccount(() => changed());
tieLists();
signOut("");

function signOut(why) {
  watching?.abort();
  watching = null;
  setToken(null);
  // What one person saw is not left for the next.
  forgetAccount();
  forgetLists();
  for (const id of ["destinations", "tiles"]) byId(id).replaceChildren();
  byId("token").value = "";
  byId("signed-in").hidden = true;
  byId("sign-in").hidden = false;
  byId("sign-in-trouble").textContent = why;
}

let wake = () => {};
const changed = () => wake();

/** Looks whenever something has changed, and every now and then. */
async function watch(signal) {
  while (!signal.aborted) {
    const woken = new Promise(resolve => { wake = resolve; });
    try {
      await showOverview();
      await Promise.all([showSessions(), showAudit()]);
      if (!signal.aborted) trouble("");
    } catch (error) {
      if (!signal.aborted) trouble(`${error.message} What is shown may be old.`);
    }
    await pause(PAUSE);
    await Promise.race([woken, pause(LOOK)]);
  }
}

/** Hears what has changed; asks again when the stream breaks. */
async function listen(signal) {
  while (!signal.aborted) {
    try {
      for await (const _ of events(signal)) changed();
    } catch {
      // The next look says what is wrong.
    }
    changed();
    await pause(AGAIN);
  }
}

function trouble(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = !text;
}

function pause(milliseconds) {
  return new Promise(resolve => { setTimeout(resolve, milliseconds); });
}
