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

async function send(path, options) {
  try {
    return await fetch(path, options);
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

/** POST as JSON. `onProgress` hears of a job; `signal` stops the request or cancels the job. */
export async function post(path, body, { signal, onProgress } = {}) {
  const response = await send(path, { method: "POST", signal, headers: { "content-type": "application/json", accept: "application/json" }, body: JSON.stringify(body) });
  if (response.status === 202) return followJob(await response.json(), { signal, onProgress });
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

const FINAL = ["succeeded", "failed", "cancelled"];

function followJob(first, { signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`/v1/jobs/${first.id}/events`);
    let done = false;
    const stop = () => {
      done = true;
      events.close();
    };
    const hear = async (job) => {
      if (done) return;
      onProgress?.(job);
      if (!FINAL.includes(job.state)) return;
      stop();
      if (job.state === "succeeded") get(job.result).then(resolve, reject);
      else if (job.state === "cancelled") reject(new DOMException("cancelled", "AbortError"));
      else reject(new Problem(job.error?.status ?? 500, job.error));
    };
    for (const state of ["queued", "running", ...FINAL]) events.addEventListener(state, (e) => hear(JSON.parse(e.data)));
    events.onerror = () => {
      // The stream ends with the job; ask once more in case its last event was lost.
      if (!done) get(`/v1/jobs/${first.id}`).then(hear, (error) => (stop(), reject(error)));
    };
    signal?.addEventListener("abort", () => {
      fetch(`/v1/jobs/${first.id}`, { method: "DELETE" });
    });
    hear(first);
  });
}
