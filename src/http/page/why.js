// Why a target loses: binding chains that add up to its loss, and where they start.

import { clip, h, name, note, problem } from "./dom.js";
import { percent, step, words } from "./format.js";
import { get, picture } from "./api.js";
import { set, state } from "./state.js";

let loaded = { id: "", list: null, error: null };

/** Loads the explanation of an answer that came without it. */
export async function load(answer, redraw) {
  if (!answer || loaded.id === answer.id) return;
  loaded = { id: answer.id, list: answer.explanation ?? null, error: null };
  if (loaded.list) return;
  try {
    loaded.list = (await get(`/v1/impacts/${encodeURIComponent(answer.id)}/explanation`)).explanation;
  } catch (error) {
    loaded.error = error;
  }
  redraw();
}

function image(path, alt) {
  const node = h("img", { alt });
  picture(node, path);
  return node;
}

export const of = (target) => loaded.list?.find((e) => e.target === target) ?? null;

export function render(answer, { light, theme }) {
  if (!answer) return [note("", "No answer yet.", "Put a question together under Ask.")];
  if (loaded.error) return [problem(loaded.error)];
  if (!loaded.list) return [note("", "Loading…")];
  const targets = answer.results.map((r) => r.target);
  const target = targets.includes(state.target) ? state.target : targets[0];
  const result = answer.results.find((r) => r.target === target);
  const pick = h("label", { class: "wide" }, "Target", h("select", { id: "why-target", onchange: (e) => set({ target: e.target.value, chain: "" }) }, targets.map((t) => h("option", { value: t, selected: t === target }, clip(words(t), 60)))));
  if (!result) return [note("", "The answer has no target.")];
  const explained = of(target);
  if (!explained || !explained.chains.length) {
    return [pick, note("", `${clip(words(target), 60)} loses ${percent(result.loss.value)}.`, result.zero_explanation ?? "There is no binding chain.")];
  }
  const show = (chains, which) => (set({ chain: which }, { quiet: true }), light(chains, words(target)));
  const chain = (c, i) => h("li", {}, h("button", { type: "button", class: "chain", onclick: () => show([c], i) },
    h("span", { class: "line" }, h("b", {}, percent(c.amount)), h("span", { class: "soft" }, `${percent(c.share)} of the loss`)),
    h("span", { class: "steps" }, c.path.flatMap((s, i) => [i ? h("i", { "aria-label": "then" }, "→") : null, name(step(s), 44)])),
    c.example?.length ? h("span", { class: "soft" }, "strongest: ", name(c.example.map((n) => n.id).join(" → "), 150)) : null));
  const sum = explained.chains.reduce((total, c) => total + c.amount, 0);
  return [
    pick,
    h("p", { class: "headline" }, `${clip(words(target), 60)} loses ${percent(result.loss.value)}: these chains add up to it.`),
    h("div", { class: "actions" }, h("button", { type: "button", class: "quiet", onclick: () => show(explained.chains, "all") }, "Highlight all on the map"), h("button", { type: "button", class: "quiet", onclick: () => show([], "") }, "Clear")),
    h("ol", { class: "chains" }, explained.chains.map(chain)),
    h("p", { class: "soft" }, `Listed ${percent(sum)} + other ${explained.other > 1e-9 ? percent(explained.other) : "0 %"} = ${percent(explained.loss)}.`),
    explained.joint > 0.005 ? h("p", { class: "soft" }, `If only what binds were made whole, ${percent(explained.joint)} would still be lost: other inputs are short too.`) : null,
    explained.origins?.length ? [h("h3", {}, "Where it starts"), h("ul", { class: "list" }, explained.origins.slice(0, 12).map((o) => h("li", { class: "line" }, h("button", { type: "button", class: "link", onclick: () => light([{ path: [], example: [{ id: o.name }] }], words(o.name)) }, name(o.name, 60)), h("span", {}, percent(o.amount)))))] : null,
    h("figure", {}, image(`/v1/impacts/${encodeURIComponent(answer.id)}/sankey.svg?target=${encodeURIComponent(target)}&theme=${theme}`, `Sankey picture: where the loss of ${clip(words(target), 60)} comes from`)),
    h("p", { class: "soft" }, h("a", { href: "/methods/explanation" }, "How chains are attributed")),
  ].flat();
}
