// The tangent of a super-resolved image, computed here for any number of iterations, beside the recorded runs of an
// optimiser. data: see regbook.widgets.live_tangent; panels: what panels.js gives; compute: background.js for it.
(root, data, kit, panels, compute) => {
  const { tails, names, most, record } = data, { exact_dot: exact, shape } = data.given;
  const { text, muted, green } = kit.colors, { number, hues } = panels;
  let { way, total, last } = data.start, runs = [], known = {};

  // ------------------------------------------------------------------ pictures
  const size = [400, 236];
  const over = panels.panel("Error of the tangent", size,
    { ...panels.plain([0, 25, 50, 75, 100], " %"), label: "of the iterations differentiated" },
    panels.decades(-4, 10, 2));
  const curves = tails.map((tail) => over.line(hues[tail], 2));
  const dot = over.dot({ r: 6, stroke: text, "stroke-width": 1.5 });
  const legend = panels.legend(...names.map((name, k) => ["line", hues[tails[k]], name]));
  const progress = over.add(kit.text({ "font-size": 13, "text-anchor": "end" })(over.right - 4, over.bottom - 6, "",
    { fill: muted }));
  const errors = panels.errors(size, panels.decades(-6, 10, 2));

  const ramp = kit.ramp(data.error_colors), largest = Math.max(...exact.map(Math.abs));
  const picture = (label) => {
    const { node, paint } = kit.image([...shape], { role: "img", "aria-label": label,
      style: "width:100%;image-rendering:pixelated;border:1px solid var(--rk-line);border-radius:4px" });
    const name = kit.el("p", { style: "font-size:.85em;text-align:center" }, label);
    return { paint: (values) => paint((i) => ramp((values[i] || 0) / largest)),
      box: kit.el("div", { style: "flex:1 1 0;min-width:0" }, node, name) };
  };
  const truth = picture("exact"), found = picture("computed");
  truth.paint(exact);
  const images = kit.el("div", { style: "padding:4px 4px 0" },
    kit.el("p", { style: "font-size:.85em;font-weight:600" }, "The tangent is an image"),
    kit.el("div", { style: "display:flex;gap:14px;max-width:400px" }, found.box, truth.box));

  const steps = panels.panel("Recorded: image error over nine steps", size,
    { ...panels.plain([0, 3, 6, 9]), label: "step of the optimiser" }, panels.plain([0, 10, 20, 30, 40, 50], " %"));
  const [best, slow] = [steps.line(green, 1.5, "5 4"), steps.line(muted, 1.5, "2 3")];
  const K = record.image_error.shape[4], S = record.image_error.shape[3];
  const paths = Array.from({ length: S }, () => steps.line(text, 2));
  const percent = (values) => Array.from(values, (v, k) => [k, 100 * v]);
  best(percent(data.exact));
  slow(percent(data.none));
  steps.note(steps.bottom - 20, "dashed: exact Jacobian", green);
  steps.note(steps.bottom - 6, "dotted: nothing differentiated", muted);
  const which = steps.add(kit.text({ "font-size": 13, "text-anchor": "end" })(steps.right - 4, steps.top + 12, "",
    { fill: text }));

  // ------------------------------------------------------------------ what is computed here
  const PLACES = 20;
  const counts = () => [...new Set(Array.from({ length: PLACES + 1 }, (_, k) => Math.round((k * total) / PLACES)))];
  const missing = () => {  // the chosen curve first
    const ways = [way, ...tails.keys()].filter((k, i, all) => all.indexOf(k) === i);
    return ways.map((k) => [tails[k], counts().filter((count) => count && !known[k].has(count))])
      .filter(([, left]) => left.length);
  };
  const drawCurves = () => {
    let done = 0;
    known.forEach((points, k) => {
      done += points.size - 1;
      curves[k]([...points].sort(([a], [c]) => a - c).map(([count, error]) => [(100 * count) / total, error]));
      curves[k].node.setAttribute("stroke-width", k === way ? 3.2 : 1.6);
    });
    const all = tails.length * (counts().length - 1);
    progress.textContent = done < all ? `computing: ${done} of ${all}` : "";
  };
  let waiting = false;
  const soon = () => {  // not more often than the screen is drawn
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; drawCurves(); });
  };
  const starts = 3;
  const ask = compute((message) => {
    if (message.point) {
      const [name, count, error] = message.point;
      known[tails.indexOf(name)].set(count, error);
      return soon();
    }
    runs.push(message.run);
    const { value, x, dx } = runs[0], tangents = runs.map((run) => run.tangent), end = value.length - 1;
    const hue = hues[tails[way]];
    errors.draw({ value, tangents, first: end - last, at: end, hue });
    dot((100 * last) / total, tangents[0][end], { fill: hue });
    found.paint(dx);
    if (runs.length === starts) say();
  });

  // ------------------------------------------------------------------ what is recorded
  const nearest = (list, distance) => {
    const away = Array.from(list, distance);
    return away.indexOf(Math.min(...away));
  };
  const recorded = () => {
    const n = nearest(record.totals, (count) => Math.abs(Math.log(count / total)));
    const p = nearest(record.percents, (share) => Math.abs(share - (100 * last) / total));
    const place = (way * record.totals.length + n) * record.percents.length + p;
    const ends = paths.map((path, s) => {
      const values = record.image_error.subarray((place * S + s) * K, (place * S + s + 1) * K);
      path(percent(values));
      path.node.setAttribute("stroke", hues[tails[way]]);
      return 100 * values[K - 1];
    });
    which.textContent = `${record.totals[n]} iterations, last ${record.percents[p]} %`;
    return { n, p, low: Math.min(...ends), high: Math.max(...ends) };
  };

  const range = (list) => {
    const [low, high] = [Math.min(...list), Math.max(...list)].map(number);
    return low === high ? low : `${low} to ${high}`;
  };
  const words = (all, what, value, error, cosine, slope, there, end) =>
    `Computed here: ${all} ${all === 1 ? "iteration" : "iterations"}, ${what}. Relative error of the image ${value}, ` +
    `of its tangent ${error} (of none: 1); cosine with the exact tangent ${cosine}; the slope of the loss comes out ` +
    `${slope} times what it is. Recorded, ${there}: ${end}.`;
  const what = (count, name) => (count ? `the last ${count} differentiated (${name})` : "none differentiated");
  const say = () => {
    const { n, p, low, high } = recorded(), end = Number.isNaN(low) ? "the optimiser cannot run"
      : high - low < 0.15 ? `the image error ends at ${low.toFixed(1)} %`
      : `the image error ends between ${low.toFixed(1)} and ${high.toFixed(1)} %`;
    const there = `${record.totals[n]} iterations and the last ${record.percents[p]} %`;
    const cosine = last ? range(runs.map((run) => run.cosine)) : "undefined";
    kit.say(words(total, what(last, names[way]), number(runs[0].value.at(-1)),
      range(runs.map((run) => run.tangent.at(-1))), cosine, range(runs.map((run) => run.slope)), there, end));
    root.dataset.runs = JSON.stringify(runs.map(({ value, tangent, cosine, slope }) =>
      [value.at(-1), tangent.at(-1), cosine, slope]));
    root.dataset.setting = JSON.stringify([way, total, last]);
  };
  const wide = "−8.8·10⁻¹⁰ to −8.8·10⁻¹⁰";
  for (const name of names) kit.longest(words(most, what(most, name), "8.8·10⁻⁷", wide, wide, wide,
    "200 iterations and the last 100 %", "the image error ends between 88.8 and 88.8 %"));

  // ------------------------------------------------------------------ controls
  const change = (fresh) => {
    if (fresh) known = tails.map(() => new Map([[0, 1]]));
    runs = [];
    delete root.dataset.setting;
    recorded();
    drawCurves();
    part.input.max = total;
    part.set(last);
    ask({ way: tails[way], total, last, starts, missing: missing() });
  };
  const method = kit.select({ label: "the last", options: [...names], value: way,
    input: (k) => { way = k; change(false); } });
  const many = kit.slider({ label: "iterations", min: 1, max: most, step: 1, value: total, text: (k) => `${k}`,
    input: (k) => { last = Math.round((last / total) * k); total = k; change(true); } });
  const part = kit.slider({ label: "differentiated", max: most, step: 1, value: last, text: (k) => `last ${k}`,
    input: (k) => { last = k; change(false); } });
  const frame = "border:1px dashed var(--rk-muted);border-radius:8px;align-self:start";
  root.append(panels.grid(kit.el("div", {}, over.svg, legend), errors.svg, images,
    kit.el("div", { style: frame }, steps.svg)), kit.controls(many.row, part.row, method.row));
  change(true);
}
