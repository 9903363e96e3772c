// Two answers side by side.

import { clip, h, name, note } from "./dom.js";
import { percent, points, words } from "./format.js";
import { bar, headline } from "./answer.js";
import { set, state } from "./state.js";

export function render(first, second, { keep, swap, colour }) {
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
  const names = [...new Set([...first.results, ...second.results].map((r) => r.target))];
  const of = (answer, target) => answer.results.find((r) => r.target === target);
  const rows = names.map((target) => {
    const [a, b] = [of(first, target), of(second, target)];
    const cell = (r) => h("td", { class: "number" }, r ? percent(r.loss.value) : "–", r ? bar(r) : null);
    const difference = a && b ? b.loss.value - a.loss.value : null;
    return h("tr", {}, h("th", { scope: "row" }, name(words(target), 36)), cell(a), cell(b), h("td", { class: "number" }, difference === null ? "–" : points(difference)));
  });
  return [
    h("h2", {}, "Compare two scenarios"),
    h("div", { class: "pair" },
      h("section", {}, h("h3", {}, "A"), h("p", { class: "soft" }, clip(first.scenario.title ?? "", 100)), headline(first)),
      h("section", {}, h("h3", {}, "B"), h("p", { class: "soft" }, clip(second.scenario.title ?? "", 100)), headline(second))),
    same ? note("", "Both are the same answer.", "Change the question under Ask and ask again: the new answer becomes B.") : null,
    first.version !== second.version || first.graph !== second.graph ? note("", "They speak of different data.", `A: ${first.graph} version ${first.version}. B: ${second.graph} version ${second.version}.`) : null,
    h("div", { class: "scroll" }, h("table", { class: "compare" }, h("caption", { class: "hidden" }, "Losses of both scenarios and their difference"), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Target"), h("th", { scope: "col", class: "number" }, "A"), h("th", { scope: "col", class: "number" }, "B"), h("th", { scope: "col", class: "number" }, "B − A"))), h("tbody", {}, rows))),
    h("p", { class: "soft" }, "Differences in percentage points of the target's yearly output."),
    h("div", { class: "actions" },
      h("button", { type: "button", class: "quiet", onclick: swap }, "Swap (the map shows B)"),
      h("button", { type: "button", class: "quiet", onclick: () => set({ compare: "" }) }, "Stop comparing")),
  ];
}
