// One element of the map: its figures with their sources, who supplies it, whom it serves, and
// what can be done to it.

import { clip, h, name, note, problem } from "./dom.js";
import { get } from "./api.js";
import { figure, origin, percent, quantity, words } from "./format.js";
import { state } from "./state.js";

const cache = new Map();

function load(key, path, redraw) {
  if (!cache.has(key)) {
    cache.set(key, { waiting: true });
    Promise.all(path.map((p) => get(p))).then((data) => cache.set(key, { data }), (error) => cache.set(key, { error })).finally(redraw);
  }
  return cache.get(key);
}

const stageOf = (overview, node) => overview.stages[node.column].id;
const isTier = (stage) => stage.startsWith("tier ");

/** The selector that stands for an element. */
export function selector(overview, node) {
  if (overview.by === "node") return { node: [node.id] };
  const stage = stageOf(overview, node);
  return { ...(node.product && overview.by === "product" ? { product: [node.product] } : {}), ...(node.country && overview.by === "country" ? { country: [node.country] } : {}), ...(isTier(stage) ? {} : { stage: [stage] }) };
}

/** Remove, squeeze, restrict to. */
function actions(select, names, countries, { shock, target, label }) {
  const squeeze = h("input", { type: "range", min: 5, max: 95, step: 5, value: 50, "aria-label": "Share that is lost" });
  const lost = h("output", {}, "50 %");
  squeeze.addEventListener("input", () => (lost.textContent = `${squeeze.value} %`));
  const to = h("select", { "aria-label": "Destination" }, h("option", { value: "" }, "everyone else"), countries.map((c) => h("option", { value: c.id }, clip(c.name ?? c.id, 40))));
  const pass = h("select", { "aria-label": "Share that still passes" }, [0, 0.1, 0.3, 0.5, 0.8].map((p) => h("option", { value: p, selected: p === 0.3 }, percent(p))));
  return h("div", { class: "do" },
    h("button", { type: "button", class: "primary small", onclick: () => shock({ select, loss: 1 }) }, "Remove"),
    h("details", { class: "fold" }, h("summary", {}, "Squeeze"), h("div", { class: "row" }, squeeze, lost, h("button", { type: "button", class: "quiet small", onclick: () => shock({ select, loss: squeeze.value / 100 }) }, "Squeeze"))),
    h("details", { class: "fold" }, h("summary", {}, "Restrict exports"), h("div", { class: "sheet-form" }, h("label", {}, "to", to), h("label", {}, "still passes", pass), h("button", { type: "button", class: "quiet small", onclick: () => shock({ select, restrict: { ...(to.value ? { to: { country: [to.value] } } : {}), pass: Number(pass.value) } }) }, "Restrict"))),
    h("button", { type: "button", class: "quiet small", onclick: () => target({ name: label, select }) }, "Ask for its loss"));
}

function figures(record) {
  const rows = [["Output a year", record.output], ["Capacity", record.capacity], ["Stock, days", record.stock_days]].filter(([, f]) => f !== undefined && f !== null);
  const extra = Object.entries(record.attributes ?? {}).filter(([key]) => !["figure", "share"].includes(key));
  return h("dl", { class: "figures" },
    rows.map(([title, f]) => [h("dt", {}, title), h("dd", {}, figure(f), f.low !== undefined && f.low !== null ? ` (${quantity(f.low)} – ${quantity(f.high)})` : "", h("span", { class: "soft" }, name(origin(f) || "no source given", 240)))]),
    extra.map(([key, value]) => [h("dt", {}, name(words(key), 40)), h("dd", {}, name(typeof value === "string" ? value : JSON.stringify(value), 300))]),
    record.attributes?.figure ? [h("dt", {}, "Evidence"), h("dd", {}, h("a", { href: `/v1/figures/${encodeURIComponent(record.attributes.figure)}` }, "all claims of this figure"))] : null);
}

function partners(title, flows, end, select) {
  if (!flows.length) return [];
  const rows = [...flows].sort((a, b) => b.share - a.share || a[end].localeCompare(b[end]));
  const line = (f) => h("li", { class: "line" }, h("button", { type: "button", class: "link", onclick: () => select(f[end]) }, name(f[end], 44)), h("span", { class: "soft" }, `${percent(f.share)}${f.class ? ` · ${f.class}` : ""}`));
  return [h("h3", {}, title), h("ul", { class: "list" }, rows.slice(0, 15).map(line)), rows.length > 15 ? h("p", { class: "soft" }, `and ${rows.length - 15} more`) : null];
}

function bundles(title, flows, end, share, select) {
  if (!flows.length) return [];
  const rows = [...flows].sort((a, b) => b[share] - a[share] || a[end].localeCompare(b[end])).slice(0, 12);
  return [h("h3", {}, title), h("ul", { class: "list" }, rows.map((f) => h("li", { class: "line" }, h("button", { type: "button", class: "link", onclick: () => select(f[end]) }, name(words(f[end]), 44)), h("span", { class: "soft" }, percent(f[share])))))];
}

export function render(overview, { redraw, select, shock, target, names, openNode, filter }) {
  const id = state.element;
  if (!id) return [note("", "Nothing is selected.", "Click an element of the map, or move with the arrow keys.")];
  if (!overview) return [note("", "Loading…")];
  const node = overview.nodes.find((n) => n.id === id);
  const tools = { shock, target };
  const countries = overview.countries ?? [];
  const g = encodeURIComponent(state.graph);
  const at = state.at ? `&at=${state.at}` : "";
  if (overview.by !== "node" && node) {
    const stage = stageOf(overview, node);
    const who = overview.by === "product" ? names : {};
    const label = overview.by === "product" ? `${node.product}` : node.id;
    return [
      h("h2", {}, name(overview.by === "product" ? words(node.product ?? node.id) : names[node.country] ?? node.id, 80)),
      h("p", { class: "soft" }, `${words(stage)} · ${node.nodes === 1 ? "1 supplier" : `${node.nodes} suppliers`}${node.output !== undefined ? ` · ${figure({ value: node.output, unit: node.unit })}${node.unit === "share of world output" ? "" : " a year"}` : ""}`),
      node.loss !== undefined ? h("p", { class: "headline" }, `Loses ${percent(node.loss)}${node.direct ? `; ${node.direct} hit by the shock itself` : ""}.`) : null,
      actions(selector(overview, node), names, countries, { ...tools, label }),
      h("h3", {}, overview.by === "product" ? "Countries" : "Products"),
      h("ul", { class: "list" }, node.members.map((m) => h("li", { class: "line member" },
        h("button", { type: "button", class: "link", onclick: () => openNode(m.id) }, name(who[m.name] ?? words(m.name || m.id), 40)),
        h("span", { class: "soft" }, percent(m.share)), m.loss !== undefined ? h("b", {}, percent(m.loss)) : null,
        h("button", { type: "button", class: "quiet small", "aria-label": `Remove ${clip(m.id, 80)}`, onclick: () => shock({ select: { node: [m.id] }, loss: 1 }) }, "Remove")))),
      node.nodes > node.members.length ? h("p", { class: "soft" }, `and ${node.nodes - node.members.length} smaller ones`) : null,
      bundles("Takes from", overview.flows.filter((f) => f.to === id), "from", "of_intake", select),
      bundles("Delivers to", overview.flows.filter((f) => f.from === id), "to", "of_supply", select),
      h("div", { class: "actions" }, h("button", { type: "button", class: "quiet", onclick: () => filter(node) }, "Show only this and its neighbours")),
    ].flat();
  }
  const base = `/v1/graphs/${g}/nodes/${encodeURIComponent(id)}`;
  const loaded = load(JSON.stringify([state.graph, state.at, id]), [`${base}${at ? `?${at.slice(1)}` : ""}`, `${base}/upstream?depth=1${at}`, `${base}/downstream?depth=1${at}`], redraw);
  if (loaded.waiting) return [h("h2", {}, name(id, 120)), note("", "Loading…")];
  if (loaded.error) return [h("h2", {}, name(id, 120)), problem(loaded.error)];
  const [record, up, down] = loaded.data;
  return [
    h("h2", {}, name(record.product ? `${words(record.product)}${record.country ? `, ${names[record.country] ?? record.country}` : ""}` : id, 120)),
    h("p", { class: "soft" }, [record.stage ? words(record.stage) : null, name(record.id, 120)].filter(Boolean).flatMap((x, i) => (i ? [" · ", x] : [x]))),
    node?.loss !== undefined ? h("p", { class: "headline" }, `Loses ${percent(node.loss)}${node.direct ? "; hit by the shock itself" : ""}.`) : null,
    actions({ node: [id] }, names, countries, { ...tools, label: id }),
    h("h3", {}, "Figures"),
    figures(record),
    partners("Takes from", up.flows, "from", openNode),
    partners("Delivers to", down.flows, "to", openNode),
  ].flat();
}
