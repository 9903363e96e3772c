// Weak points: which single loss hurts most, which points every path passes, which small sets
// suffice. Every finding lights up on the map and can be tried as a scenario.

import { clip, h, name, note, problem } from "./dom.js";
import { post } from "./api.js";
import { percent, quantity, words } from "./format.js";
import { set, state } from "./state.js";

const kinds = {
  "knock-outs": { title: "Single losses", says: "Each country's stage of each product is lost alone; ranked by what the target loses.", method: "/methods/knock-outs" },
  "choke-points": { title: "Choke points", says: "Points that every path to the target passes, and single points of failure.", method: "/methods/choke-points" },
  "cut-sets": { title: "Smallest sets", says: "Smallest sets whose loss together costs the target at least this share.", method: "/methods/cut-sets" },
};

let kind = "knock-outs";
let target = "";
let threshold = 0.5;
let size = 2;
let grouping = "country,stage";
const found = new Map();
let running = null;

/** The address holds the last question: `kind~target~units~share~size`. */
function remember() {
  set({ weak: [kind, target, grouping, threshold, size].join("~") }, { quiet: true });
}

/** Takes the question of the address over, once; true if there was one. */
function recall(targets) {
  const [which, whose, units, least, most] = state.weak.split("~");
  if (!kinds[which] || !targets.some((t) => t.name === whose)) return false;
  [kind, target] = [which, whose];
  if (GROUPINGS.some(([id]) => id === units)) grouping = units;
  if (SHARES.includes(Number(least))) threshold = Number(least);
  if (SIZES.includes(Number(most))) size = Number(most);
  return true;
}

const GROUPINGS = [["country,stage", "country and stage"], ["country,product", "country and product"], ["country", "country"], ["product,stage", "product and stage"]];
const SHARES = [0.1, 0.2, 0.5, 0.8];
const SIZES = [1, 2, 3, 4];

let recalled = false;

const key = () => JSON.stringify([state.graph, state.at, kind, target, kind === "cut-sets" ? [threshold, size] : null, kind === "choke-points" ? null : grouping]);

function body(select) {
  const at = state.at ? { at: Number(state.at) } : {};
  const units = { group_by: grouping.split(",") };
  if (kind === "knock-outs") return { units, targets: [{ name: target, select }], top: 40, ...at };
  if (kind === "choke-points") return { to: select, kinds: ["single_point_of_failure", "dominator", "post_dominator"], loss_at_least: 0.1, limit: 40, list: 0, ...at };
  return { target: select, loss_at_least: threshold, units, max_size: size, limit: 60, order: "size", ...at };
}

/** Ids or labels that a unit of an answer stands for. */
function unitNames(unit) {
  if (unit === null || unit === undefined) return [];
  if (typeof unit === "string") return [unit];
  if (Array.isArray(unit)) return unit.flatMap(unitNames);
  if (unit.node ?? unit.id ?? unit.name) return [unit.node ?? unit.id ?? unit.name];
  return [Object.values(unit).filter((v) => typeof v === "string").join(".")];
}

/** The selector of a unit `CHN x refine` under the grouping that named it. */
function unitSelect(unit) {
  if (unit && typeof unit === "object" && unit.select) return unit.select;
  const text = unitNames(unit)[0] ?? "";
  const parts = text.split(" x ");
  const keys = grouping.split(",");
  if (kind !== "choke-points" && parts.length === keys.length) return Object.fromEntries(keys.map((k, i) => [k, [parts[i]]]));
  return { node: [text] };
}

export function render({ targets, light, lightChains, tryOut, redraw }) {
  if (!targets.length) return [note("", "No target to ask for.", "Add one under Ask.")];
  const again = !recalled && recall(targets);
  recalled = true;
  if (!targets.some((t) => t.name === target)) target = targets[0].name;
  const select = targets.find((t) => t.name === target).select;
  const answer = found.get(key());
  const run = async () => {
    const stop = new AbortController();
    const asked = key();
    remember();
    running = { stop, job: null, asked };
    redraw();
    try {
      found.set(asked, await post(`/v1/graphs/${encodeURIComponent(state.graph)}/${kind}`, body(select), { signal: stop.signal, onProgress: (job) => ((running.job = job), redraw()) }));
    } catch (error) {
      found.set(asked, { error });
    }
    running = null;
    redraw();
  };
  // A permalink asks its question itself.
  if (again && !answer && !running) queueMicrotask(run);
  const tabs = h("div", { class: "segments wide", role: "radiogroup", "aria-label": "Kind of weak point" }, Object.entries(kinds).map(([id, k]) => h("button", { type: "button", role: "radio", "aria-checked": String(id === kind), onclick: () => ((kind = id), redraw()) }, k.title)));
  const pick = h("label", {}, "Target", h("select", { onchange: (e) => ((target = e.target.value), redraw()) }, targets.map((t) => h("option", { value: t.name, selected: t.name === target }, clip(words(t.name), 50)))));
  const units = kind === "choke-points" ? null : h("label", {}, "Units", h("select", { onchange: (e) => ((grouping = e.target.value), redraw()) }, GROUPINGS.map(([id, text]) => h("option", { value: id, selected: id === grouping }, text))));
  const limits = kind === "cut-sets"
    ? [h("label", {}, "Loss at least", h("select", { onchange: (e) => ((threshold = Number(e.target.value)), redraw()) }, SHARES.map((t) => h("option", { value: t, selected: t === threshold }, percent(t))))),
       h("label", {}, "At most together", h("select", { onchange: (e) => ((size = Number(e.target.value)), redraw()) }, SIZES.map((n) => h("option", { value: n, selected: n === size }, String(n)))))]
    : null;
  const parts = [tabs, h("p", { class: "soft" }, `${kinds[kind].says} `, h("a", { href: kinds[kind].method }, "Method")), h("div", { class: "sheet-form" }, pick, units, limits)];
  if (running) {
    parts.push(h("div", { class: "progress" }, h("progress", running.job?.progress > 0 ? { max: 1, value: running.job.progress, "aria-label": "Progress" } : { "aria-label": "Progress" }), h("button", { type: "button", class: "quiet", onclick: () => running?.stop.abort() }, "Cancel")));
    return parts;
  }
  if (!answer) parts.push(h("div", { class: "actions" }, h("button", { type: "button", class: "primary", onclick: run }, "Find them")));
  else if (answer.error) parts.push(missing(answer.error) ?? problem(answer.error, run));
  else parts.push(results(answer, { light, lightChains, tryOut }));
  return parts.flat();
}

/** An endpoint that this server does not have yet is said plainly. */
function missing(error) {
  if (error.code !== "no_such_path" && error.code !== "method_not_allowed") return null;
  return note("", `This server does not offer ${kinds[kind].title.toLowerCase()} yet.`, "Single losses are there; the others come with a later version.");
}

const CHOKES = { single_point_of_failure: "Single points of failure, by loss", dominator: "On every path from the sources", post_dominator: "On every path to the target" };

function unitRow(units, figures, says, { light, lightChains, tryOut, chains, scenario }) {
  const names = units.flatMap(unitNames);
  const title = names.map((n) => clip(words(n).replaceAll(" x ", " · "), 60)).join(" + ");
  return h("li", { class: "card" },
    h("div", { class: "line" }, h("button", { type: "button", class: "link", onclick: () => (chains?.length ? lightChains(chains, title) : light(names, title)) }, name(title, 140)), h("b", {}, figures)),
    h("div", { class: "row" }, h("span", { class: "soft" }, clip(says || (names.length > 1 ? "together" : ""), 300)), tryOut ? h("button", { type: "button", class: "quiet small", onclick: () => tryOut(scenario?.shocks ?? units.map((u) => ({ select: unitSelect(u), loss: 1 })), title) }, "Try it") : null));
}

function results(answer, tools) {
  if (kind === "knock-outs") {
    const rows = answer.results.filter((r) => Object.values(r.loss ?? {}).some((v) => (v?.value ?? v) > 0));
    if (!rows.length) return note("", "No single loss reaches the target.");
    return h("ol", { class: "list" }, rows.slice(0, 40).map((r) => {
      const loss = Object.values(r.loss)[0];
      return unitRow([r.unit], percent(loss?.value ?? loss), r.size > 1 ? `${r.size} suppliers` : "", tools);
    }));
  }
  if (kind === "choke-points") {
    const rows = answer.choke_points ?? [];
    if (!rows.length) return note("", "Nothing separates the target by itself.");
    return Object.entries(CHOKES).flatMap(([id, title]) => {
      const some = rows.filter((r) => r.kind === id && (r.node ?? r.link));
      if (!some.length) return [];
      return [h("h3", {}, title), h("ol", { class: "list" }, some.map((r) => {
        const units = r.node ? [r.node] : [r.link.from, r.link.to];
        const says = [r.separated ? `${r.separated} others hang on it` : "", r.flow_share > 0.0005 ? `${percent(r.flow_share)} of all flow` : ""].filter(Boolean).join(" · ");
        return unitRow(units, r.loss === undefined ? "" : percent(r.loss), says, r.node ? tools : { ...tools, tryOut: null });
      }))];
    });
  }
  const sets = answer.cut_sets ?? [];
  const status = h("p", { class: "soft" }, `${quantity(Number(answer.count))} sets${answer.complete ? "" : ", more may exist"}${answer.count > sets.length ? `; the first ${sets.length} are shown` : ""}.`);
  const head = answer.headline ? h("p", { class: "headline" }, clip(answer.headline, 500)) : null;
  if (!sets.length) return [head ?? note("", "No set of this size costs that much."), status];
  return [head, status, h("ol", { class: "list" }, sets.map((s) => unitRow(s.units, percent(s.loss?.value ?? s.loss), s.probability ? `probability ${quantity(s.probability)}` : "", { ...tools, chains: s.chains, scenario: s.scenario })))];
}
