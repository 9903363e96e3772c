// The question: a preset, or shocks put together by clicking, targets, and how to evaluate.

import { clip, h, name, note, problem, say, tell } from "./dom.js";
import { post } from "./api.js";
import { percent, selection, words } from "./format.js";
import { set, state } from "./state.js";

const EMPTY = () => ({ preset: "", title: "", shocks: [], responses: [], targets: [], model: {} });

/** The question being put together. */
export let draft = EMPTY();
let context = { presets: [], overview: null, names: {} };
let running = null;
let failed = null;
let redraw = () => {};
let answered = () => {};

export function start(options) {
  redraw = options.redraw;
  answered = options.answered;
  if (state.draft) {
    try {
      draft = { ...EMPTY(), ...JSON.parse(state.draft) };
    } catch {
      // An address that somebody cut short.
    }
  }
}

export const setContext = (patch) => {
  context = { ...context, ...patch };
};

function changed() {
  failed = null;
  const text = JSON.stringify(draft);
  // Presets are known by their id; longer drafts do not fit into an address.
  set({ draft: draft.shocks.length && !draft.preset && text.length < 3000 ? text : "" }, { quiet: true });
  redraw();
}

export function usePreset(id) {
  const preset = context.presets.find((p) => p.id === id);
  draft = preset
    ? { preset: id, title: preset.title ?? id, description: preset.description, shocks: structuredClone(preset.shocks ?? []), responses: structuredClone(preset.responses ?? []), targets: structuredClone(preset.targets ?? []), model: structuredClone(preset.model ?? {}) }
    : EMPTY();
  changed();
}

/** Takes over the scenario of an answer. */
export function useScenario(scenario) {
  draft = { ...EMPTY(), ...structuredClone({ title: scenario.title ?? "", description: scenario.description, shocks: scenario.shocks ?? [], responses: scenario.responses ?? [], targets: scenario.targets ?? [], model: scenario.model ?? {} }) };
  changed();
}

function touched() {
  if (draft.preset) {
    draft.preset = "";
    draft.title = draft.title ? `${draft.title}, changed` : "";
    delete draft.description;
  }
}

export function addShock(shock) {
  touched();
  draft.shocks.push(shock);
  changed();
  set({ tab: "ask" });
  tell(`Added to the scenario: ${describe(shock)}`);
}

export function addTarget(target) {
  touched();
  if (!draft.targets.some((t) => t.name === target.name)) draft.targets.push(target);
  changed();
  set({ tab: "ask" });
}

function describe(shock) {
  if (shock.policy) return `policy ${words(shock.policy)}`;
  if (shock.flow) return `cut ${percent(shock.cut ?? 1)} of flows from ${selection(shock.flow.from, context.names)} to ${selection(shock.flow.to, context.names)}`;
  const what = selection(shock.select, context.names);
  if (shock.restrict) {
    const to = shock.restrict.to ? selection(shock.restrict.to, context.names) : "everyone else";
    return `${what}: ${percent(shock.restrict.pass ?? 0)} still passes to ${to}`;
  }
  return `${what}: ${percent(shock.loss ?? 1)} lost`;
}

/** Industries of the graph: what people ask about first. */
function industries() {
  const nodes = context.overview?.by === "product" ? context.overview.nodes : [];
  const stages = context.overview?.stages ?? [];
  const last = ["industry", "platform"].find((s) => stages.some((c) => c.id === s));
  return nodes.filter((n) => n.product && stages[n.column]?.id === last).map((n) => ({ name: n.product, select: { product: [n.product], stage: [last] } }));
}

/** The body of POST …/impacts. */
export function question() {
  const { preset, shocks, responses, targets, model, title, description } = draft;
  const body = preset ? { scenario: preset } : { shocks, targets, model, ...(responses.length ? { responses } : {}), ...(title ? { title } : {}), ...(description ? { description } : {}) };
  const include = ["nodes", "explanation", ...(model.mode === "timeline" ? ["timeline"] : [])];
  return { ...body, include, ...(state.at ? { at: Number(state.at) } : {}) };
}

export async function run() {
  if (running) return;
  const stop = new AbortController();
  running = { stop, job: null };
  failed = null;
  redraw();
  say("Evaluating the scenario");
  try {
    const answer = await post(`/v1/graphs/${encodeURIComponent(state.graph)}/impacts`, question(), {
      signal: stop.signal,
      onProgress: (job) => {
        if (running) running.job = job;
        redraw();
      },
    });
    running = null;
    answered(answer);
  } catch (error) {
    running = null;
    failed = error;
    redraw();
  }
}

function shockRow(shock, index) {
  const remove = h("button", { type: "button", class: "icon", "aria-label": `Leave out: ${describe(shock)}`, title: "Leave out", onclick: () => (touched(), draft.shocks.splice(index, 1), changed()) }, "×");
  const change = (patch) => {
    touched();
    Object.assign(draft.shocks[index], patch);
    changed();
  };
  const slider = (label, value, apply) => {
    const out = h("output", {}, percent(value));
    const input = h("input", { type: "range", min: 0, max: 100, step: 5, value: Math.round(value * 100), "aria-label": label, oninput: (e) => (out.textContent = percent(e.target.value / 100)), onchange: (e) => apply(e.target.value / 100) });
    return h("label", { class: "slide" }, h("span", {}, label), input, out);
  };
  const controls = shock.restrict
    ? slider("still passes", shock.restrict.pass ?? 0, (pass) => change({ restrict: { ...shock.restrict, pass } }))
    : shock.select
      ? slider("lost", shock.loss ?? 1, (loss) => change({ loss }))
      : null;
  return h("li", { class: "card" }, h("div", { class: "row" }, h("span", {}, shock.name ? [h("strong", {}, name(shock.name, 60)), h("br", {})] : null, name(describe(shock), 160)), remove), controls);
}

/** A form that adds a shock without clicking on the map. */
function shockForm() {
  const choice = (label, key, rows) => h("label", {}, label, h("select", { name: key }, h("option", { value: "" }, "any"), rows.map((r) => h("option", { value: r.id }, clip(r.name ?? words(r.id), 48)))));
  const o = context.overview;
  const countries = o?.countries ?? [];
  const form = h("form", { class: "sheet-form", onsubmit: (event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    const select = {};
    for (const key of ["country", "stage", "product"]) if (data.get(key)) select[key] = [data.get(key)];
    if (!Object.keys(select).length) return tell("Choose at least one of country, stage and product");
    if (data.get("what") === "restrict") addShock({ select, restrict: { ...(data.get("to") ? { to: { country: [data.get("to")] } } : {}), pass: 0.3 } });
    else addShock({ select, loss: data.get("what") === "squeeze" ? 0.5 : 1 });
  } },
    h("label", {}, "What happens", h("select", { name: "what" }, h("option", { value: "remove" }, "is lost"), h("option", { value: "squeeze" }, "is squeezed"), h("option", { value: "restrict" }, "is exported only under licence"))),
    choice("Country", "country", countries), choice("Stage", "stage", o?.stages ?? []), choice("Product", "product", o?.products ?? []),
    choice("Licence needed for", "to", countries),
    h("button", { type: "submit", class: "quiet" }, "Add"));
  return h("details", { class: "fold" }, h("summary", {}, "Add by country, stage, product"), form);
}

function targetsPart() {
  const known = new Set(draft.targets.map((t) => t.name));
  const offer = industries().filter((t) => !known.has(t.name));
  const chips = draft.targets.slice(0, 12).map((t, i) => h("li", {}, h("span", { class: "chip" }, name(words(t.name), 40), h("button", { type: "button", class: "icon", "aria-label": `Leave out ${clip(words(t.name))}`, onclick: () => (touched(), draft.targets.splice(i, 1), changed()) }, "×"))));
  const more = draft.targets.length > 12 ? h("li", { class: "soft" }, `and ${draft.targets.length - 12} more`) : null;
  const add = offer.length ? h("select", { "aria-label": "Add a target", onchange: (e) => e.target.value && addTarget(offer.find((t) => t.name === e.target.value)) }, h("option", { value: "" }, "Add a target…"), offer.map((t) => h("option", { value: t.name }, clip(words(t.name), 48)))) : null;
  return [h("h3", {}, "Whose loss"), h("ul", { class: "chips" }, chips, more), add];
}

function modelPart() {
  const rationing = draft.model.rationing?.rule ?? "";
  const pick = (label, value, options, apply) => h("label", {}, label, h("select", { onchange: (e) => (touched(), apply(e.target.value), changed()) }, options.map(([id, text]) => h("option", { value: id, selected: id === value }, text))));
  return h("details", { class: "fold" }, h("summary", {}, "How it is evaluated"),
    h("div", { class: "sheet-form" },
      pick("Who is served first", rationing, [["", "as the graph says"], ["proportional", "everyone alike"]], (v) => (v ? (draft.model.rationing = { rule: v }) : delete draft.model.rationing)),
      pick("Time", draft.model.mode ?? "steady", [["steady", "where it ends (steady state)"], ["timeline", "day by day (timeline)"]], (v) => (draft.model.mode = v)),
      pick("Substitution", draft.model.substitution ?? "none", [["none", "none"], ["flow_headroom", "headroom of flows"], ["spare_capacity", "spare capacity"]], (v) => (draft.model.substitution = v))));
}

export function render() {
  const presets = h("label", { class: "wide" }, "Start from",
    h("select", { id: "preset", onchange: (e) => usePreset(e.target.value) },
      h("option", { value: "" }, draft.shocks.length && !draft.preset ? "your own scenario" : "choose a scenario…"),
      context.presets.map((p) => h("option", { value: p.id, selected: p.id === draft.preset }, clip(p.title ?? p.id, 70)))));
  const shocks = draft.shocks.length
    ? h("ul", { class: "list" }, draft.shocks.map(shockRow))
    : note("", "Nothing is lost yet.", "Choose a scenario above, or select an element on the map and remove, squeeze or restrict it.");
  const progress = running
    ? h("div", { class: "progress" },
        h("progress", running.job && running.job.progress > 0 ? { max: 1, value: running.job.progress, "aria-label": "Progress" } : { "aria-label": "Progress" }),
        h("button", { type: "button", class: "quiet", onclick: () => running?.stop.abort() }, "Cancel"))
    : h("div", { class: "actions" },
        h("button", { type: "button", id: "run", class: "primary", disabled: !draft.shocks.length, onclick: run }, "What breaks?"),
        draft.shocks.length ? h("button", { type: "button", class: "quiet", onclick: () => usePreset("") }, "Start over") : null);
  return [
    h("h2", {}, "What if…"),
    presets,
    draft.description ? h("p", { class: "soft" }, clip(draft.description, 700)) : null,
    h("h3", {}, "What is lost"),
    shocks,
    draft.responses.length ? h("p", { class: "soft" }, `${draft.responses.length} responses: ${draft.responses.map((r) => `${words(r.kind)} ${clip(r.project ?? r.product ?? r.input ?? "", 60)}`).join("; ")}`) : null,
    shockForm(),
    targetsPart(),
    modelPart(),
    failed ? problem(failed, failed.name === "AbortError" ? null : run) : null,
    progress,
  ].flat();
}
