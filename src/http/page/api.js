// Asks the server. Problems become errors with their hint; long work becomes a job that shows its
// progress and can be cancelled.

export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || `the server answered ${status}`);
    this.status = status;
    this.code = body?.code;
    this.hint = body?.hint;
    this.param = body?.param;
  }
}

async function problemOf(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // Not every failure has a body.
  }
  return new Problem(response.status, body);
}

let key = "";
try {
  key = sessionStorage.getItem("chokepoint-key") ?? "";
} catch {
  // Without storage the key holds for this page only.
}

/** Keeps the key that a server with access control asks for, for this visit only. */
export function useKey(text) {
  key = text.trim();
  try {
    if (key) sessionStorage.setItem("chokepoint-key", key);
    else sessionStorage.removeItem("chokepoint-key");
  } catch {
    // As above.
  }
}

const credentials = () => (key ? { authorization: `Bearer ${key}` } : {});

async function send(path, options = {}) {
  try {
    return await fetch(path, { ...options, headers: { ...options.headers, ...credentials() } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached.");
  }
}

/** GET as JSON. */
export async function get(path, { signal } = {}) {
  const response = await send(path, { signal, headers: { accept: "application/json" } });
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

/** Every page of a list. */
export async function all(path) {
  const rows = [];
  let cursor = null;
  do {
    const join = path.includes("?") ? "&" : "?";
    const page = await get(`${path}${join}limit=1000${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    rows.push(...page.results);
    cursor = page.meta.next_cursor;
  } while (cursor);
  return rows;
}

/** GET of something that may have to be made first: the job is followed, then it is there. */
async function made(path, { signal, onProgress, accept = "*/*" } = {}) {
  const ask = () => send(path, { signal, headers: { accept } });
  let response = await ask();
  if (response.status === 202) {
    await ended(await response.json(), { signal, onProgress });
    response = await ask();
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** As `made`, of JSON. */
export async function follow(path, options) {
  return (await made(path, { ...options, accept: "application/json" })).json();
}

/** POST as JSON. `onProgress` hears of a job; `signal` stops the request or cancels the job. */
export async function post(path, body, { signal, onProgress } = {}) {
  const response = await send(path, { method: "POST", signal, headers: { "content-type": "application/json", accept: "application/json" }, body: JSON.stringify(body) });
  if (response.status === 202) return get(await ended(await response.json(), { signal, onProgress }));
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

const FINAL = ["succeeded", "failed", "cancelled"];

/** Follows the events of a job to the address of its result. A request can carry a key, which an
 * EventSource cannot. */
async function ended(first, { signal, onProgress }) {
  const stop = () => void send(`/v1/jobs/${first.id}`, { method: "DELETE" }).catch(() => {});
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop);
  let job = first;
  try {
    while (!FINAL.includes(job.state)) {
      onProgress?.(job);
      const response = await send(`/v1/jobs/${first.id}/events`);
      if (!response.ok) throw await problemOf(response);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        const events = text.split("\n\n");
        text = events.pop();
        for (const event of events) {
          const data = event.split("\n").find((line) => line.startsWith("data: "));
          if (data) {
            job = JSON.parse(data.slice(6));
            onProgress?.(job);
          }
        }
      }
      // The stream ends with the job; if it broke off before, look again.
      if (!FINAL.includes(job.state)) job = await get(`/v1/jobs/${first.id}`);
    }
  } finally {
    signal?.removeEventListener("abort", stop);
  }
  if (job.state === "succeeded") return job.result;
  if (job.state === "cancelled") throw new DOMException("cancelled", "AbortError");
  throw new Problem(job.error?.status ?? 500, job.error);
}

/** Opens a file of the server in a new tab. With a key it is fetched first, because a plain link
 * cannot carry one. */
export async function openFile(event) {
  if (!key) return;
  event.preventDefault();
  const link = event.currentTarget;
  const response = await made(link.getAttribute("href"));
  const url = URL.createObjectURL(await response.blob());
  const anchor = Object.assign(document.createElement("a"), { href: url, target: "_blank" });
  if (/\.(csv|xlsx)$/.test(link.pathname)) anchor.download = link.pathname.split("/").pop();
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/** Puts a picture of the server into an image. */
export async function picture(image, path) {
  if (!key) {
    image.src = path;
    return;
  }
  const response = await send(path);
  if (response.ok) image.src = URL.createObjectURL(await response.blob());
}
