// Finds products, countries, stages and suppliers as one types.

import { $, clip, h, name } from "./dom.js";
import { get } from "./api.js";
import { words } from "./format.js";
import { state } from "./state.js";

let hits = [];
let active = -1;
let running = null;
let timer = 0;

const KIND = { product: "product", stage: "stage", country: "country", node: "supplier" };

export function start(onChoose) {
  const input = $("search");
  const list = $("found");
  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const choose = (hit) => {
    input.value = "";
    close();
    onChoose(hit);
  };
  const mark = (to) => {
    active = to;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === active)));
    const item = list.children[active];
    if (item?.id) {
      input.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    }
  };
  const show = (answer) => {
    hits = answer.results;
    const rows = hits.map((hit, i) =>
      h("li", { role: "option", id: `hit-${i}`, "aria-selected": "false", onmousedown: (e) => (e.preventDefault(), choose(hit)) },
        h("span", {}, name(hit.name ?? words(hit.id), 60)),
        h("small", {}, hit.kind === "node" ? KIND.node : `${KIND[hit.kind] ?? hit.kind}, ${hit.nodes}`)));
    const near = answer.suggestions.map((text) =>
      h("li", { role: "option", "aria-selected": "false", onmousedown: (e) => (e.preventDefault(), (input.value = text), look()) }, h("span", {}, "Did you mean ", name(text, 50), "?")));
    const none = h("li", { role: "option", "aria-selected": "false", "aria-disabled": "true", class: "none" }, `Nothing is called “${clip(input.value, 40)}”.`);
    list.replaceChildren(...(rows.length ? rows : near.length ? near : [none]));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    active = -1;
  };
  const look = async () => {
    running?.abort();
    const q = input.value.trim().slice(0, 200);
    if (!q || !state.graph) return close();
    running = new AbortController();
    try {
      show(await get(`/v1/graphs/${encodeURIComponent(state.graph)}/search?limit=12&q=${encodeURIComponent(q)}${state.at ? `&at=${state.at}` : ""}`, { signal: running.signal }));
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, 120);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && !list.hidden) mark(Math.min(active + 1, list.children.length - 1));
    else if (event.key === "ArrowUp" && !list.hidden) mark(Math.max(active - 1, 0));
    else if (event.key === "Enter" && hits.length && !list.hidden) choose(hits[Math.max(active, 0)]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
  input.addEventListener("blur", () => setTimeout(close, 100));
}
