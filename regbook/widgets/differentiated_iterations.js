// How many iterations of conjugate gradients are differentiated, and what that does to everything after it.
// data: the record of benchmarks/differentiating_cg.py, arrays with the axes (tail, total, percent, …); truth
// (m₁, m₂); exact, none: image errors over the steps with those Jacobians; names: of the tails; start: indices.
(root, data, kit) => {
  const { totals, percents, lengths, truth, names } = data;
  const [P, H, S, K] = [percents.length, lengths.length, data.image_error.shape[3], data.image_error.shape[4]];
  const at = (tail, total, percent) => (tail * totals.length + total) * P + percent;
  let [tail, total, percent] = data.start;
  const { text, muted, line, blue, vermillion, green, orange, purple, sky } = kit.colors;
  const hues = [vermillion, purple, orange, blue];

  // A panel is a small picture with axes; several stand beside each other, or below each other on a phone.
  const W = 340, TALL = 236, left = 52, right = 20, top = 30, bottom = 42;
  const panels = kit.el("div", { style: "display:flex;flex-wrap:wrap;gap:4px 12px" });
  const power = (e) => "10" + String(e).replace("-", "⁻").replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);
  const panel = (title, xs, ys, below) => {
    const px = (x) => left + ((x - xs.low) / (xs.high - xs.low)) * (W - left - right);
    const py = (y) => {
      const inside = Math.max(ys.low, Math.min(ys.high, y));
      return top + ((ys.high - inside) / (ys.high - ys.low)) * (TALL - top - bottom);
    };
    const words = (x, y, content, more) =>
      kit.svg("text", { x, y, fill: text, "font-size": 13.5, "text-anchor": "middle", ...more }, content);
    const svg = kit.svg("svg", { viewBox: `0 0 ${W} ${TALL}`, role: "img", "aria-label": title, style: "flex:1 1 260px;max-width:420px" },
      words(left - 44, 16, title, { "text-anchor": "start", "font-weight": 600 }));
    for (const y of ys.ticks) {
      svg.append(kit.svg("line", { x1: left, x2: W - right, y1: py(y), y2: py(y), stroke: line }),
        words(left - 6, py(y) + 5, ys.text(y), { "text-anchor": "end" }));
    }
    for (const x of xs.ticks) svg.append(words(px(x), TALL - bottom + 18, xs.text(x)));
    svg.append(words((left + W - right) / 2, TALL - 6, below, { fill: muted }));
    panels.append(svg);
    const curve = (stroke, width, dash) => {
      const node = kit.svg("path", { fill: "none", stroke, "stroke-width": width, "stroke-dasharray": dash, "stroke-linejoin": "round" });
      svg.append(node);
      return (points) => {
        const known = points.filter(([, y]) => !Number.isNaN(y));
        node.setAttribute("d", known.map(([x, y], k) => `${k ? "L" : "M"}${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(""));
      };
    };
    const note = (x, y, content, fill, more) => svg.append(words(x, y, content, { fill, "font-size": 12.5, ...more }));
    return { svg, px, py, curve, note };
  };
  const decades = (low, high, step) => ({ low, high, text: power,
    ticks: Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, k) => low + k * step) });
  const plain = (ticks, unit = "") => ({ low: ticks[0], high: ticks[ticks.length - 1], ticks, text: (v) => `${v}${unit}` });
  const log = (v) => (v > 0 ? Math.log10(v) : v === 0 ? -99 : NaN);

  const slopes = panel("Error of the Jacobian, ‖J − J*‖ / ‖J*‖", plain([0, 25, 50, 75, 100], " %"), decades(-8, 12, 4), "of the iterations differentiated");
  const others = names.map((_, k) => slopes.curve(hues[k], 1.5, "2 3"));
  const all = names.map((_, k) => slopes.curve(hues[k], 3));
  const dot = kit.svg("circle", { r: 6, stroke: text, "stroke-width": 1.5 });
  slopes.svg.append(dot);

  const taylor = panel("Taylor test: ‖r(w+hv) − r(w) − hJv‖", decades(-9, 0, 3), decades(-4, 8, 4), "step h");
  const [good, bad, chosen] = [taylor.curve(green, 1.5, "5 4"), taylor.curve(muted, 1.5, "2 3"), taylor.curve(vermillion, 3)];

  const steps = panel("Image error over the optimiser's steps", plain([0, 3, 6, 9]), plain([0, 10, 20, 30, 40, 50], " %"), "step");
  const [best, slow] = [steps.curve(green, 1.5, "5 4"), steps.curve(muted, 1.5, "2 3")];
  const runs = Array.from({ length: S }, () => steps.curve(vermillion, 2));
  taylor.note(left + 6, top + 12, "dashed: all differentiated", green, { "text-anchor": "start" });
  taylor.note(left + 6, top + 27, "dotted: none", muted, { "text-anchor": "start" });
  steps.note(left + 6, TALL - bottom - 22, "dashed: exact Jacobian", green, { "text-anchor": "start" });
  steps.note(left + 6, TALL - bottom - 7, "dotted: nothing differentiated", muted, { "text-anchor": "start" });

  // The image has its first index along x and its second along y, upwards.
  const [m1, m2] = truth.shape;
  const canvas = (label) => {
    const node = kit.el("canvas", { width: m1, height: m2, role: "img", "aria-label": label,
      style: "width:100%;image-rendering:pixelated;border:1px solid var(--rk-line);border-radius:4px" });
    const box = kit.el("div", { style: "flex:1 1 0;min-width:0" }, node, kit.el("p", { style: "font-size:.9em;text-align:center" }, label));
    return { node, box };
  };
  const picture = canvas("reconstruction"), difference = canvas("its error (orange: too dark)");
  panels.append(kit.el("div", { style: "flex:1 1 260px;max-width:420px;display:flex;gap:10px;padding:8px 4px;align-items:flex-start" },
    picture.box, difference.box));
  const paint = (node, color) => {
    const context = node.getContext("2d"), image = context.createImageData(m1, m2);
    for (let i = 0; i < m1; i++) for (let j = 0; j < m2; j++) {
      image.data.set([...color(i * m2 + j), 255], 4 * ((m2 - 1 - j) * m1 + i));
    }
    context.putImageData(image, 0, 0);
  };
  const warm = [179, 88, 6], cool = [84, 39, 136];
  const mixed = (d) => {  // white at 0, orange where the reconstruction is too dark, purple where too bright
    const share = Math.min(1, Math.abs(d) / 128), end = d < 0 ? warm : cool;
    return end.map((c) => 255 + share * (c - 255));
  };

  const number = (v) => {
    if (Number.isNaN(v)) return "lost in rounding errors";
    if (v >= 1e4) { const e = Math.floor(Math.log10(v)); return `${(v / 10 ** e).toFixed(0)}·${power(e)}`; }
    return Number(v.toPrecision(2)).toString();
  };
  const count = () => Math.floor((totals[total] * percents[percent]) / 100);
  const draw = () => {
    const here = at(tail, total, percent), hue = hues[tail];
    names.forEach((_, k) => {
      const points = Array.from(percents, (p, i) => [p, log(data.jacobian_error[at(k, total, i) * S])]);
      all[k](k === tail ? points : []);
      others[k](k === tail ? [] : points);
    });
    const error = data.jacobian_error[here * S], none = data.jacobian_error[at(tail, total, 0) * S];
    dot.setAttribute("cx", slopes.px(percents[percent]));
    dot.setAttribute("cy", slopes.py(Number.isNaN(error) ? 99 : log(error)));
    dot.setAttribute("fill", hue);
    const rest = (place) => Array.from(lengths, (h, i) => [log(h), log(data.taylor[place * H + i])]);
    good(rest(at(0, total, P - 1)));
    bad(rest(at(0, total, 0)));
    chosen(rest(here));
    const path = (values) => Array.from(values, (v, i) => [i, 100 * v]);
    best(path(data.exact));
    slow(path(data.none));
    const ends = [];
    runs.forEach((curve, k) => {
      const values = data.image_error.subarray((here * S + k) * K, (here * S + k + 1) * K);
      curve(path(values));
      ends.push(100 * values[K - 1]);
    });
    for (const svg of [taylor.svg, steps.svg]) {
      svg.querySelectorAll("path").forEach((node) => {
        if (+node.getAttribute("stroke-width") >= 2) node.setAttribute("stroke", hue);
      });
    }
    const image = data.image.subarray(here * m1 * m2, (here + 1) * m1 * m2);
    paint(picture.node, (i) => [image[i], image[i], image[i]]);
    paint(difference.node, (i) => mixed(image[i] - truth[i]));

    const what = percent === 0 ? "none of them differentiated" : tail === 3
      ? `and ${count()} more for the tangents` : `the last ${count()} differentiated (${names[tail]})`;
    const than = percent === 0 ? "" : error > none * 1.05 ? `, ${number(error / none)} times that of differentiating none`
      : `, ${number(none / error)} times smaller than that of differentiating none`;
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    const end = Number.isNaN(low) ? "the optimiser cannot run" : high - low < 0.15 ? `the image error ends at ${low.toFixed(1)} %`
      : `the image error ends between ${low.toFixed(1)} and ${high.toFixed(1)} %, for starts that differ by ${power(-10)}`;
    kit.say(`${totals[total]} iterations, ${what}: the Jacobian's relative error is ${number(error)}${than}; ${end}.`);
  };

  const list = kit.select({ label: "the last ones", options: names, value: tail, input: (k) => { tail = k; draw(); } });
  const many = kit.slider({ label: "iterations", max: totals.length - 1, step: 1, value: total, text: (k) => `${totals[k]}`,
    input: (k) => { total = k; draw(); } });
  const part = kit.slider({ label: "differentiated", max: P - 1, step: 1, value: percent, text: (k) => `last ${percents[k]} %`,
    input: (k) => { percent = k; draw(); } });
  root.append(panels, many.row, part.row, list.row);
  slopes.svg.append(...names.map((name, k) => kit.svg("text", { x: left + 8, y: TALL - bottom - 47 + 14 * k, fill: hues[k], "font-size": 12.5 }, name)));
  draw();
}
