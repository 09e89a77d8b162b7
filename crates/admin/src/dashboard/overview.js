// What the proxy does, and the state of its destinations.

import {ask} from "./api.js";
import {onEvent, byId, cell, choices, element, fill, span} from "./page.js";

/** Loads and shows the overview. */
export async function showOverview() {
  const [stats, {destinations}] = await Promise.all([ask("GET", "/stats"), ask("GET", "/destinations")]);
  showState(stats, destinations);
  tiles(stats);
  table(destinations, stats.mapped);
  const names = destinations.map(destination => destination.destination);
  choices(byId("destination"), names);
  choices(byId("move-destination"), names);
  choices(byId("filter-destination"), names, element("option", {value: ""}, "all"));
}

function showState(stats, destinations) {
  const down = destinations.filter(destination => destination.down).map(destination => destination.destination);
  const state = byId("state");
  state.textContent = stats.draining ? "draining" : down.length ? `${down.join(", ")} down` : "all is well";
  state.classList.toggle("bad", stats.draining || down.length > 0);
  byId("about").textContent = `version ${stats.version}, up ${span(stats.uptime_seconds)}` +
    (stats.nodes.length > 1 ? `, one of ${stats.nodes.length} proxies` : "");
}

function tiles(stats) {
  const tile = ([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(value)));
  byId("tiles").replaceChildren(...[
    ["sessions", stats.sessions],
    ["logins under way", stats.logins],
    ["connections", stats.active_connections],
    ["cached lookups", `${stats.hit_rate_pct.toFixed(1)} %`],
    ["store errors", stats.store_errors],
  ].map(tile));
}

function table(destinations, mapped) {
  const all = Math.max(1, destinations.reduce((sum, destination) => sum + destination.sessions, 0));
  const rows = destinations.map(destination => [
    cell(destination.destination + (destination.is_default ? " (default)" : "")),
    cell(element("progress", {max: String(all), value: String(destination.sessions),
                              "aria-label": `of all sessions, those at ${destination.destination}`})),
    cell(String(destination.sessions), "number"),
    // A store on a server does not count its entries.
    cell(mapped ? String(mapped[destination.destination] ?? 0) : "–", "number"),
    cell(condition(destination.protocols), destination.down ? "bad" : ""),
    cell(latency(destination.protocols), "number"),
    cell(destination.down ? tryAgain(destination.destination) : ""),
  ]);
  fill(byId("destinations"), ["Destination", "", "#Sessions", "#Mapped", "State", "#Latency", ""], rows, "None.");
}

/** Returns the protocols that fail, or those that work. */
function condition(protocols) {
  const wrong = Object.entries(protocols).filter(([, leg]) => leg.down || leg.consecutive_failures > 0);
  if (wrong.length) {
    return wrong.map(([protocol, leg]) => `${protocol} ${leg.down ? "down" : "failing"}: ${leg.last_error ?? "no reason is known"}`).join(", ");
  }
  const used = Object.entries(protocols).filter(([, leg]) => leg.last_success !== null).map(([protocol]) => protocol);
  return used.length ? `up (${used.join(", ")})` : "not used yet";
}

/** Returns the last latency of the slowest protocol. */
function latency(protocols) {
  const known = Object.values(protocols).map(leg => leg.latency_ms).filter(time => time !== null);
  return known.length ? `${Math.max(...known)} ms` : "–";
}

function tryAgain(destination) {
  const button = element("button", {type: "button"}, "Reset failures");
  onEvent(button, "click", byId("error"), async () => {
    await ask("POST", "/destinations/reset", {destination});
    await showOverview();
  });
  return button;
}
