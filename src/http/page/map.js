// The network as a picture: stages as columns, loss as colour, flow as width, estimates dashed.

import { $, clip, h, tell } from "./dom.js";
import { BOX, curve, layout } from "./layout.js";
import { LOSS_STEPS, lossClass, percent, words } from "./format.js";

/** Above this many bundles, edges are straight and drawn only at rest. */
const SIMPLE = 1500;

/** Elements from which on the map spares work while it moves. */
const LARGE = 2500;

let cytoscape = null;
let cy = null;
let placed = null;
let overview = null;
let onSelect = () => {};
let names = {};
/** Day of the losses, if not where it ends. */
let day = "";
/** True once somebody moved the view: it then stays where it is. */
let moved = false;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function style() {
  const losses = [0, 1, 2, 3, 4, 5].map((i) => ({
    selector: `node.loss${i}`,
    style: { "background-color": css(`--loss${i}`), color: css(`--on-loss${i}`), "border-color": css(`--edge-loss${i}`) },
  }));
  return [
    { selector: "node", style: { shape: "round-rectangle", "corner-radius": 4, width: BOX.width, height: BOX.height, label: "data(label)", "font-family": "system-ui, sans-serif", "font-size": 12.5, "text-valign": "center", "text-halign": "center", "background-color": css("--node"), color: css("--ink"), "border-width": 1, "border-color": css("--node-edge"), "min-zoomed-font-size": 4.5, "overlay-opacity": 0 } },
    ...losses,
    { selector: "node.direct", style: { "border-width": 2.5, "border-color": css("--ink"), "border-style": "double" } },
    { selector: "edge", style: { width: "data(width)", "line-color": css("--flow"), "line-opacity": "data(opacity)", "curve-style": "haystack", "overlay-opacity": 0 } },
    { selector: "edge.curved", style: { "curve-style": "unbundled-bezier", "control-point-weights": "data(weights)", "control-point-distances": "data(distances)", "source-endpoint": "90deg", "target-endpoint": "270deg", "edge-distances": "endpoints" } },
    { selector: "edge.back", style: { "source-endpoint": "90deg", "target-endpoint": "270deg" } },
    { selector: "edge.estimated", style: { "line-style": "dashed", "line-dash-pattern": [5, 4] } },
    ...[1, 2, 3, 4, 5].map((i) => ({ selector: `edge.carries${i}`, style: { "line-color": css(`--line-loss${i}`), "line-opacity": 0.6 } })),
    { selector: ".dim", style: { opacity: 0.13 } },
    { selector: "node.lit", style: { "border-width": 2.5, "border-color": css("--accent") } },
    { selector: "edge.lit", style: { "line-color": css("--accent"), "line-opacity": 0.95, "z-index": 9 } },
    { selector: "node:selected, node.here", style: { "border-width": 3, "border-color": css("--accent"), "border-style": "solid" } },
  ];
}

const pen = document.createElement("canvas").getContext("2d");

/** Text cut to what fits beside `more`, which is never cut. */
function fitted(text, more) {
  pen.font = "12.5px system-ui, sans-serif";
  const room = BOX.width - 8 - (more ? pen.measureText(`  ${more}`).width : 0);
  let short = clip(text, 40);
  while (short.length > 2 && pen.measureText(short).width > room) short = `${short.replace(/…$/, "").slice(0, -1)}…`;
  return more ? `${short}  ${more}` : short;
}

/** Label of an element: what tells it from the others of its column, and what it loses. */
function label(node) {
  let text;
  if (overview.by === "product") text = words(node.product ?? node.id);
  else if (overview.by === "country") text = names[node.country] ?? node.country ?? node.id;
  else text = node.product && node.product !== node.id ? `${node.country ? `${node.country} ` : ""}${words(node.product)}` : node.id;
  return fitted(text, node.loss > 1e-12 ? percent(node.loss) : "");
}

/** Names of countries by code. */
export const setNames = (byCode) => (names = byCode);

/** Loads the library and makes an empty map; `select` hears of clicks. */
export async function start(select) {
  onSelect = select;
  cytoscape = (await import("./vendor/cytoscape.min.js")).default;
  make(false);
  new ResizeObserver(() => {
    cy.resize();
    if (!moved) fit();
    drawHeads();
  }).observe($("map"));
}

/** An empty map. A large one leaves edges out while the view moves. */
function make(large) {
  cy?.destroy();
  cy = cytoscape({ container: $("map"), style: style(), minZoom: 0.04, maxZoom: 4, autoungrabify: true, boxSelectionEnabled: false, selectionType: "single", hideEdgesOnViewport: large, textureOnViewport: large, pixelRatio: large ? 1 : "auto" });
  cy.scratch("large", large);
  cy.on("tap", "node", (event) => onSelect(event.target.id()));
  cy.on("tap", (event) => event.target === cy && onSelect(null));
  cy.on("mouseover", "node", (event) => trace(event.target));
  cy.on("mouseout", "node", () => trace(null));
  cy.on("viewport", drawHeads);
  cy.on("dragpan pinchzoom scrollzoom", () => (moved = true));
}

/** Shows what an element takes and gives while the pointer is on it. */
function trace(node) {
  $("map").style.cursor = node ? "pointer" : "";
  if (cy.elements(".lit").nonempty() && !cy.scratch("traced")) return;
  cy.batch(() => {
    cy.elements(".lit, .dim").removeClass("lit dim");
    cy.scratch("traced", Boolean(node));
    if (!node || cy.elements().length > 3000) return;
    const near = node.closedNeighborhood();
    cy.elements().difference(near).addClass("dim");
    node.connectedEdges().addClass("lit");
  });
}

/** Class of a flow by the loss that it carries on. */
function carriers(data) {
  const loss = new Map(data.nodes.map((n) => [n.id, n.loss ?? 0]));
  return (flow) => {
    const carried = Math.min(loss.get(flow.from), loss.get(flow.to)) > 1e-12 ? lossClass(loss.get(flow.from) * flow.of_intake) : 0;
    return carried ? `carries${carried}` : "";
  };
}

const LOSSES = "loss0 loss1 loss2 loss3 loss4 loss5";
const CARRIES = "carries1 carries2 carries3 carries4 carries5";

/** The same elements with other losses: colours and labels change, nothing moves. */
export function recolour(data, on) {
  const same = data.nodes.length === overview?.nodes.length && data.flows.length === overview.flows.length && data.nodes.every((n, i) => n.id === overview.nodes[i].id);
  if (!same) return draw(data, { keepView: true, day: on });
  overview = data;
  day = on;
  const carries = carriers(data);
  cy.batch(() => {
    for (const node of data.nodes) {
      const element = cy.getElementById(node.id);
      element.data("label", label(node));
      element.removeClass(LOSSES).addClass(data.impact ? `loss${lossClass(node.loss)}` : "");
    }
    data.flows.forEach((flow, i) => cy.getElementById(`e${i}`).removeClass(CARRIES).addClass(carries(flow)));
  });
  drawLegend();
}

/** Draws an overview. */
export function draw(data, { keepView = false, day: on = "" } = {}) {
  overview = data;
  day = on;
  placed = layout(data, Math.min(2.2, Math.max(0.9, $("map").clientWidth / Math.max(300, $("map").clientHeight))));
  const simple = data.flows.length > SIMPLE;
  const at = (id) => placed.positions.get(id);
  const nodes = data.nodes.map((node) => ({
    group: "nodes",
    data: { id: node.id, label: label(node) },
    position: { ...at(node.id) },
    classes: [data.impact ? `loss${lossClass(node.loss)}` : "", node.direct ? "direct" : ""].join(" "),
  }));
  const carries = carriers(data);
  const edges = data.flows.map((flow, i) => {
    const [from, to] = [at(flow.from), at(flow.to)];
    return {
      group: "edges",
      data: { id: `e${i}`, source: flow.from, target: flow.to, width: 0.7 + 5.5 * Math.sqrt(flow.of_supply), opacity: simple ? 0.18 : 0.22 + 0.4 * flow.of_intake, ...(simple ? {} : curve(from, to)) },
      classes: [simple || flow.from === flow.to ? "" : "curved", flow.estimated > 0.5 ? "estimated" : "", carries(flow)].join(" "),
    };
  });
  const large = data.nodes.length + data.flows.length > LARGE;
  if (large !== cy.scratch("large")) make(large);
  const view = keepView && cy.nodes().nonempty() ? { zoom: cy.zoom(), pan: { ...cy.pan() } } : null;
  cy.batch(() => {
    cy.elements().remove();
    cy.add(nodes);
    cy.add(edges);
  });
  cy.style(style());
  if (view && moved) cy.viewport(view);
  else fit();
  drawHeads();
  drawLegend();
}

/** Colours again, after the scheme changed. */
export function restyle() {
  if (!cy) return;
  cy.style(style());
  drawLegend();
}

export function fit() {
  if (!cy || cy.nodes().empty()) return;
  moved = false;
  cy.resize();
  cy.fit(cy.nodes(), 14);
  // Room for the column heads.
  const box = cy.nodes().renderedBoundingBox();
  if (box.y1 < 30) {
    const room = cy.height() - 38;
    if (box.h > room) cy.zoom({ level: (cy.zoom() * room) / box.h, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } });
    cy.panBy({ x: 0, y: 30 - cy.nodes().renderedBoundingBox().y1 });
  }
  if (cy.zoom() > 1.4) {
    cy.zoom(1.4);
    cy.center();
  }
}

function drawHeads() {
  if (!placed || !cy) return;
  const [zoom, pan] = [cy.zoom(), cy.pan()];
  const heads = placed.heads.map((head) => {
    const width = Math.max(0, (head.right - head.left) * zoom);
    const node = h("span", { title: words(head.stage) }, clip(words(head.stage), 24));
    node.style.left = `${head.left * zoom + pan.x}px`;
    node.style.width = `${width}px`;
    return node;
  });
  $("columns").replaceChildren(...heads);
}

function drawLegend() {
  const loss = overview?.impact
    ? [h("span", { class: "key" }, day === "" ? "loss" : `loss on day ${day}`), LOSS_STEPS.map((text, i) => h("span", { class: "step" }, h("i", { class: `swatch loss${i}` }), text))]
    : [h("span", { class: "key" }, "no answer yet: ask to see losses")];
  $("legend").replaceChildren(...loss.flat(), h("span", { class: "key" }, "width: share of the supplier's deliveries"), h("span", { class: "key dashes" }, "dashed: estimated"));
}

/** Marks the selected element. */
export function select(id) {
  if (!cy) return;
  cy.batch(() => {
    cy.nodes(".here").removeClass("here");
    if (id) cy.getElementById(id).addClass("here");
  });
}

/** Lights elements, and the flows between those that follow each other in a chain; none: all. */
export function light(ids, chains = []) {
  if (!cy) return 0;
  let found = 0;
  cy.batch(() => {
    cy.scratch("traced", false);
    cy.elements(".lit, .dim").removeClass("lit dim");
    const set = new Set(ids);
    const nodes = cy.nodes().filter((n) => set.has(n.id()));
    found = nodes.length;
    if (!found) return;
    const steps = new Set(chains.flatMap((chain) => chain.slice(1).map((id, i) => `${chain[i]}\n${id}`)));
    const edges = cy.edges().filter((e) => steps.has(`${e.data("source")}\n${e.data("target")}`));
    cy.elements().difference(nodes).difference(edges).addClass("dim");
    nodes.addClass("lit");
    edges.addClass("lit");
  });
  return found;
}

/** Moves the view to an element, if it is not in sight. */
export function reveal(id) {
  const node = cy?.getElementById(id);
  if (!node || node.empty()) return;
  const box = node.renderedBoundingBox();
  const [w, hgt] = [cy.width(), cy.height()];
  if (box.x1 < 0 || box.y1 < 30 || box.x2 > w || box.y2 > hgt || cy.zoom() < 0.35) {
    moved = true;
    cy.animate({ center: { eles: node }, zoom: Math.max(cy.zoom(), 0.8), duration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 160 });
  }
}

/** Arrow keys: along the columns and across them. */
export function key(event, current) {
  if (!cy || !placed) return;
  const zoom = { "+": 1.25, "=": 1.25, "-": 0.8 }[event.key];
  if (zoom) {
    moved = true;
    cy.zoom({ level: cy.zoom() * zoom, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } });
    return true;
  }
  if (event.key === "0") {
    fit();
    return true;
  }
  if (event.key === "Escape") {
    light([]);
    onSelect(null);
    return true;
  }
  const moves = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
  const move = moves[event.key];
  if (!move) return false;
  const here = placed.positions.get(current);
  if (!here) {
    go(placed.order[0]?.[0]);
    return true;
  }
  let best = null;
  for (const [id, at] of placed.positions) {
    const [dx, dy] = [at.x - here.x, at.y - here.y];
    const along = dx * move[0] + dy * move[1];
    const aside = Math.abs(dx * move[1]) + Math.abs(dy * move[0]);
    if (along < 1 || (move[1] && aside > 1)) continue;
    const cost = along + aside * 3;
    if (!best || cost < best.cost) best = { id, cost };
  }
  if (best) go(best.id);
  return true;
}

function go(id) {
  if (!id) return;
  onSelect(id, { quiet: true });
  reveal(id);
  const node = overview.nodes.find((n) => n.id === id);
  const lost = node?.loss > 1e-12 ? `, loses ${percent(node.loss)}` : "";
  $("map-says").textContent = clip(`${words(id)}, ${node.nodes === 1 ? "1 supplier" : `${node.nodes} suppliers`}${lost}`, 300);
}

/** Elements in sight of the last overview, by the id of one of their members. */
export function groupsOf(memberId) {
  if (!overview) return [];
  if (overview.nodes.some((n) => n.id === memberId)) return [memberId];
  return overview.nodes.filter((n) => n.members?.some((m) => m.id === memberId)).map((n) => n.id);
}

export const sayLit = (count, what) => tell(count ? `${what}: ${count} elements highlighted` : `${what}: none of it is on the map`);

/** For tests and for printing: how many elements are drawn. */
export const size = () => (cy ? { nodes: cy.nodes().length, edges: cy.edges().length } : { nodes: 0, edges: 0 });

/** For tests: what an element says. */
export const labelOf = (id) => cy?.getElementById(id).data("label") ?? "";

/** Rendered middle of an element. */
export function place(id) {
  const node = cy?.getElementById(id);
  if (!node || node.empty()) return null;
  const [box, at] = [$("map").getBoundingClientRect(), node.renderedPosition()];
  return { x: box.left + at.x, y: box.top + at.y };
}
