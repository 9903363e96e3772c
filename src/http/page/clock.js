// The clock of an answer: losses over time, with a day to drag along.

import { $, clip, h, s } from "./dom.js";
import { percent, words } from "./format.js";
import { set, state } from "./state.js";

const W = 560;
const H = 96;

/** The paths of an answer: `[{target, days, loss}]`, or days shared by `targets`. */
export function paths(answer) {
  const t = answer?.timeline;
  if (!t) return [];
  const rows = Array.isArray(t) ? t : t.targets ?? t.results ?? [];
  return rows.map((row) => ({ target: row.target ?? row.name, days: row.days ?? t.days, loss: row.loss })).filter((p) => p.target && Array.isArray(p.days) && Array.isArray(p.loss) && p.days.length);
}

const at = (path, day) => {
  let i = path.days.findIndex((d) => d > day);
  i = i === -1 ? path.days.length - 1 : Math.max(0, i - 1);
  return path.loss[i] ?? 0;
};

/** Draws the clock of an answer; `onDay` hears that the day in the state has changed. */
export function draw(answer, { onDay, close } = {}) {
  const box = $("clock");
  const all = paths(answer);
  const main = all.filter((p) => !p.target.includes("/"));
  const lines = (main.length ? main : all).slice(0, 6);
  box.hidden = !lines.length;
  if (!lines.length) return box.replaceChildren();
  const end = Math.max(...lines.map((p) => p.days.at(-1)), 1);
  const day = state.day === "" ? end : Math.min(Number(state.day), end);
  const [x, y] = [(d) => (d / end) * W, (l) => H - 2 - l * (H - 8)];
  const curve = (p) => p.days.map((d, i) => (i ? `H${x(d).toFixed(1)}V${y(p.loss[i]).toFixed(1)}` : `M${x(d).toFixed(1)} ${y(p.loss[i]).toFixed(1)}`)).join("");
  const cursor = s("line", { x1: x(day), x2: x(day), y1: 0, y2: H, class: "cursor" });
  const picture = s("svg", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    [0.25, 0.5, 0.75].map((l) => s("line", { x1: 0, x2: W, y1: y(l), y2: y(l), class: "grid" })),
    lines.map((p, i) => s("path", { d: curve(p), class: `path q${i}` })), cursor);
  const values = lines.map((p, i) => h("li", {}, h("i", { class: `dot q${i}` }), h("span", {}, clip(words(p.target), 24)), h("b", {}, percent(at(p, day)))));
  const dates = answer.timeline.dates;
  const shared = answer.timeline.days;
  const label = (d) => {
    const i = shared ? shared.findLastIndex((x) => x <= d) : -1;
    return dates?.[i] ? `day ${Math.round(d)} (${dates[i]})` : `day ${Math.round(d)}`;
  };
  const output = h("output", {}, state.day === "" ? "drag to see a day on the map" : label(day));
  const range = h("input", { type: "range", min: 0, max: Math.round(end), step: 1, value: Math.round(day), "aria-label": "Day after the shock" });
  range.addEventListener("input", () => {
    const d = Number(range.value);
    output.textContent = label(d);
    cursor.setAttribute("x1", x(d));
    cursor.setAttribute("x2", x(d));
    values.forEach((row, i) => (row.lastChild.textContent = percent(at(lines[i], d))));
    range.setAttribute("aria-valuetext", `${label(d)}: ${lines.map((p) => `${words(p.target)} ${percent(at(p, d))}`).join(", ")}`);
    set({ day: d }, { quiet: true });
    onDay();
  });
  box.replaceChildren(h("div", { class: "clock-head" }, h("strong", {}, "Clock"), output, h("ul", {}, values), h("button", { type: "button", class: "icon", "aria-label": "Hide the clock", title: "Hide the clock", onclick: close }, "×")), picture, range);
}
