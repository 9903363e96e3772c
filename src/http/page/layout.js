// Where elements stand: columns by stage, rows by who supplies whom. The same network is always
// laid out alike, so an element keeps its place in every scenario.

export const BOX = { width: 128, height: 22 };
const ROW = 27;
const SUB = BOX.width + 14;
const GAP = 62;
const SWEEPS = 6;

/** Rows of a column so that the whole is about `aspect` times as wide as high. */
function rowsFor(sizes, aspect) {
  for (let rows = 8; rows < 2000; rows += 1) {
    const width = sizes.reduce((sum, n) => sum + Math.ceil(n / rows) * SUB, 0) + GAP * (sizes.length - 1);
    if (width <= aspect * rows * ROW) return rows;
  }
  return 2000;
}

/** Positions by id, and columns with their middle. */
export function layout(overview, aspect = 1.5) {
  const columns = overview.stages.map(() => []);
  for (const node of overview.nodes) columns[node.column].push(node.id);
  const used = columns.map((ids, i) => ({ ids, stage: overview.stages[i].id })).filter((c) => c.ids.length);
  const near = new Map(overview.nodes.map((n) => [n.id, { before: [], after: [] }]));
  for (const flow of overview.flows) {
    near.get(flow.from)?.after.push([flow.to, flow.of_supply]);
    near.get(flow.to)?.before.push([flow.from, flow.of_intake]);
  }
  const rank = new Map();
  const number = (ids) => ids.forEach((id, i) => rank.set(id, (i + 0.5) / ids.length));
  for (const column of used) number(column.ids);
  // Barycentres, forth and back; ties keep their order, so that nothing moves by chance.
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const forth = sweep % 2 === 0;
    for (const column of forth ? used : [...used].reverse()) {
      const centre = new Map(column.ids.map((id, i) => {
        const links = near.get(id)[forth ? "before" : "after"].filter(([other]) => other !== id);
        const total = links.reduce((sum, [, w]) => sum + w + 0.02, 0);
        const own = rank.get(id);
        const mean = total > 0 ? links.reduce((sum, [other, w]) => sum + (rank.get(other) ?? own) * (w + 0.02), 0) / total : own;
        return [id, mean + i * 1e-9];
      }));
      column.ids.sort((a, b) => centre.get(a) - centre.get(b));
      number(column.ids);
    }
  }
  const rows = rowsFor(used.map((c) => c.ids.length), aspect);
  const tallest = Math.max(0, ...used.map((c) => Math.ceil(c.ids.length / Math.ceil(c.ids.length / rows))));
  const positions = new Map();
  const heads = [];
  let x = 0;
  for (const column of used) {
    const subs = Math.ceil(column.ids.length / rows);
    const each = Math.ceil(column.ids.length / subs);
    column.ids.forEach((id, i) => {
      // Side by side, row after row: neighbours in order stay neighbours on the map.
      const row = Math.floor(i / subs);
      positions.set(id, { x: x + (i % subs) * SUB, y: (row + (tallest - each) / 2) * ROW });
    });
    const width = (subs - 1) * SUB;
    heads.push({ stage: column.stage, x: x + width / 2, left: x - BOX.width / 2, right: x + width + BOX.width / 2 });
    x += width + SUB + GAP;
  }
  return { positions, heads, height: tallest * ROW, order: used.map((c) => c.ids) };
}

/** Control points of an edge that leaves to the right and arrives from the left, as cytoscape
 * wants them: weights along the straight line and distances from it. */
export function curve(from, to) {
  const [x0, x1] = [from.x + BOX.width / 2, to.x - BOX.width / 2];
  const reach = x1 > x0 ? (x1 - x0) * 0.32 : 46;
  const points = [[x0 + reach, from.y], [x1 - reach, to.y]];
  const [dx, dy] = [x1 - x0, to.y - from.y];
  const length = Math.hypot(dx, dy) || 1;
  const weights = points.map(([px, py]) => ((px - x0) * dx + (py - from.y) * dy) / (length * length));
  const distances = points.map(([px, py]) => ((py - from.y) * dx - (px - x0) * dy) / length);
  return { weights, distances };
}
