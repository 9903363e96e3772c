// The answer: headline, losses with their ranges, what it rests on, and where to go on.

import { clip, h, name, note, problem } from "./dom.js";
import { figure, lossClass, percent, words } from "./format.js";
import { follow, openFile, picture } from "./api.js";
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

function row(answer, result, chosen, pick) {
  const path = answer.timeline?.targets?.find((t) => t.target === result.target)?.summary;
  const day = result.first_shortage_day ?? path?.first_shortage_day;
  const when = day === null || day === undefined ? null : `short from ${path?.first_shortage_date ?? `day ${Math.round(day)}`}${path?.days_to?.loss_50 ? `, half is lost by day ${Math.round(path.days_to.loss_50)}` : ""}`;
  return h("li", {}, h("button", { type: "button", class: `target ${isRegion(result.target) ? "region" : ""}`, "aria-pressed": String(result.target === chosen), onclick: () => pick(result.target) },
    h("span", { class: "line" }, name(words(result.target), 48), h("b", {}, percent(result.loss.value))),
    bar(result),
    h("span", { class: "line soft" }, h("span", {}, clip(result.zero_explanation ?? binding(result), 120)), h("span", {}, range(result))),
    when ? h("span", { class: "line soft" }, when) : null));
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
    [`/v1/impacts/${id}/timeline.svg`, "Timeline"],
    [`/v1/impacts/${id}/world.svg`, "By country"],
    [`/v1/impacts/${id}`, "JSON"],
    ["/methods/impact", "Method"],
  ];
  return h("ul", { class: "links" }, items.map(([href, text]) => h("li", {}, h("a", { href, target: "_blank", onclick: openFile }, text))));
}

/** What is computed beside an answer: its path in time, its ranges, the figures that drive them. */
const further = { id: "", running: null, part: "", job: null, error: null, drivers: null };

function about(answer) {
  if (further.id === answer.id) return;
  further.running?.abort();
  Object.assign(further, { id: answer.id, running: null, job: null, error: null, drivers: null });
}

async function compute(part, answer, { ranged, timed, redraw }) {
  const stop = new AbortController();
  Object.assign(further, { running: stop, part, job: null, error: null });
  redraw();
  const own = () => further.running === stop;
  try {
    const found = await follow(`/v1/impacts/${encodeURIComponent(answer.id)}/${part}`, { signal: stop.signal, onProgress: (job) => own() && ((further.job = job), redraw()) });
    // Another answer may be looked at by now.
    if (!own()) return false;
    further.running = null;
    if (part === "range") ranged(found);
    else if (part === "timeline") timed(found.timeline);
    else further.drivers = found;
  } catch (error) {
    if (!own()) return false;
    Object.assign(further, { running: null, error });
  }
  redraw();
  return !further.error;
}

const hasRange = (answer) => answer.results.some((r) => r.loss.low !== undefined && r.loss.low !== null);

/** Computes when it comes and how sure it is, if the answer came without. */
export async function complete(answer, tools) {
  if (!answer.results.length) return;
  about(answer);
  if (further.running || further.error) return;
  if (!answer.timeline && !(await compute("timeline", answer, tools))) return;
  // Ranges of a path in time take a path for each draw: those are for the user to ask for.
  if (!hasRange(answer) && answer.scenario.model.mode !== "timeline") await compute("range", answer, tools);
}

function driverRows(found, theme, answer) {
  const rows = (found.check_first ?? []).slice(0, 8);
  const target = found.targets?.find((t) => !isRegion(t.target))?.target;
  const image = h("img", { alt: "Tornado picture: the loss with one figure at either end of its range" });
  if (target) picture(image, `/v1/impacts/${encodeURIComponent(answer.id)}/tornado.svg?target=${encodeURIComponent(target)}&theme=${theme}`);
  return [
    h("h3", {}, "Check these figures first"),
    rows.length
      ? h("ol", { class: "list" }, rows.map((r) => h("li", { class: "line" }, h("span", {}, r.figure.link ? h("a", { href: r.figure.link, target: "_blank", onclick: openFile }, name(r.figure.id, 60)) : name(r.figure.id, 60), h("br", {}), h("span", { class: "soft" }, name([r.figure.class, r.figure.source].filter(Boolean).join(" · "), 120))), h("span", {}, `${percent(r.variance_share)} of the spread of ${clip(words(r.target), 24)}`))))
      : h("p", { class: "soft" }, "No single figure stands out."),
    target ? h("figure", {}, image) : null,
  ];
}

const DOING = { timeline: "Running it in time…", range: "Drawing the uncertain figures…", sensitivity: "Which figures drive it…" };

function uncertainty(answer, tools) {
  about(answer);
  const button = (part, text) => h("button", { type: "button", class: "quiet", onclick: () => compute(part, answer, tools) }, text);
  const busy = further.running
    ? h("div", { class: "progress" }, h("span", { class: "soft" }, DOING[further.part]), h("progress", further.job?.progress > 0 ? { max: 1, value: further.job.progress, "aria-label": "Progress" } : { "aria-label": "Progress" }), h("button", { type: "button", class: "quiet", onclick: () => further.running?.abort() }, "Cancel"))
    : null;
  return [
    h("div", { class: "actions" },
      answer.timeline ? h("button", { type: "button", class: "quiet", "aria-pressed": String(Boolean(state.clock)), onclick: () => set({ clock: state.clock ? "" : "1", day: "" }) }, state.clock ? "Hide the clock" : "Show the clock") : busy ? null : button("timeline", "How soon?"),
      hasRange(answer) || busy ? null : button("range", "How sure? Compute ranges"),
      further.drivers || busy ? null : button("sensitivity", "Which figures drive it?"),
      h("button", { type: "button", class: "quiet", onclick: () => set({ tab: "help" }) }, "What would help?")),
    busy,
    hasRange(answer) && answer.range ? h("p", { class: "soft" }, `Ranges: 5th to 95th percentile of ${answer.range.draws} draws of ${answer.range.figures} figures. `, h("a", { href: "/methods/uncertainty" }, "Method")) : null,
    further.error ? problem(further.error) : null,
    further.drivers ? driverRows(further.drivers, tools.theme, answer) : null,
  ].flat();
}

export function headline(answer) {
  return h("p", { class: "headline" }, clip(answer.headline, 900));
}

export function render(answer, { pick, keep, edit, ranged, timed, redraw, theme }) {
  if (!answer) return [note("", "No answer yet.", "Put a question together under Ask.")];
  const main = answer.results.filter((r) => !isRegion(r.target));
  const regions = answer.results.filter((r) => isRegion(r.target));
  const of = (r) => `${words(r.target)}: ${figure({ value: r.baseline.value, unit: r.baseline.unit })} a year`;
  return [
    headline(answer),
    h("ul", { class: "targets" }, (main.length ? main : regions).map((r) => row(answer, r, state.target, pick))),
    main.length && regions.length ? h("details", { class: "fold" }, h("summary", {}, `By region (${regions.length})`), h("ul", { class: "targets" }, regions.map((r) => row(answer, r, state.target, pick)))) : null,
    answer.results.length
      ? h("details", { class: "fold" }, h("summary", {}, "What these are shares of"), h("ul", { class: "list" }, (main.length ? main : regions).map((r) => h("li", { class: "soft" }, clip(of(r), 200)))))
      : note("", "No target was asked for.", `Mean loss over all suppliers: ${percent(answer.index.value)}.`),
    h("div", { class: "actions" },
      h("button", { type: "button", class: "quiet", onclick: keep }, "Keep to compare"),
      h("button", { type: "button", class: "quiet", onclick: edit }, "Change the question"),
      h("button", { type: "button", class: "quiet", onclick: (e) => copy(e.target, answer) }, "Copy link")),
    links(answer),
    answer.results.length ? uncertainty(answer, { ranged, timed, redraw, theme }) : null,
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
