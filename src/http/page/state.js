// What is looked at. It lives in the address, so every view is a permalink.

const KEYS = ["graph", "at", "by", "product", "country", "stage", "near", "uses", "hit", "show", "impact", "compare", "target", "element", "tab", "clock", "day", "chain", "weak", "kind", "helps", "months", "by_year", "draft"];
const watchers = [];

export const state = {};

function load() {
  const query = new URLSearchParams(location.search);
  for (const key of KEYS) state[key] = query.get(key) ?? "";
}

/** The address of a state. */
export function address(patch = {}) {
  const query = new URLSearchParams();
  for (const key of KEYS) {
    const value = patch[key] ?? state[key];
    if (value !== "" && value !== undefined && value !== null && value !== false) query.set(key, value);
  }
  const text = query.toString();
  return text ? `/explore?${text}` : "/explore";
}

function tell(changed) {
  for (const { keys, run } of watchers) if (keys.some((key) => changed.has(key))) run(changed);
}

/** Changes the state and the address. `push` makes a step that the back button undoes. */
export function set(patch, { push = false, quiet = false } = {}) {
  const changed = new Set();
  for (const [key, value] of Object.entries(patch)) {
    const text = value === null || value === undefined || value === false ? "" : String(value);
    if (state[key] !== text) {
      state[key] = text;
      changed.add(key);
    }
  }
  if (!changed.size) return;
  history[push ? "pushState" : "replaceState"](null, "", address());
  if (!quiet) tell(changed);
}

/** Runs something whenever one of the keys changes. */
export function on(keys, run) {
  watchers.push({ keys, run });
}

export const many = (key) => state[key].split("|").filter(Boolean);

addEventListener("popstate", () => {
  const before = { ...state };
  load();
  tell(new Set(KEYS.filter((key) => before[key] !== state[key])));
});

load();
