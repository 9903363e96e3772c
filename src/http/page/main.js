// The explorer: loads what the address names, and draws it again when the state changes.

import * as answerView from "./answer.js";
import * as ask from "./ask.js";
import * as clock from "./clock.js";
import * as compare from "./compare.js";
import * as element from "./element.js";
import * as help from "./help.js";
import * as map from "./map.js";
import * as search from "./search.js";
import * as table from "./table.js";
import * as weak from "./weak.js";
import * as why from "./why.js";
import { all, follow, get, useKey } from "./api.js";
import { $, clip, h, name, note, problem, say } from "./dom.js";
import { words } from "./format.js";
import { many, on, set, state } from "./state.js";

const TABS = ["ask", "answer", "why", "help", "weak", "compare", "element"];
let graphs = [];
let presets = [];
let overview = null;
/** What is drawn: the overview, or the part of it that loses. */
let drawn = null;
let names = {};
let answer = null;
let kept = null;
let lit = null;
let loading = 0;

const g = () => encodeURIComponent(state.graph);

// --- Colours -----------------------------------------------------------------------------------

const scheme = matchMedia("(prefers-color-scheme: dark)");
let forced = "";
try {
  forced = localStorage.getItem("chokepoint-theme") ?? "";
} catch {
  // Storage may be off; the system's colours are used then.
}
const theme = () => forced || (scheme.matches ? "dark" : "light");

function applyTheme() {
  document.documentElement.dataset.theme = theme();
  $("theme").textContent = theme() === "dark" ? "☀" : "☾";
  map.restyle();
}

$("theme").addEventListener("click", () => {
  forced = theme() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("chokepoint-theme", forced);
  } catch {
    // It holds for this visit.
  }
  applyTheme();
  panel();
});
scheme.addEventListener("change", applyTheme);

// --- The network -------------------------------------------------------------------------------

function overviewPath() {
  const query = new URLSearchParams();
  if (state.by) query.set("by", state.by);
  for (const key of ["product", "country", "stage"]) if (state[key]) query.set(key, state[key]);
  const stages = many("stage");
  const outside = ["other_uses", "consumption"].filter((s) => !stages.includes(s) && (!overviewStages || overviewStages.includes(s)));
  if (!state.uses && outside.length) query.set("without", outside.join("|"));
  if (state.near) query.set("neighbours", "true");
  if (answer) query.set("impact", answer.id);
  else if (state.at) query.set("at", state.at);
  if (answer && state.clock && state.day !== "") query.set("day", state.day);
  return `/v1/graphs/${g()}/overview?${query}`;
}

/** Stages of the graph, once known: only those can be left out. */
let overviewStages = null;

async function loadStages() {
  const found = await get(`/v1/graphs/${g()}/overview?by=country&limit=1${state.at ? `&at=${state.at}` : ""}`);
  overviewStages = found.stages.map((s) => s.id);
  names = Object.fromEntries(found.countries.filter((c) => c.name).map((c) => [c.id, c.name]));
  map.setNames(names);
}

async function network({ keepView = false } = {}) {
  if (!state.graph) return;
  const ticket = ++loading;
  $("map").setAttribute("aria-busy", "true");
  try {
    if (!overviewStages) await loadStages();
    const found = await get(overviewPath());
    if (ticket !== loading) return;
    overview = found;
    ask.setContext({ overview, names });
    show(keepView);
  } catch (error) {
    if (ticket !== loading) return;
    overview = null;
    drawn = null;
    $("empty").hidden = false;
    $("empty").replaceChildren(problem(error, () => network()));
  } finally {
    if (ticket === loading) $("map").removeAttribute("aria-busy");
  }
  panel();
}

/** Only what loses, with the flows between. */
function hitOnly(data) {
  const nodes = data.nodes.filter((n) => n.loss > 1e-12);
  const ids = new Set(nodes.map((n) => n.id));
  return { ...data, nodes, flows: data.flows.filter((f) => ids.has(f.from) && ids.has(f.to)) };
}

function show(keepView) {
  if (!overview) return;
  drawn = state.hit && overview.impact ? hitOnly(overview) : overview;
  controls();
  const asTable = state.show === "table";
  $("table").hidden = !asTable;
  $("map").hidden = asTable;
  $("columns").hidden = asTable;
  $("legend").hidden = asTable;
  $("fit").hidden = asTable;
  const t = overview.totals;
  const empty = !drawn.nodes.length;
  const left = t.left_out_nodes + t.left_out_flows;
  $("empty").hidden = !empty && !left;
  if (empty) $("empty").replaceChildren(note("", "Nothing fits these filters."));
  else if (left) {
    const what = [t.left_out_nodes ? `${t.left_out_nodes} elements` : "", t.left_out_flows ? `${t.left_out_flows} flows` : ""].filter(Boolean).join(" and ");
    $("empty").replaceChildren(h("p", {}, `The smallest ${what} are not drawn: more than 5 000 are too many to read. Filter, or look at products or countries.`));
  }
  if (asTable) table.draw(drawn, state.element, names, select);
  else {
    map.draw(drawn, { keepView, day: state.clock ? state.day : "" });
    map.select(state.element);
    if (lit) map.light(lit.ids, lit.chains);
  }
  document.documentElement.dataset.ready = "true";
}

function fillSelect(id, title, rows) {
  $(id).replaceChildren(h("option", { value: "" }, title), ...rows.map((r) => h("option", { value: r.id }, clip(r.name ?? words(r.id), 50))));
}

function controls() {
  for (const button of $("by").children) button.setAttribute("aria-checked", String(button.dataset.by === overview.by));
  for (const button of $("show").children) button.setAttribute("aria-checked", String(button.dataset.show === (state.show || "map")));
  fillSelect("add-product", "add…", overview.products);
  fillSelect("add-country", "add…", overview.countries);
  fillSelect("add-stage", "add…", overview.stages.filter((s) => !s.id.startsWith("tier ")));
  $("near").checked = Boolean(state.near);
  $("uses").checked = Boolean(state.uses);
  $("hit").checked = Boolean(state.hit);
  $("hit-only").hidden = !overview.impact;
  const chips = ["product", "country", "stage"].flatMap((key) =>
    many(key).map((id) => h("span", { class: "chip" }, name(names[id] ?? words(id), 28), h("button", { type: "button", class: "icon", "aria-label": `Remove the filter ${clip(words(id))}`, onclick: () => set({ [key]: many(key).filter((x) => x !== id).join("|") }) }, "×"))));
  $("chips").replaceChildren(...chips);
  $("filters").dataset.count = String(chips.length || "");
}

const addFilter = (key, id) => id && set({ [key]: [...new Set([...many(key), id])].join("|") }, { push: true });

function select(id, { quiet = false } = {}) {
  set({ element: id ?? "", ...(id && !quiet ? { tab: "element" } : {}) });
}

/** Shows one supplier among its neighbours. */
function openNode(id) {
  const known = overview?.by === "node" && overview.nodes.some((n) => n.id === id);
  if (known) {
    set({ element: id, tab: "element" });
    map.reveal(id);
    return;
  }
  get(`/v1/graphs/${g()}/nodes/${encodeURIComponent(id)}${state.at ? `?at=${state.at}` : ""}`).then(
    (record) => set({ by: "node", element: id, tab: "element", product: record.product ?? id, country: "", stage: "", near: "1" }, { push: true }),
    (error) => say(error.message),
  );
}

function filterTo(node) {
  const stage = overview.stages[node.column].id;
  if (overview.by === "product") set({ product: node.product ?? "", country: "", stage: stage.startsWith("tier ") ? "" : stage, near: "1" }, { push: true });
  else set({ country: node.country ?? "", stage: stage.startsWith("tier ") ? "" : stage, product: "", near: "1" }, { push: true });
}

// --- Highlights --------------------------------------------------------------------------------

/** Elements of the map that an id, a `product.stage` or a `CHN x refine` stands for. */
function elementsOf(id) {
  if (!drawn) return [];
  const direct = map.groupsOf(id);
  if (direct.length) return direct;
  const parts = new Set(String(id).split(" x "));
  if (parts.size < 2 && !overview.countries.some((c) => c.id === id) && !overview.products.some((p) => p.id === id)) return [];
  // A unit of several labels: the elements that carry all of them.
  const fits = (n) => {
    const own = [n.product, n.country, overview.stages[n.column].id];
    return [...parts].every((part) => own.includes(part) || n.members?.some((m) => m.name === part));
  };
  return drawn.nodes.filter(fits).map((n) => n.id);
}

/** Elements that something stands for; if filters hide them all, the whole network is shown first. */
async function inSight(find) {
  const found = find();
  const filtered = state.by || state.product || state.country || state.stage || state.hit;
  if (found.flat().length || !filtered) return found;
  set({ by: "", product: "", country: "", stage: "", near: "", hit: "" }, { push: true, quiet: true });
  await network();
  return drawn ? find() : [];
}

async function light(chains, what) {
  if (!chains.length) {
    lit = null;
    map.light([]);
    return;
  }
  const paths = await inSight(() => chains.map((c) => {
    const steps = overview.by === "product" ? c.path.filter((s) => drawn.nodes.some((n) => n.id === s)) : [];
    const example = (c.example ?? []).flatMap((n) => elementsOf(n.id).slice(0, 1));
    return steps.length > 1 ? steps : example;
  }));
  if (state.show === "table") set({ show: "" });
  lit = { ids: paths.flat(), chains: paths };
  map.sayLit(map.light(lit.ids, lit.chains), what);
}

/** Lights the chains that the address names. */
function relight() {
  if (state.tab !== "why" || state.chain === "" || lit || !drawn) return;
  const chains = why.of(state.target)?.chains ?? [];
  const some = state.chain === "all" ? chains : chains.slice(Number(state.chain), Number(state.chain) + 1);
  if (some.length) light(some, words(state.target));
}

async function lightNames(list, what) {
  const ids = await inSight(() => list.flatMap(elementsOf));
  if (state.show === "table") set({ show: "" });
  lit = { ids, chains: [] };
  map.sayLit(map.light(ids), what);
}

// --- Answers -----------------------------------------------------------------------------------

function answered(found) {
  answer = found;
  lit = null;
  say(found.headline);
  const main = found.results.find((r) => !r.target.includes("/")) ?? found.results[0];
  set({ impact: found.id, graph: found.graph, target: main?.target ?? "", tab: kept ? "compare" : "answer", clock: found.timeline ? "1" : state.clock, day: "", chain: "", helps: "" }, { push: true, quiet: true });
  drawClock();
  why.load(answer, panel);
  network({ keepView: true }).then(complete);
  // On a phone the answer stands below the map.
  if (matchMedia("(max-width: 860px)").matches) $("panel").scrollIntoView({ block: "start" });
}

async function loadAnswer(id) {
  if (!id) {
    answer = null;
    drawClock();
    return;
  }
  if (answer?.id === id) return;
  lit = null;
  answer = await get(`/v1/impacts/${encodeURIComponent(id)}`);
  drawClock();
  why.load(answer, () => (panel(), relight()));
}

/** Flows up to which an answer's path and ranges are computed unasked. */
const QUICK = 100_000;

/** Fills in when it comes and how sure it is; on a large graph only when asked. */
function complete() {
  if (answer && (overview?.totals.flows <= QUICK || state.clock)) answerView.complete(answer, tools());
}

/** Shows the path of the answer in time. */
function timed(timeline) {
  answer = { ...answer, timeline };
  drawClock();
  panel();
}

/** Shows the answer's ranges. They belong to the same question, so its address stays. */
function ranged({ results, range, headline }) {
  answer = { ...answer, results, range, headline };
  panel();
}

const tools = () => ({ ranged, timed, redraw: panel, theme: theme() });

const drawClock = () => clock.draw(state.clock ? answer : null, { onDay, close: () => set({ clock: "", day: "" }) });

let painting = false;

/** Colours the map by the day under the scrubber; while one day is on its way, only the last of
 * those after it is asked for. */
async function onDay() {
  if (painting) return;
  painting = true;
  try {
    let day;
    do {
      day = state.day;
      const found = await get(overviewPath());
      if (found.by !== overview?.by) break;
      overview = found;
      drawn = state.hit ? hitOnly(overview) : overview;
      if (state.show === "table") table.draw(drawn, state.element, names, select);
      else map.recolour(drawn, day);
    } while (day !== state.day);
  } catch (error) {
    say(error.message);
  }
  painting = false;
}

const keep = () => {
  kept = answer;
  set({ compare: answer.id, tab: "compare" });
  panel();
};

// --- The panel ---------------------------------------------------------------------------------

let failure = null;

/** Asks for the key of a server with access control. */
function keyForm() {
  const input = h("input", { type: "password", autocomplete: "off", "aria-label": "Key", required: true });
  const form = h("form", { class: "sheet-form", onsubmit: (event) => {
    event.preventDefault();
    useKey(input.value);
    failure = null;
    open();
  } }, h("label", { class: "wide" }, "Key", input), h("button", { type: "submit", class: "primary" }, "Open"));
  return h("div", {}, note("", "This server asks for a key.", failure.hint ?? "", "It is kept until this tab is closed."), form);
}

function content() {
  if (failure?.status === 401) return [keyForm()];
  if (failure) return [problem(failure, () => location.assign("/explore"))];
  switch (state.tab) {
    case "answer":
      return answerView.render(answer, { pick: answerView.choose, keep, ...tools(), edit: () => (ask.useScenario(answer.scenario), set({ tab: "ask" })) });
    case "why":
      return why.render(answer, { light, theme: theme() });
    case "help":
      return help.render(answer, { redraw: panel });
    case "weak": {
      const targets = (ask.draft.targets.length ? ask.draft.targets : answer?.scenario.targets ?? []).filter((t, i, list) => !t.name.includes("/") || list.every((x) => x.name.includes("/")));
      return weak.render({ targets: targets.length ? targets : presets[0]?.targets?.filter((t) => !t.name.includes("/")) ?? [], light: lightNames, lightChains: light, redraw: panel, tryOut: (shocks, title) => {
        const targetsNow = structuredClone(targets);
        ask.useScenario({ title, shocks, targets: targetsNow, model: answer?.scenario.model ?? {} });
        ask.run();
        set({ tab: "ask" });
      } });
    }
    case "compare":
      return compare.render(kept, answer, { keep, redraw: panel, swap: () => {
        [kept, answer] = [answer, kept];
        set({ impact: answer.id, compare: kept.id }, { quiet: true });
        network({ keepView: true });
      } });
    case "element":
      return element.render(overview, { redraw: panel, select: (id) => (select(id), map.reveal(id)), shock: ask.addShock, target: ask.addTarget, names, openNode, filter: filterTo });
    default:
      return ask.render();
  }
}

function panel() {
  const tab = TABS.includes(state.tab) ? state.tab : "ask";
  for (const button of $("tabs").children) {
    const on = button.dataset.tab === tab;
    button.setAttribute("aria-selected", String(on));
    button.tabIndex = on ? 0 : -1;
  }
  const pane = $("pane");
  pane.setAttribute("aria-labelledby", `tab-${tab}`);
  // What is redrawn keeps the focus, its place, and what was unfolded.
  const focus = document.activeElement && pane.contains(document.activeElement) ? [...pane.querySelectorAll("button,select,input,summary,a")].indexOf(document.activeElement) : -1;
  const same = pane.dataset.tab === tab;
  const top = same ? pane.scrollTop : 0;
  const open = same ? [...pane.querySelectorAll("details")].map((d) => (d.open ? d.querySelector("summary")?.textContent : null)) : [];
  if (!same) $("tabs").scrollLeft = $(`tab-${tab}`).offsetLeft - 60;
  pane.dataset.tab = tab;
  pane.replaceChildren(...content().flat(Infinity).filter(Boolean));
  for (const details of pane.querySelectorAll("details")) if (open.includes(details.querySelector("summary")?.textContent)) details.open = true;
  pane.scrollTop = top;
  if (focus >= 0 && same) pane.querySelectorAll("button,select,input,summary,a")[focus]?.focus({ preventScroll: true });
}

// --- Start -------------------------------------------------------------------------------------

async function versions() {
  const list = await all(`/v1/graphs/${g()}/versions`);
  $("version").replaceChildren(
    h("option", { value: "" }, "newest"),
    ...list.sort((a, b) => b.version - a.version).slice(0, 200).map((v) => h("option", { value: v.version, selected: String(v.version) === state.at }, clip(`${v.version}${v.message ? `: ${v.message}` : ""}`, 40))),
  );
}

function wire() {
  $("graph").addEventListener("change", (e) => set({ graph: e.target.value, at: "", by: "", product: "", country: "", stage: "", impact: "", compare: "", element: "", target: "", draft: "" }, { push: true }));
  $("version").addEventListener("change", (e) => set({ at: e.target.value, impact: "" }, { push: true }));
  for (const button of $("by").children) button.addEventListener("click", () => set({ by: button.dataset.by, element: "" }, { push: true }));
  for (const button of $("show").children) button.addEventListener("click", () => set({ show: button.dataset.show === "map" ? "" : "table" }));
  for (const group of [$("by"), $("show")]) {
    group.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const list = [...group.children];
      const next = list[(list.indexOf(event.target) + step + list.length) % list.length];
      next.focus();
      next.click();
    });
  }
  for (const key of ["product", "country", "stage"]) $(`add-${key}`).addEventListener("change", (e) => addFilter(key, e.target.value));
  for (const key of ["near", "uses", "hit"]) $(key).addEventListener("change", (e) => set({ [key]: e.target.checked ? "1" : "" }));
  $("fit").addEventListener("click", () => map.fit());
  $("map").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && state.element) {
      set({ tab: "element" });
      $("pane").focus();
    } else if (!map.key(event, state.element)) return;
    event.preventDefault();
  });
  const tabs = [...$("tabs").children];
  for (const button of tabs) button.addEventListener("click", () => set({ tab: button.dataset.tab }));
  $("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    set({ tab: next.dataset.tab });
    event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if ($("filters").open && !$("filters").contains(event.target)) $("filters").open = false;
  });
  search.start((hit) => {
    if (hit.kind === "node") openNode(hit.id);
    else addFilter(hit.kind, hit.id);
  });
  on(["graph", "at"], async () => {
    overviewStages = null;
    answer = null;
    kept = null;
    drawClock();
    await Promise.all([versions(), network()]).catch(fail);
  });
  on(["by", "product", "country", "stage", "near", "uses"], () => network());
  on(["impact"], (changed) => !changed.has("graph") && loadAnswer(state.impact).then(() => network({ keepView: true }), fail).then(complete));
  on(["clock"], () => {
    drawClock();
    panel();
    network({ keepView: true });
  });
  on(["compare"], async () => {
    kept = state.compare ? (kept?.id === state.compare ? kept : await get(`/v1/impacts/${encodeURIComponent(state.compare)}`)) : null;
    panel();
  });
  on(["day"], (changed) => !changed.has("clock") && (drawClock(), onDay()));
  on(["show", "hit"], () => show(false));
  on(["element"], () => {
    map.select(state.element);
    if (state.show === "table" && drawn) table.draw(drawn, state.element, names, select);
  });
  on(["tab", "element", "target", "kind", "helps", "months", "by_year"], panel);
}

function fail(error) {
  failure = error;
  panel();
}

async function start() {
  applyTheme();
  ask.start({ redraw: panel, answered });
  wire();
  panel();
  await open();
}

/** Loads everything that the address names. */
async function open() {
  try {
    // What does not need each other is asked for at once.
    const [found, scenarios] = await Promise.all([all("/v1/graphs"), all("/v1/scenarios"), map.start(select)]);
    graphs = found;
    presets = scenarios;
    if (state.impact) await loadAnswer(state.impact);
    if (state.compare) kept = await get(`/v1/impacts/${encodeURIComponent(state.compare)}`);
    if (answer) set({ graph: answer.graph }, { quiet: true });
    if (!state.graph) set({ graph: graphs.find((x) => x.name === "critical-minerals")?.name ?? graphs[0]?.name ?? "" }, { quiet: true });
    $("graph").replaceChildren(...graphs.map((x) => h("option", { value: x.name, selected: x.name === state.graph }, clip(x.title || x.name, 48))));
    ask.setContext({ presets });
    if (!graphs.length) return fail(new Error("There is no graph yet. Import one: see the tutorial."));
    if (answer && !state.tab) set({ tab: "answer" }, { quiet: true });
    await Promise.all([versions(), network()]);
    relight();
    complete();
  } catch (error) {
    fail(error);
  }
}

start();
