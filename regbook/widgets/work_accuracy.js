// What a smaller image error costs: error over the products with AᵀA spent, a curve for each method.
// data: {curves: [{name, color, dash, on, products, errors}], budget}: errors in %, after each step.
(root, data, kit) => {
  const W = 420, H = 330, left = 46, right = 12, top = 14, bottom = 44;
  const xs = { low: Math.log10(5), high: Math.log10(60000) }, ys = { low: Math.log10(8.6), high: Math.log10(44) };
  const { text, muted, line, card } = kit.colors;
  const px = (products) => left + ((Math.log10(products) - xs.low) / (xs.high - xs.low)) * (W - left - right);
  const py = (error) => top + ((ys.high - Math.log10(error)) / (ys.high - ys.low)) * (H - top - bottom);
  const whole = (v) => Math.round(v).toLocaleString("en-GB");
  const words = (x, y, content, more) =>
    kit.svg("text", { x, y, fill: text, "font-size": 13.5, "text-anchor": "middle", ...more }, content);
  const svg = kit.svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", style: "max-width:720px;margin:0 auto" });
  for (const y of [10, 15, 20, 30, 40]) {
    svg.append(kit.svg("line", { x1: left, x2: W - right, y1: py(y), y2: py(y), stroke: line }),
      words(left - 6, py(y) + 5, `${y} %`, { "text-anchor": "end" }));
  }
  for (const x of [10, 100, 1000, 10000]) {
    svg.append(kit.svg("line", { x1: px(x), x2: px(x), y1: top, y2: H - bottom, stroke: line }),
      words(px(x), H - bottom + 18, whole(x)));
  }
  svg.append(words((left + W - right) / 2, H - 6, "products with AᵀA spent", { fill: muted }));
  const limit = kit.svg("line", { y1: top, y2: H - bottom, stroke: text, "stroke-width": 1.5, "stroke-dasharray": "1 3" });
  svg.append(limit);

  const letters = "abcdefghijklmnopqrstuvwxyz";
  let budget = 10 ** (Math.round(10 * Math.log10(data.budget)) / 10);  // where the slider can stand
  const curves = data.curves.map((curve, k) => {
    const stroke = kit.colors[curve.color];
    const points = curve.products.map((p, i) => [px(p), py(curve.errors[i])]);
    const path = (width, opacity) => kit.svg("path", { fill: "none", stroke, "stroke-width": width, opacity,
      "stroke-linejoin": "round", "stroke-dasharray": curve.dash || null });
    const ahead = path(1.2, 0.45), spent = path(2.6, 1);
    const dot = kit.svg("circle", { r: 4.5, fill: stroke, stroke: card, "stroke-width": 1 });
    const [x, y] = points[points.length - 1];
    const tag = words(Math.min(x + 9, W - 6), y + 4, letters[k], { "font-size": 12.5, "font-weight": 700, fill: stroke });
    const group = kit.svg("g", {}, ahead, spent, dot, tag);
    ahead.setAttribute("d", "M" + points.map((p) => p.map((v) => v.toFixed(1)).join(",")).join("L"));
    svg.append(group);
    const box = kit.el("input", { type: "checkbox", checked: curve.on, autocomplete: "off", onchange: () => draw() });
    const swatch = kit.svg("svg", { viewBox: "0 0 30 10", width: 30, height: 10, "aria-hidden": "true", style: "flex:none" },
      kit.svg("line", { x1: 0, x2: 30, y1: 5, y2: 5, stroke, "stroke-width": 3, "stroke-dasharray": curve.dash || null }));
    const label = kit.el("label", { class: "rk-option", style: "min-height:34px;gap:.45rem" }, box, swatch,
      kit.el("span", {}, kit.el("b", {}, `${letters[k]} `), curve.name));
    return { ...curve, points, group, spent, dot, box, label };
  });

  const draw = () => {
    const shown = curves.filter((curve) => curve.box.checked);
    limit.setAttribute("x1", px(budget));
    limit.setAttribute("x2", px(budget));
    const reached = [];
    for (const curve of curves) {
      curve.group.setAttribute("visibility", curve.box.checked ? "visible" : "hidden");
      const steps = curve.products.filter((p) => p <= budget).length;
      const path = curve.points.slice(0, steps).map((p) => p.map((v) => v.toFixed(1)).join(","));
      curve.spent.setAttribute("d", steps ? "M" + path.join("L") : "");
      curve.dot.setAttribute("visibility", curve.box.checked && steps ? "visible" : "hidden");
      if (!steps) continue;
      const [x, y] = curve.points[steps - 1];
      curve.dot.setAttribute("cx", x);
      curve.dot.setAttribute("cy", y);
      if (curve.box.checked) reached.push([curve.errors[steps - 1], curve.name]);
    }
    reached.sort((a, b) => a[0] - b[0]);
    const best = reached.slice(0, 3).map(([error, name]) => `${name} ${error.toFixed(1)} %`).join("; ");
    const list = !shown.length ? "No curve is ticked." : !reached.length ? "None of the ticked methods has finished a first step."
      : `Nearest of the ${shown.length} ticked: ${best}.`;
    const said = `For ${whole(budget)} products. ${list}`;
    svg.setAttribute("aria-label", `Image error over products with AᵀA. ${said}`);
    kit.say(said);
  };
  const slider = kit.slider({ label: "products", min: 1, max: 4.7, step: 0.1, value: Math.log10(budget),
    text: (v) => whole(10 ** v), input: (v) => { budget = 10 ** v; draw(); } });
  const tick = (which) => () => { for (const curve of curves) curve.box.checked = which(curve); draw(); };
  const boxes = kit.el("div", { role: "group", "aria-label": "Methods shown",
    style: "display:grid;grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:0 8px" }, ...curves.map((curve) => curve.label));
  root.append(svg, slider.row, boxes, kit.row(
    kit.button("all", tick(() => true)), kit.button("no curve", tick(() => false)), kit.button("as at first", tick((curve) => curve.on))));
  draw();
}
