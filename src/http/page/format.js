// Numbers and names for people. No more digits than the figures carry.

/** A fraction as a whole percentage; what is not zero never shows as zero. */
export function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return "–";
  const p = share * 100;
  if (p <= 0) return "0 %";
  if (p < 0.5) return "< 1 %";
  if (p > 99.5 && share < 1) return "> 99 %";
  return `${Math.round(p)} %`;
}

/** A difference of two fractions in percentage points. */
export function points(difference) {
  const p = difference * 100;
  if (Math.abs(p) < 0.05) return "±0";
  const text = Math.abs(p) < 1 ? Math.abs(p).toFixed(1) : String(Math.round(Math.abs(p)));
  return `${p > 0 ? "+" : "−"}${text} pts`;
}

/** A quantity with three significant digits. */
export function quantity(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "unknown";
  if (value === 0) return "0";
  return new Intl.NumberFormat("en", { maximumSignificantDigits: 3 }).format(value).replaceAll(",", "\u202f");
}

/** A figure with its unit. */
export function figure(f) {
  if (f === null || f === undefined) return "unknown";
  if (typeof f === "number") return quantity(f);
  if (f.unit === "share of world output") return `${percent(f.value)} of world output`;
  return `${quantity(f.value)}${f.unit ? ` ${f.unit}` : ""}`;
}

/** Where a figure comes from. */
export function origin(f) {
  if (!f || typeof f === "number") return "";
  return [f.class, f.year, f.source].filter((x) => x !== undefined && x !== null && x !== "").join(" · ");
}

export const words = (id) => String(id).replaceAll("_", " ");

/** `product.stage` as "product (stage)". */
export function step(id) {
  const dot = id.lastIndexOf(".");
  return dot > 0 && dot < id.length - 1 ? `${words(id.slice(0, dot))} (${words(id.slice(dot + 1))})` : words(id);
}

/** Class of a loss on the scale of the legend. */
export function lossClass(loss) {
  if (!(loss > 1e-12)) return 0;
  if (loss < 0.05) return 1;
  if (loss < 0.2) return 2;
  if (loss < 0.5) return 3;
  return loss < 0.8 ? 4 : 5;
}

export const LOSS_STEPS = ["none", "< 5 %", "5–20 %", "20–50 %", "50–80 %", "≥ 80 %"];

const list = (x) => (x === undefined || x === null ? [] : Array.isArray(x) ? x : [x]);

/** A selector in words. */
export function selection(select, names = {}) {
  if (!select) return "everything";
  const parts = [];
  const say = (key, translate = words) => {
    const all = list(select[key]);
    if (all.length) parts.push(all.slice(0, 4).map(translate).join(", ") + (all.length > 4 ? ` and ${all.length - 4} more` : ""));
  };
  say("country", (c) => names[c] ?? c);
  say("bloc");
  say("product");
  say("stage");
  say("node", String);
  for (const [key, value] of Object.entries(select.attributes ?? {})) parts.push(`${words(key)}: ${list(value).join(", ")}`);
  if (select.any) parts.push(list(select.any).map((s) => selection(s, names)).join(" or "));
  if (select.not) parts.push(`but not ${selection(select.not, names)}`);
  return parts.join(" · ") || "everything";
}
