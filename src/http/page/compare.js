// Two answers side by side.

import { clip, h, name, note, problem } from "./dom.js";
import { post } from "./api.js";
import { percent, points, words } from "./format.js";
import { bar, headline } from "./answer.js";
import { set, state } from "./state.js";

/** The comparison on the same draws, once asked for. */
const drawn = { key: "", running: null, job: null, found: null, error: null };

const scenario = (answer, id) => {
  const { shocks, responses, model, title } = answer.scenario;
  return { id, title: title ?? id, shocks: shocks ?? [], responses: responses ?? [], model };
};

async function compute(first, second, redraw) {
  const stop = new AbortController();
  Object.assign(drawn, { running: stop, job: null, found: null, error: null });
  redraw();
  const main = (a) => a.scenario.targets ?? [];
  const known = new Set();
  const targets = [...main(first), ...main(second)].filter((t) => !t.name.includes("/") && !known.has(t.name) && known.add(t.name));
  try {
    drawn.found = await post(`/v1/graphs/${encodeURIComponent(second.graph)}/comparisons`, { scenarios: [scenario(first, "A"), scenario(second, "B")], targets, draws: 400, at: second.version }, { signal: stop.signal, onProgress: (job) => ((drawn.job = job), redraw()) });
  } catch (error) {
    drawn.error = error;
  }
  drawn.running = null;
  redraw();
}

const VERDICT = { equal: "the same in every draw", a_worse: "A is worse", b_worse: "B is worse", undecided: "not known well enough to tell" };

/** A difference `b - a` from one that the server gives as `a - b`. */
const turned = (d) => ({ value: -d.value, low: d.high === undefined ? undefined : -d.high, high: d.low === undefined ? undefined : -d.low });

function onDraws(first, second, redraw) {
  const key = `${first.id} ${second.id}`;
  if (drawn.key !== key) Object.assign(drawn, { key, running: null, job: null, found: null, error: null });
  if (drawn.running) return [h("div", { class: "progress" }, h("progress", drawn.job?.progress > 0 ? { max: 1, value: drawn.job.progress, "aria-label": "Progress" } : { "aria-label": "Progress" }), h("button", { type: "button", class: "quiet", onclick: () => drawn.running?.abort() }, "Cancel"))];
  if (drawn.error) return [problem(drawn.error, () => compute(first, second, redraw))];
  if (!drawn.found) return [h("div", { class: "actions" }, h("button", { type: "button", class: "quiet", onclick: () => compute(first, second, redraw) }, "How sure is the difference?"))];
  const rows = drawn.found.results.map((r) => {
    const d = r.differences[0];
    const t = turned(d.difference);
    const p = d.probability;
    return h("tr", {}, h("th", { scope: "row" }, name(words(r.target), 36)), h("td", { class: "number" }, points(t.value), t.low === undefined ? null : h("span", { class: "soft" }, h("br", {}), `${points(t.low)} … ${points(t.high)}`)), h("td", {}, VERDICT[d.verdict] ?? words(d.verdict), p ? h("span", { class: "soft" }, h("br", {}), `B worse in ${percent(p.b_worse)} of the draws`) : null));
  });
  return [h("h3", {}, "On the same draws"), h("p", { class: "soft" }, clip(drawn.found.headline ?? "", 500)), h("div", { class: "scroll" }, h("table", { class: "compare" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Target"), h("th", { scope: "col", class: "number" }, "B − A"), h("th", { scope: "col" }, "Verdict"))), h("tbody", {}, rows)))];
}

export function render(first, second, { keep, swap, redraw }) {
  if (!second) return [note("", "No answer yet.", "Ask a question first, keep its answer, then ask another.")];
  if (!first) {
    return [
      h("h2", {}, "Compare two scenarios"),
      h("p", {}, "Keep this answer, then change the question and ask again: both stand side by side here."),
      headline(second),
      h("div", { class: "actions" }, h("button", { type: "button", class: "primary", onclick: keep }, "Keep this answer")),
    ];
  }
  const same = first.id === second.id;
  const names = [...new Set([...first.results, ...second.results].map((r) => r.target))].sort((a, b) => a.includes("/") - b.includes("/"));
  const of = (answer, target) => answer.results.find((r) => r.target === target);
  const row = (target) => {
    const [a, b] = [of(first, target), of(second, target)];
    const cell = (r) => h("td", { class: "number" }, r ? percent(r.loss.value) : "–", r ? bar(r) : null);
    const difference = a && b ? b.loss.value - a.loss.value : null;
    return h("tr", {}, h("th", { scope: "row" }, name(words(target), 36)), cell(a), cell(b), h("td", { class: "number" }, difference === null ? "–" : points(difference)));
  };
  const head = () => h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Target"), h("th", { scope: "col", class: "number" }, "A"), h("th", { scope: "col", class: "number" }, "B"), h("th", { scope: "col", class: "number" }, "B − A")));
  const table = (title, some) => h("div", { class: "scroll" }, h("table", { class: "compare" }, h("caption", { class: "hidden" }, title), head(), h("tbody", {}, some.map(row))));
  const main = names.filter((n) => !n.includes("/"));
  const regions = names.filter((n) => n.includes("/"));
  return [
    h("h2", {}, "Compare two scenarios"),
    h("div", { class: "pair" },
      h("section", {}, h("h3", {}, "A"), h("p", { class: "soft" }, clip(first.scenario.title ?? "", 100)), headline(first)),
      h("section", {}, h("h3", {}, "B"), h("p", { class: "soft" }, clip(second.scenario.title ?? "", 100)), headline(second))),
    same ? note("", "Both are the same answer.", "Change the question under Ask and ask again: the new answer becomes B.") : null,
    first.version !== second.version || first.graph !== second.graph ? note("", "They speak of different data.", `A: ${first.graph} version ${first.version}. B: ${second.graph} version ${second.version}.`) : null,
    table("Losses of both scenarios and their difference", main.length ? main : regions),
    main.length && regions.length ? h("details", { class: "fold" }, h("summary", {}, `By region (${regions.length})`), table("The same by region", regions)) : null,
    h("p", { class: "soft" }, "Differences in percentage points of the target's yearly output."),
    ...(same || first.graph !== second.graph ? [] : onDraws(first, second, redraw)),
    h("div", { class: "actions" },
      h("button", { type: "button", class: "quiet", onclick: swap }, "Swap (the map shows B)"),
      h("button", { type: "button", class: "quiet", onclick: () => set({ compare: "" }) }, "Stop comparing")),
  ];
}
