// The same network as a table: for screen readers, for sorting, for copying.

import { $, h, name } from "./dom.js";
import { percent, quantity, words } from "./format.js";

const PAGE = 200;
let sort = { key: "loss", down: true };
let shown = PAGE;

const columns = [
  ["id", "Element", (n) => n.id],
  ["stage", "Stage", (n, o) => o.stages[n.column].id],
  ["country", "Country", (n, o, names) => names[n.country] ?? n.country ?? ""],
  ["nodes", "Suppliers", (n) => n.nodes],
  ["output", "Output a year", (n) => n.output ?? -1],
  ["share", "World share", (n) => n.share ?? -1],
  ["loss", "Loss", (n) => n.loss ?? -1],
];

export function draw(overview, selected, names, onSelect) {
  const by = columns.find(([key]) => key === sort.key);
  const value = (n) => by[2](n, overview, names);
  const rows = [...overview.nodes].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    const order = typeof x === "number" ? x - y : String(x).localeCompare(String(y));
    return (sort.down ? -order : order) || a.id.localeCompare(b.id);
  });
  const again = () => draw(overview, selected, names, onSelect);
  const heads = columns.map(([key, title]) => {
    const state = sort.key === key ? (sort.down ? "descending" : "ascending") : "none";
    const press = () => {
      sort = { key, down: sort.key === key ? !sort.down : typeof columns.find((c) => c[0] === key)[2](overview.nodes[0], overview, names) === "number" };
      again();
    };
    return h("th", { scope: "col", "aria-sort": state, class: ["nodes", "output", "share", "loss"].includes(key) ? "number" : "" }, h("button", { type: "button", onclick: press }, title));
  });
  const cells = (n) => [
    h("th", { scope: "row" }, h("button", { type: "button", class: "link", onclick: () => onSelect(n.id) }, name(words(n.id), 60))),
    h("td", {}, name(words(overview.stages[n.column].id), 40)),
    h("td", {}, name(names[n.country] ?? n.country ?? "several", 30)),
    h("td", { class: "number" }, String(n.nodes)),
    h("td", { class: "number" }, n.output === undefined ? "–" : n.unit === "share of world output" ? percent(n.output) : `${quantity(n.output)} ${n.unit ?? ""}`),
    h("td", { class: "number" }, n.share === undefined ? "–" : percent(n.share)),
    h("td", { class: "number" }, n.loss === undefined ? "–" : percent(n.loss)),
  ];
  const body = rows.slice(0, shown).map((n) => h("tr", { "aria-selected": n.id === selected ? "true" : undefined }, cells(n)));
  const more = rows.length > shown ? h("button", { type: "button", class: "quiet", onclick: () => ((shown += 1000), again()) }, `Show more (${rows.length - shown} left)`) : null;
  $("table").replaceChildren(
    h("table", {}, h("caption", {}, `${rows.length} elements of ${overview.graph}, version ${overview.version}`), h("thead", {}, h("tr", {}, heads)), h("tbody", {}, body)),
    ...(more ? [more] : []),
  );
}
