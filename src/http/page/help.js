// What would help: measures against the answer by the loss that they avoid, alone and together.

import { clip, h, name, note, problem } from "./dom.js";
import { follow } from "./api.js";
import { percent, points, quantity, words } from "./format.js";
import { set, state } from "./state.js";

const KINDS = [["all", "all kinds"], ["project", "projects"], ["stockpile", "stocks"], ["second_source", "second sources"], ["substitute", "substitutes"], ["policy", "eased restrictions"]];

/** Answers by question; the last few stay. */
const found = new Map();
let running = null;

const isRegion = (target) => target.includes("/");

function query() {
  const wish = new URLSearchParams({ kind: state.kind || "all", top: "40" });
  if (state.helps) wish.set("target", state.helps);
  if (!["project", "second_source", "substitute", "policy"].includes(state.kind)) wish.set("months", state.months || "6");
  if (state.by_year && ["", "all", "project"].includes(state.kind)) wish.set("by", state.by_year);
  return String(wish);
}

const key = (answer) => `${answer.id}?${query()}`;

async function load(answer, redraw) {
  const asked = key(answer);
  if (found.has(asked) || running?.asked === asked) return;
  running?.stop.abort();
  const own = { asked, stop: new AbortController(), job: null };
  running = own;
  try {
    const path = `/v1/impacts/${encodeURIComponent(answer.id)}/mitigations?${query()}`;
    found.set(asked, await follow(path, { signal: own.stop.signal, onProgress: (job) => ((own.job = job), redraw()) }));
  } catch (error) {
    // What a newer question put aside is no failure.
    if (running === own) found.set(asked, { error });
  }
  if (running !== own) return;
  running = null;
  if (found.size > 20) found.delete(found.keys().next().value);
  redraw();
}

/** The target that a measure helps most; whole industries before single countries' parts. */
function best(avoided) {
  const all = Object.entries(avoided ?? {}).filter(([, loss]) => loss > 1e-9).sort((a, b) => b[1] - a[1]);
  return all.find(([target]) => target === state.helps) ?? all.find(([target]) => !isRegion(target)) ?? all[0];
}

function amount(m) {
  if (m.quantity === null || m.quantity === undefined) return "";
  const range = m.quantity_low !== null && m.quantity_low !== m.quantity_high ? ` (${quantity(m.quantity_low)} – ${quantity(m.quantity_high)})` : "";
  return `${quantity(m.quantity)}${range} ${m.unit ?? ""}`;
}

function row(m) {
  const [target, avoided] = best(m.loss_avoided) ?? ["", 0];
  const others = Object.entries(m.loss_avoided).filter(([t, loss]) => t !== target && loss > 0.0005).sort((a, b) => b[1] - a[1]).slice(0, 6);
  const cost = m.cost ? `${quantity(m.cost.value)} ${m.cost.unit}` : "cost unknown";
  const time = m.over_time?.[target];
  return h("li", { class: "card" },
    h("div", { class: "line" }, h("span", {}, name(m.what, 160)), h("b", {}, avoided ? points(-avoided) : "no help alone")),
    h("p", { class: "soft" }, [avoided ? `of ${clip(words(target), 40)}, ${percent(m.loss_after[target])} left` : "", words(m.kind), amount(m), cost, m.basis === "first_year" ? "over the first year" : ""].filter(Boolean).join(" · ")),
    h("details", { class: "fold" }, h("summary", {}, "Limits and source"),
      h("ul", { class: "list" },
        m.limits.map((l) => h("li", { class: "soft" }, clip(l, 400))),
        time && time.first_day_without !== time.first_day_with ? h("li", { class: "soft" }, `First shortage on day ${time.first_day_with ?? "none"} instead of ${time.first_day_without ?? "none"}.`) : null,
        m.cost?.source ? h("li", { class: "soft" }, "Cost: ", name(m.cost.source, 200)) : null,
        others.length ? h("li", { class: "soft" }, `Also avoids ${others.map(([t, loss]) => `${points(-loss)} of ${clip(words(t), 30)}`).join(", ")}.`) : null,
        h("li", { class: "soft" }, "Source: ", m.source ? name(m.source, 240) : "suggested by the answer itself"))));
}

function together(answer) {
  if (!answer.combined?.length) return null;
  const target = state.helps || Object.keys(answer.losses).find((t) => !isRegion(t) && answer.combined.at(-1).loss_avoided[t] > 1e-9) || Object.keys(answer.losses)[0];
  return [h("h3", {}, "Together"), h("p", { class: "soft" }, `Loss of ${clip(words(target), 40)}, step by step; nothing counts twice. Without any: ${percent(answer.losses[target])}.`),
    h("ol", { class: "list" }, answer.combined.map((s) => h("li", { class: "line" }, h("span", {}, s.added.map((a) => clip(words(a), 90)).join(" with ")), h("b", {}, percent(s.loss_after[target])))))];
}

export function render(answer, { redraw }) {
  if (!answer) return [note("", "No answer yet.", "Put a question together under Ask.")];
  if (!answer.results.length) return [note("", "The answer has no target.", "Ask again with a target: then measures can be judged by what it loses less.")];
  const pick = (label, param, value, options) => h("label", {}, label, h("select", { onchange: (e) => set({ [param]: e.target.value }) }, options.map(([id, text]) => h("option", { value: id, selected: String(id) === String(value) }, text))));
  const kind = state.kind || "all";
  const form = h("div", { class: "sheet-form" },
    pick("Kind", "kind", kind, KINDS),
    pick("Whose loss", "helps", state.helps, [["", "all targets"], ...answer.results.map((r) => [r.target, clip(words(r.target), 50)])]),
    ["all", "stockpile"].includes(kind) ? pick("Stocks last", "months", state.months || "6", [3, 6, 12, 24].map((m) => [m, `${m} months`])) : null,
    ["all", "project"].includes(kind) ? pick("Projects that start", "by_year", state.by_year, [["", "whenever"], ...[2026, 2027, 2028, 2030].map((y) => [y, `by ${y}`])]) : null);
  const head = [h("h2", {}, "What would help"), form];
  const answered = found.get(key(answer));
  if (!answered) {
    load(answer, redraw);
    return [...head, h("div", { class: "progress" }, h("progress", running?.job?.progress > 0 ? { max: 1, value: running.job.progress, "aria-label": "Progress" } : { "aria-label": "Progress" }), h("button", { type: "button", class: "quiet", onclick: () => running?.stop.abort() }, "Cancel"))];
  }
  if (answered.error) return [...head, problem(answered.error, () => (found.delete(key(answer)), redraw()))];
  const useful = answered.mitigations.filter((m) => best(m.loss_avoided));
  const idle = answered.mitigations.length - useful.length;
  return [
    ...head,
    useful.length ? h("ol", { class: "list", id: "measures" }, useful.map(row)) : note("", "Nothing that is known here avoids any of this loss alone.", `${answered.evaluated} measures were evaluated.`),
    idle && useful.length ? h("p", { class: "soft" }, `${idle} more avoid nothing by themselves.`) : null,
    together(answered),
    answered.not_evaluated?.length ? h("details", { class: "fold" }, h("summary", {}, `Not evaluated (${answered.not_evaluated.length})`), h("ul", { class: "list" }, answered.not_evaluated.map((n) => h("li", { class: "soft" }, name(n.name, 80), ": ", clip(n.reason, 240))))) : null,
    (answered.notes ?? []).map((n) => h("p", { class: "soft" }, clip(n, 400))),
    h("p", { class: "soft" }, h("a", { href: "/methods/mitigation" }, "How measures are evaluated"), " · ", h("a", { href: `/v1/impacts/${encodeURIComponent(answer.id)}/mitigations?${query()}`, target: "_blank" }, "JSON")),
  ].flat();
}
