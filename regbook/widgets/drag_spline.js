// One data point of a 1-D smoothing spline, moved by hand. data: see regbook.widgets.drag_spline.
(root, data, kit) => {
  const { mu, modes, projection } = data;
  const values = Array.from(data.values), m = values.length, current = values.slice();
  const slim = kit.narrow(), W = slim ? 400 : 720, H = 250, LOW = 150;
  const left = 46, right = 10, top = 12, HIGH = 2.9, DEEP = -0.6;

  const b = (x) => {
    const d = Math.abs(x);
    return d >= 2 ? 0 : d >= 1 ? (2 - d) ** 3 : (3 * d - 6) * d * d + 4;
  };
  const times = (matrix, vector) => {
    const product = new Float64Array(m);
    for (let i = 0; i < m; i++) for (let j = 0; j < m; j++) product[i] += matrix[i * m + j] * vector[j];
    return product;
  };
  const coefficients = (image, theta) =>
    times(modes, times(projection, image).map((a, k) => a / (1 + theta * mu[k])));
  const spline = (c, u) => {
    let sum = 0;
    for (let j = Math.max(0, Math.floor(u) - 1); j <= Math.min(m - 1, Math.floor(u) + 2); j++) sum += c[j] * b(u - j);
    return sum;
  };

  const { text, blue, sky, green, vermillion } = kit.colors;
  const svg = kit.drawing(W, H + LOW, { style: "touch-action:pan-y" });
  const x = { low: -2, high: m + 1 };
  const plot = kit.plot({ svg, size: 15, box: [left, top, W - right, H - 10], x,
    y: { low: DEEP, high: HIGH, ticks: [0, 1, 2] } });
  const hats = values.map(() => plot.line({ stroke: sky, "stroke-width": 1 }));
  const before = plot.line({ stroke: text, "stroke-opacity": 0.6, "stroke-dasharray": "5 4" });
  const after = plot.line({ stroke: blue, "stroke-width": 3 });
  const dots = values.map((_, k) => plot.dot({ "data-point": k + 1, style: "cursor:ns-resize" }));

  const base = H + LOW - 8, exponents = { 1: 0, 1e-2: -2, 1e-4: -4, 1e-6: -6 };
  const title = slim ? "influence on each gap (log scale)"
    : "influence of the chosen point on each gap between data points (log scale)";
  svg.append(kit.text({ "font-size": 15 })(left, H + 18, title, { "text-anchor": "start" }));
  const reach = kit.plot({ svg, size: 15, box: [left, H + 34, W - right, base], x,
    y: { low: 1e-7, high: 1, scale: "log", clamp: true, ticks: [1, 1e-2, 1e-4, 1e-6],
      text: (v) => (v === 1 ? "1" : kit.power(exponents[v])) } });
  const marks = Array.from({ length: m + 1 }, (_, k) =>
    reach.add(kit.svg("circle", { cx: reach.px(k - 0.5), r: 6, fill: green })));

  const sampled = (f, low, high, step) => {
    const points = [];
    for (let u = low; u <= high + 1e-9; u += step) points.push([u, f(u)]);
    return points;
  };
  const written = (t) => (t === 0 ? "0 (interpolation)" : kit.number(t, 2));

  let chosen = 9, theta = 0;
  const draw = () => {
    const c = coefficients(current, theta), start = coefficients(values, theta);
    const unit = coefficients(values.map((_, k) => (k === chosen ? 1 : 0)), theta);
    before(sampled((u) => spline(start, u), -2, m + 1, 0.1));
    after(sampled((u) => spline(c, u), -2, m + 1, 0.1));
    hats.forEach((hat, k) => hat(sampled((u) => c[k] * b(u - k), k - 2, k + 2, 0.2)));
    dots.forEach((dot, k) => dot(k, current[k], { r: k === chosen ? 8 : 4.5, fill: k === chosen ? vermillion : text }));
    const influence = marks.map((node, k) => {
      let most = 0;
      for (let s = 1; s < 10; s++) most = Math.max(most, Math.abs(spline(unit, k - 1 + s / 10)));
      kit.make(node, { cy: reach.py(most) }, []);
      return most;
    });
    const side = chosen < m / 2 ? 1 : -1, gap = side > 0 ? chosen + 1 : chosen;
    const ratio = (influence[gap + 5 * side] / influence[gap + side]) ** 0.25;
    const off = Math.abs(spline(c, chosen) - current[chosen]).toFixed(3);
    kit.say(words(chosen + 1, current[chosen], theta, off, ratio));
    height.set(current[chosen]);
  };
  const words = (number, value, scale, off, ratio) => `Point ${number} at ${value.toFixed(2)}, ` +
    `θ = ${written(scale)}: the curve passes it at a distance of ${off}. ` +
    `From the second gap to the sixth its influence is multiplied by ${ratio.toFixed(3)} a gap.`;
  kit.longest(words(m, -0.5, 0, "0.000", -0.268));

  const point = kit.slider({ label: "point", min: 1, max: m, step: 1, value: chosen + 1, text: (v) => `${v}`,
    input: (v) => { chosen = v - 1; draw(); } });
  const height = kit.slider({ label: "its value", min: -0.5, max: 2.8, step: 0.02, value: current[chosen],
    text: (v) => v.toFixed(2), input: (v) => { current[chosen] = v; draw(); } });
  const smoothing = kit.logSlider({ label: "θ", low: -4, high: 4, step: 0.25, value: 0, zero: true, text: written,
    input: (v) => { theta = v; draw(); } });
  const reset = kit.button("Reset the data", () => { values.forEach((v, k) => (current[k] = v)); draw(); });
  root.append(svg, point.row, height.row, smoothing.row, reset);

  let held = false;
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    return [((event.clientX - box.left) * W) / box.width, ((event.clientY - box.top) * W) / box.width];
  };
  svg.addEventListener("pointerdown", (event) => {
    const [px, py] = at(event);
    const away = values.map((_, k) => Math.hypot(plot.px(k) - px, plot.py(current[k]) - py));
    const nearest = away.indexOf(Math.min(...away));
    if (away[nearest] > 40) return;
    [held, chosen] = [true, nearest];
    point.set(nearest + 1);
    svg.setPointerCapture(event.pointerId);
    event.preventDefault();
    draw();
  });
  svg.addEventListener("pointermove", (event) => {
    if (!held) return;
    const v = HIGH - ((at(event)[1] - top) / (H - top - 10)) * (HIGH - DEEP);
    current[chosen] = Math.min(2.8, Math.max(-0.5, v));
    draw();
  });
  for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, () => (held = false));
  draw();
}
