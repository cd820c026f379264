// One data point of a 1-D smoothing spline, moved by hand.
// data: values (m,), mu (m,), modes V (m, m), projection VᵀBᵀ (m, m) from regkit.spline.smoothing_modes, so that
// c(θ) = V diag(1/(1 + θμ)) VᵀBᵀ T is computed here as it is in regkit.
(root, data, kit) => {
  const { mu, modes, projection } = data;
  const values = Array.from(data.values), m = values.length, current = values.slice();
  const W = 720, H = 250, LOW = 150, left = 46, right = 10, top = 12, HIGH = 2.9, DEEP = -0.6;
  const px = (u) => left + ((u + 2) / (m + 3)) * (W - left - right);
  const py = (v) => top + ((HIGH - v) / (HIGH - DEEP)) * (H - top - 10);

  const b = (x) => {
    const d = Math.abs(x);
    return d >= 2 ? 0 : d >= 1 ? (2 - d) ** 3 : (3 * d - 6) * d * d + 4;
  };
  const times = (matrix, vector) => {
    const product = new Float64Array(m);
    for (let i = 0; i < m; i++) for (let j = 0; j < m; j++) product[i] += matrix[i * m + j] * vector[j];
    return product;
  };
  const coefficients = (image, theta) => times(modes, times(projection, image).map((a, k) => a / (1 + theta * mu[k])));
  const spline = (c, u) => {
    let sum = 0;
    for (let j = Math.max(0, Math.floor(u) - 1); j <= Math.min(m - 1, Math.floor(u) + 2); j++) sum += c[j] * b(u - j);
    return sum;
  };

  const { text, line, blue, sky, green, vermillion } = kit.colors;
  const label = (x, y, words, anchor = "start") =>
    kit.svg("text", { x, y, "text-anchor": anchor, "font-size": 15, fill: text }, words);
  const rule = (y) => kit.svg("line", { x1: left, x2: W - right, y1: y, y2: y, stroke: line });
  const svg = kit.svg("svg", { viewBox: `0 0 ${W} ${H + LOW}`, role: "img", style: "touch-action:pan-y" });
  for (const v of [0, 1, 2]) svg.append(rule(py(v)), label(left - 6, py(v) + 5, `${v}`, "end"));
  const curve = (attributes) => {
    const node = kit.svg("path", { fill: "none", ...attributes });
    svg.append(node);
    return node;
  };
  const hats = values.map(() => curve({ stroke: sky, "stroke-width": 1 }));
  const before = curve({ stroke: text, "stroke-opacity": 0.6, "stroke-dasharray": "5 4" });
  const after = curve({ stroke: blue, "stroke-width": 3 });
  const dots = values.map((_, k) => {
    const node = kit.svg("circle", { "data-point": k + 1, style: "cursor:ns-resize" });
    svg.append(node);
    return node;
  });

  const base = H + LOW - 8, barTop = H + 34, decades = 7;
  const by = (v) => base - (Math.max(0, decades + Math.log10(Math.max(v, 1e-12))) / decades) * (base - barTop);
  svg.append(label(left, H + 18, "influence of the chosen point on each gap between data points (log scale)"));
  for (const [e, words] of [[0, "1"], [-2, "10⁻²"], [-4, "10⁻⁴"], [-6, "10⁻⁶"]]) {
    svg.append(rule(by(10 ** e)), label(left - 6, by(10 ** e) + 5, words, "end"));
  }
  const bars = Array.from({ length: m + 1 }, (_, k) => {
    const node = kit.svg("rect", { x: px(k - 1) + 2, width: px(1) - px(0) - 4, fill: green });
    svg.append(node);
    return node;
  });

  const path = (f, low, high, step) => {
    let d = "";
    for (let u = low; u <= high + 1e-9; u += step) d += `${d ? "L" : "M"}${px(u).toFixed(1)},${py(f(u)).toFixed(1)}`;
    return d;
  };
  const written = (t) => (t === 0 ? "0 (interpolation)" : Number(t.toPrecision(2)).toString());
  const power = (position) => (position <= -4 ? 0 : 10 ** position);

  let chosen = 9, theta = 0;
  const draw = () => {
    const c = coefficients(current, theta), start = coefficients(values, theta);
    const unit = coefficients(values.map((_, k) => (k === chosen ? 1 : 0)), theta);
    before.setAttribute("d", path((u) => spline(start, u), -2, m + 1, 0.1));
    after.setAttribute("d", path((u) => spline(c, u), -2, m + 1, 0.1));
    hats.forEach((node, k) => node.setAttribute("d", path((u) => c[k] * b(u - k), k - 2, k + 2, 0.2)));
    dots.forEach((node, k) => {
      node.setAttribute("cx", px(k));
      node.setAttribute("cy", py(current[k]));
      node.setAttribute("r", k === chosen ? 8 : 4.5);
      node.setAttribute("fill", k === chosen ? vermillion : text);
    });
    const influence = bars.map((node, k) => {
      let most = 0;
      for (let s = 1; s < 10; s++) most = Math.max(most, Math.abs(spline(unit, k - 1 + s / 10)));
      node.setAttribute("y", by(most));
      node.setAttribute("height", base - by(most));
      return most;
    });
    const side = chosen < m / 2 ? 1 : -1, gap = side > 0 ? chosen + 1 : chosen;
    const ratio = influence[gap + 3 * side] / influence[gap + 2 * side];
    kit.say(`Point ${chosen + 1} at ${current[chosen].toFixed(2)}, θ = ${written(theta)}: the curve passes it at a distance of ` +
      `${Math.abs(spline(c, chosen) - current[chosen]).toFixed(3)}. From the third gap to the fourth its influence is multiplied by ${ratio.toFixed(3)}.`);
    height.set(current[chosen]);
  };

  const point = kit.slider({ label: "point", min: 1, max: m, step: 1, value: chosen + 1, text: (v) => `${v}`,
    input: (v) => { chosen = v - 1; draw(); } });
  const height = kit.slider({ label: "its value", min: -0.5, max: 2.8, step: 0.02, value: current[chosen],
    text: (v) => v.toFixed(2), input: (v) => { current[chosen] = v; draw(); } });
  const smoothing = kit.slider({ label: "θ", min: -4, max: 4, step: 0.25, value: -4,
    text: (v) => written(power(v)), input: (v) => { theta = power(v); draw(); } });
  const reset = kit.button("Reset the data", () => { values.forEach((v, k) => (current[k] = v)); draw(); });
  root.append(svg, point.row, height.row, smoothing.row, reset);

  let held = false;
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    return [((event.clientX - box.left) * W) / box.width, ((event.clientY - box.top) * W) / box.width];
  };
  svg.addEventListener("pointerdown", (event) => {
    const [x, y] = at(event);
    const away = values.map((_, k) => Math.hypot(px(k) - x, py(current[k]) - y));
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
