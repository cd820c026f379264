// What a smaller image error costs: error over the products with AᵀA spent, a curve for each method.
// data: see regbook.widgets.work_accuracy.
(root, data, kit) => {
  const W = 420, H = 330, left = 46, right = 12, top = 14, bottom = 44;
  const { text, card } = kit.colors;
  const names = kit.text({ "font-size": 13.5 });
  const svg = kit.drawing(W, H, { style: "max-width:720px;margin:0 auto" });
  const plot = kit.plot({ svg, box: [left, top, W - right, H - bottom],
    x: { low: 5, high: 60000, scale: "log", ticks: [10, 100, 1000, 10000], text: kit.whole, rules: true,
      label: "products with AᵀA spent" },
    y: { low: 8.6, high: 44, scale: "log", ticks: [10, 15, 20, 30, 40], text: (v) => `${v} %` } });
  const limit = plot.rule({ stroke: text, "stroke-width": 1.5, "stroke-dasharray": "1 3" });

  let budget = 10 ** (Math.round(10 * Math.log10(data.budget)) / 10);  // where the slider can stand
  const curves = data.curves.map((curve) => {
    const stroke = kit.colors[curve.color], dash = curve.dash || null;
    const points = curve.products.map((p, i) => [p, curve.errors[i]]);
    const line = (width, opacity) => plot.line({ stroke, "stroke-width": width, opacity, "stroke-linejoin": "round",
      "stroke-dasharray": dash });
    const ahead = line(1.2, 0.45), spent = line(2.6, 1);
    const dot = plot.dot({ r: 4.5, fill: stroke, stroke: card, "stroke-width": 1 });
    const halo = { stroke: card, "stroke-width": 3, "paint-order": "stroke", "stroke-linejoin": "round" };
    const tag = names(0, 0, curve.name, { fill: stroke, "text-anchor": "start", "font-weight": 600, ...halo });
    const group = plot.add(kit.svg("g", {}, ahead.node, spent.node, dot.node, tag));
    ahead(points);
    const box = kit.el("input", { type: "checkbox", checked: curve.on, autocomplete: "off", onchange: () => draw() });
    const size = { viewBox: "0 0 30 10", width: 30, height: 10 };
    const swatch = kit.svg("svg", { ...size, "aria-hidden": "true", style: "flex:none" },
      kit.svg("line", { x1: 0, x2: 30, y1: 5, y2: 5, stroke, "stroke-width": 3, "stroke-dasharray": dash }));
    const label = kit.el("label", { class: "rk-option", style: "min-height:34px;gap:.45rem" }, box, swatch,
      kit.el("span", {}, curve.name));
    return { ...curve, points, group, spent, dot, box, label, tag };
  });

  // The name of a curve stands at one of its points, where it hides least of the others.
  const place = (shown) => {
    const taken = [], high = 13, wide = (name) => 7.5 * name.length + 6;
    const lines = shown.map(({ points }) => points.flatMap(([p, e], i) => {
      const [q, f] = points[Math.min(i + 1, points.length - 1)];
      return [0, 1, 2, 3, 4, 5].map((t) => [plot.px(p) + (t / 6) * (plot.px(q) - plot.px(p)),
        plot.py(e) + (t / 6) * (plot.py(f) - plot.py(e))]);
    }));
    shown.forEach(({ points, tag, name }, k) => {
      let best = [Infinity];
      points.forEach(([p, e], i) => {
        for (const [dx, dy] of [[7, -6], [7, 4], [7, 16], [-7 - wide(name), -6], [-7 - wide(name), 16]]) {
          const x = plot.px(p) + dx, y = plot.py(e) + dy;
          const box = [x - 2, y - high, x + wide(name), y + 3];
          if (box[0] < left || box[2] > W - 2 || box[1] < top || box[3] > H - bottom) continue;
          const hit = ([u, v]) => u > box[0] && u < box[2] && v > box[1] && v < box[3];
          const over = taken.some((b) => b[0] < box[2] && box[0] < b[2] && b[1] < box[3] && box[1] < b[3]);
          const cost = lines.flat().filter(hit).length + 100 * over + 0.05 * (points.length - i);
          if (cost < best[0]) best = [cost, x, y, box];
        }
      });
      if (best.length > 1) { taken.push(best[3]); kit.make(tag, { x: best[1], y: best[2] }, []); }
    });
  };

  const sentence = (products, list) => `For ${kit.whole(products)} products. ${list}`;
  const nearest = (count, reached) => {
    const best = reached.slice(0, 3).map(([error, name]) => `${name} ${error.toFixed(1)} %`);
    return `Nearest of the ${count} ticked: ${best.join("; ")}.`;
  };
  const long = curves.map(({ name }) => [88.8, name]).sort((a, b) => b[1].length - a[1].length);
  kit.longest(sentence(10 ** 4.7, nearest(curves.length, long)));

  const draw = () => {
    const shown = curves.filter((curve) => curve.box.checked);
    limit(budget);
    place(shown);
    const reached = [];
    for (const curve of curves) {
      curve.group.setAttribute("visibility", curve.box.checked ? "visible" : "hidden");
      const steps = curve.products.filter((p) => p <= budget).length;
      curve.spent(curve.points.slice(0, steps));
      curve.dot.node.setAttribute("visibility", curve.box.checked && steps ? "visible" : "hidden");
      if (!steps) continue;
      curve.dot(...curve.points[steps - 1]);
      if (curve.box.checked) reached.push([curve.errors[steps - 1], curve.name]);
    }
    reached.sort((a, b) => a[0] - b[0]);
    const list = !shown.length ? "No curve is ticked."
      : !reached.length ? "None of the ticked methods has finished a first step."
      : nearest(shown.length, reached);
    const said = sentence(budget, list);
    svg.setAttribute("aria-label", `Image error over products with AᵀA. ${said}`);
    kit.say(said);
  };
  const slider = kit.logSlider({ label: "products", low: 1, high: 4.7, step: 0.1, value: budget, text: kit.whole,
    input: (v) => { budget = v; draw(); } });
  const tick = (which) => () => { for (const curve of curves) curve.box.checked = which(curve); draw(); };
  const columns = "display:grid;grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:0 8px";
  const boxes = (which, name) => kit.el("div", { role: "group", "aria-label": name, style: columns },
    ...curves.filter(which).map((curve) => curve.label));
  const more = curves.filter((curve) => !curve.on).length;
  const others = kit.el("details", {}, kit.el("summary", {}, `${more} more methods`),
    boxes((curve) => !curve.on, "More methods"));
  root.append(svg, slider.row, boxes((curve) => curve.on, "Methods shown at first"), ...(more ? [others] : []),
    kit.el("div", { class: "rk-buttons" }, kit.button("all", tick(() => true)),
      kit.button("no curve", tick(() => false)), kit.button("as at first", tick((curve) => curve.on))));
  draw();
}
