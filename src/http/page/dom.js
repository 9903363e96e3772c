// Builds the page. All text goes through text nodes, so a name is never read as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, properties, children) {
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.setAttribute("class", value);
    else if (key === "data") Object.assign(node.dataset, value);
    else if (key === "value" || key === "checked" || key === "selected") node[key] = value;
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

/** An HTML element; strings among the children become text. */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** An SVG element. */
export function s(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

export const $ = (id) => document.getElementById(id);

/** Control characters and marks that turn the direction of text are made visible. */
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g;

/** A name for people: at most `most` characters, the whole of it on hover. */
export function clip(text, most = 60) {
  const plain = String(text).replace(HIDDEN, "\ufffd");
  return plain.length <= most ? plain : `${plain.slice(0, most - 1)}…`;
}

/** A name as an element, isolated from the direction of the text around it. */
export function name(text, most = 60) {
  const whole = String(text);
  return h("bdi", { title: whole.length > most ? clip(whole, 600) : undefined }, clip(whole, most));
}

/** Says something to screen readers. */
export function say(text) {
  $("says").textContent = clip(text, 400);
}

let fading = 0;

/** Says something to everybody, for a moment. */
export function tell(text) {
  say(text);
  const toast = $("toast");
  toast.textContent = clip(text, 200);
  toast.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => (toast.hidden = true), 3500);
}

/** A message in place of content. */
export function note(kind, title, ...more) {
  return h("div", { class: `note ${kind}`, role: kind === "bad" ? "alert" : undefined }, h("strong", {}, title), more.map((m) => (typeof m === "string" ? h("p", {}, m) : m)));
}

/** A problem of the server as a message. */
export function problem(error, retry) {
  const again = retry ? [h("button", { type: "button", class: "quiet", onclick: retry }, "Try again")] : [];
  if (error.name === "AbortError") return note("", "Stopped.", ...again);
  const lines = [error.hint, error.param ? `Parameter: ${clip(error.param, 120)}` : null].filter(Boolean).map((t) => clip(t, 400));
  return note("bad", clip(error.message || "Something went wrong.", 600), ...lines, ...again);
}
