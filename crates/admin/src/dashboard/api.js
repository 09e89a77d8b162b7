// The management API. The token is kept in the memory of this module only.

let token = null;
let name = "";
let onRefusal = () => {};

/** An error response (RFC 9457), or no response at all (status 0). */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Signs in with a token; null signs out. `who` is written to the audit log; `refused` is called when the token is refused. */
export function setToken(entered, who = "", refused = () => {}) {
  token = entered;
  name = who;
  onRefusal = refused;
}

/** Longer than any call takes: a kick waits eight seconds. */
const TIME_LIMIT = 60_000;

/** Makes a call and returns the response. Empty parameters are left out; `body` is sent as JSON. */
export async function ask(method, path, parameters = {}, body = undefined) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  // Not URLSearchParams, which writes a space as `+`: the API takes that for a plus sign.
  const pairs = given.map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
  const query = pairs.length ? `?${pairs.join("&")}` : "";
  const used = token;
  const response = await send(method, path + query, AbortSignal.timeout(TIME_LIMIT), body);
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Problem(0, "The response of the proxy was cut off. Check the state before you repeat the action.");
  }
  // After a sign-out, the response must not be shown to the next person.
  if (used !== token) throw new Problem(0, "Signed out.");
  return answer;
}

/** Server-sent events, one after the other, until `signal` aborts or the proxy ends them. */
export async function* events(signal) {
  const response = await send("GET", "/events", signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(part.split("\n").filter(line => line.includes(": ")).map(line => {
        const at = line.indexOf(": ");
        return [line.slice(0, at), line.slice(at + 2)];
      }));
      if (fields.event) yield {name: fields.event, data: JSON.parse(fields.data)[fields.event]};
    }
  }
}

async function send(method, target, signal, content = undefined) {
  const used = token;
  let response;
  try {
    const headers = {Authorization: `Bearer ${used}`, ...(name && {From: name}),
                     ...(content && {"Content-Type": "application/json"})};
    const body = content && JSON.stringify(content);
    response = await fetch(target, {method, headers, body, signal, cache: "no-store", credentials: "omit", redirect: "error"});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, error.name === "TimeoutError" ? "The proxy did not answer in time." : "The proxy does not answer.");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  const detail = problem.detail ?? `The proxy answered ${response.status}.`;
  // The refused token may belong to an earlier sign-in.
  if ([401, 429].includes(response.status) && used === token) onRefusal(detail);
  throw new Problem(response.status, detail);
}
