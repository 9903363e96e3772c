// The answer: headline, losses with their ranges, what it rests on, and where to go on.

import { clip, h, name, note } from "./dom.js";
import { figure, lossClass, percent, words } from "./format.js";
import { openFile } from "./api.js";
import { address, set, state } from "./state.js";

const isRegion = (target) => target.includes("/");

/** One bar: the loss, its range as a line, both ends of rationing as marks. */
export function bar(result) {
  const at = (share) => `${Math.min(100, Math.max(0, share * 100))}%`;
  const place = (node, left, width) => {
    node.style.left = left;
    if (width) node.style.width = width;
    return node;
  };
  const { loss, bracket } = result;
  const parts = [place(h("span", { class: `fill loss${lossClass(loss.value)}` }), "0", at(loss.value))];
  if (loss.low !== undefined && loss.high !== undefined && loss.low !== null && loss.high !== null) {
    parts.push(place(h("span", { class: "range" }), at(loss.low), at(Math.max(0.004, loss.high - loss.low))));
  }
  if (bracket) for (const key of ["critical_first", "proportional"]) parts.push(place(h("span", { class: "mark" }), at(bracket[key])));
  return h("span", { class: "bar", "aria-hidden": "true" }, parts);
}

function range(result) {
  const { loss, bracket } = result;
  if (loss.low !== undefined && loss.low !== null) return `${percent(loss.low)} – ${percent(loss.high)}`;
  if (bracket && Math.abs(bracket.proportional - bracket.critical_first) > 0.005) return `${percent(bracket.critical_first)} first – ${percent(bracket.proportional)} alike`;
  return "";
}

export function binding(result) {
  const b = result.binding?.[0];
  if (!b) return "";
  return b.input === b.supplier_product ? `${words(b.input)} binds` : `${words(b.input)} binds, for want of ${words(b.supplier_product)}`;
}

function row(result, chosen, pick) {
  const day = result.first_shortage_day;
  return h("li", {}, h("button", { type: "button", class: `target ${isRegion(result.target) ? "region" : ""}`, "aria-pressed": String(result.target === chosen), onclick: () => pick(result.target) },
    h("span", { class: "line" }, name(words(result.target), 48), h("b", {}, percent(result.loss.value))),
    bar(result),
    h("span", { class: "line soft" }, h("span", {}, clip(result.zero_explanation ?? binding(result), 120)), h("span", {}, range(result))),
    day !== null && day !== undefined ? h("span", { class: "line soft" }, `short from day ${Math.round(day)}`) : null));
}

function quality(answer) {
  const q = answer.quality;
  const part = (key, text) => {
    const node = h("span", { class: `q-${key}` });
    node.style.width = `${(q[key] ?? 0) * 100}%`;
    return [node, `${percent(q[key] ?? 0)} ${text}`];
  };
  const parts = [part("measured", "measured"), part("recalled", "recalled"), part("estimate", "estimates")];
  return [
    h("h3", {}, "What it rests on"),
    h("div", { class: "shares", "aria-hidden": "true" }, parts.map((p) => p[0])),
    h("p", { class: "soft" }, parts.map((p) => p[1]).join(" · ")),
    answer.quality.warnings.map((w) => h("p", { class: "soft" }, clip(w, 500))),
    h("details", { class: "fold" }, h("summary", {}, `Sources (${answer.sources.length})`), h("ul", { class: "list" }, answer.sources.map((s) => h("li", { class: "line soft" }, h("span", {}, name(s.source, 220)), h("span", {}, percent(s.share)))))),
  ];
}

function links(answer) {
  const id = encodeURIComponent(answer.id);
  const items = [
    [`/v1/impacts/${id}/brief.html`, "One-page brief"],
    [`/v1/impacts/${id}/table.xlsx`, "Excel"],
    [`/v1/impacts/${id}/table.csv`, "CSV"],
    [`/v1/impacts/${id}/sankey.svg`, "Sankey"],
    [`/v1/impacts/${id}/ranking.svg`, "Ranking"],
    [`/v1/impacts/${id}/world.svg`, "By country"],
    [`/v1/impacts/${id}`, "JSON"],
    ["/methods/impact", "Method"],
  ];
  return h("ul", { class: "links" }, items.map(([href, text]) => h("li", {}, h("a", { href, target: "_blank", onclick: openFile }, text))));
}

export function headline(answer) {
  return h("p", { class: "headline" }, clip(answer.headline, 900));
}

export function render(answer, { pick, keep, edit }) {
  if (!answer) return [note("", "No answer yet.", "Put a question together under Ask.")];
  const main = answer.results.filter((r) => !isRegion(r.target));
  const regions = answer.results.filter((r) => isRegion(r.target));
  const of = (r) => `${words(r.target)}: ${figure({ value: r.baseline.value, unit: r.baseline.unit })} a year`;
  return [
    headline(answer),
    h("ul", { class: "targets" }, (main.length ? main : regions).map((r) => row(r, state.target, pick))),
    main.length && regions.length ? h("details", { class: "fold" }, h("summary", {}, `By region (${regions.length})`), h("ul", { class: "targets" }, regions.map((r) => row(r, state.target, pick)))) : null,
    answer.results.length
      ? h("details", { class: "fold" }, h("summary", {}, "What these are shares of"), h("ul", { class: "list" }, (main.length ? main : regions).map((r) => h("li", { class: "soft" }, clip(of(r), 200)))))
      : note("", "No target was asked for.", `Mean loss over all suppliers: ${percent(answer.index.value)}.`),
    h("div", { class: "actions" },
      h("button", { type: "button", class: "quiet", onclick: keep }, "Keep to compare"),
      h("button", { type: "button", class: "quiet", onclick: edit }, "Change the question"),
      h("button", { type: "button", class: "quiet", onclick: (e) => copy(e.target, answer) }, "Copy link")),
    links(answer),
    quality(answer),
    h("p", { class: "soft" }, `${answer.graph} version ${answer.version} · ${answer.engine} · ${answer.id}`),
  ].flat();
}

async function copy(button, answer) {
  const link = `${location.origin}${address({ impact: answer.id, draft: "" })}`;
  try {
    await navigator.clipboard.writeText(link);
    button.textContent = "Copied";
  } catch {
    // Without permission the link stands in the address bar.
    button.textContent = "See the address bar";
  }
  setTimeout(() => (button.textContent = "Copy link"), 2000);
}

export const choose = (target) => set({ target, tab: "why" });
