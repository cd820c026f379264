// How many iterations of conjugate gradients are differentiated, and what that does to everything after it.
// data: see regbook.widgets.differentiated_iterations.
(root, data, kit) => {
  const { totals, percents, lengths, truth, names } = data;
  const [P, H, S, K] = [percents.length, lengths.length, data.image_error.shape[3], data.image_error.shape[4]];
  const at = (tail, total, percent) => (tail * totals.length + total) * P + percent;
  let [tail, total, percent] = data.start;
  const { text, muted, blue, vermillion, green, orange, purple } = kit.colors;
  const hues = [vermillion, purple, orange, blue];

  // A panel is a small picture with axes; several stand beside each other, or below each other on a phone.
  const W = 340, TALL = 236, left = 52, right = 20, top = 30, bottom = 42, half = "flex:1 1 260px;max-width:420px";
  const panels = kit.el("div", { style: "display:flex;flex-wrap:wrap;gap:4px 12px" });
  const start = { "text-anchor": "start" }, words = kit.text({ "font-size": 13.5, ...start });
  const panel = (title, x, y) => {
    const svg = kit.drawing(W, TALL, { "aria-label": title, style: half });
    svg.append(words(left - 44, 16, title, { "font-weight": 600 }));
    const plot = kit.plot({ svg, box: [left, top, W - right, TALL - bottom], x, y: { ...y, clamp: true } });
    const line = (stroke, width, dash) =>
      plot.line({ stroke, "stroke-width": width, "stroke-dasharray": dash, "stroke-linejoin": "round" });
    const note = (y, content, fill) => plot.add(words(left + 6, y, content, { fill, "font-size": 13 }));
    panels.append(svg);
    return { ...plot, line, note };
  };
  const decades = (low, high, step) => ({ low: 10 ** low, high: 10 ** high, scale: "log",
    text: (v) => kit.power(Math.round(Math.log10(v))),
    ticks: Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, k) => 10 ** (low + k * step)) });
  const plain = (ticks, unit = "") => ({ low: ticks[0], high: ticks[ticks.length - 1], ticks,
    text: (v) => `${v}${unit}` });

  const slopes = panel("Error of the Jacobian, ‖Jᵣ − Jᵣ*‖ / ‖Jᵣ*‖",
    { ...plain([0, 25, 50, 75, 100], " %"), label: "of the iterations differentiated" }, decades(-8, 12, 4));
  const band = slopes.add(kit.svg("path", { stroke: "none", opacity: 0.3 }));  // from start to start
  const others = names.map((_, k) => slopes.line(hues[k], 1.5, "2 3"));
  const all = names.map((_, k) => slopes.line(hues[k], 3));
  const dot = slopes.dot({ r: 6, stroke: text, "stroke-width": 1.5 });

  const taylor = panel("Taylor test: ‖r(w+hv) − r(w) − hJv‖", { ...decades(-9, 0, 3), label: "step h" },
    decades(-4, 8, 4));
  const [good, bad] = [taylor.line(green, 1.5, "5 4"), taylor.line(muted, 1.5, "2 3")];
  const chosen = taylor.line(vermillion, 3);

  const steps = panel("Image error over the optimiser's steps", { ...plain([0, 3, 6, 9]), label: "step" },
    plain([0, 10, 20, 30, 40, 50], " %"));
  const [best, slow] = [steps.line(green, 1.5, "5 4"), steps.line(muted, 1.5, "2 3")];
  const runs = Array.from({ length: S }, () => steps.line(vermillion, 2));
  taylor.note(top + 12, "dashed: all differentiated", green);
  taylor.note(top + 27, "dotted: none", muted);
  steps.note(TALL - bottom - 22, "dashed: exact Jacobian", green);
  steps.note(TALL - bottom - 7, "dotted: nothing differentiated", muted);

  const [m1, m2] = truth.shape;
  const look = "width:100%;image-rendering:pixelated;border:1px solid var(--rk-line);border-radius:4px";
  const picture = (label) => {
    const { node, paint } = kit.image([m1, m2], { role: "img", "aria-label": label, style: look });
    const name = kit.el("p", { style: "font-size:.9em;text-align:center" }, label);
    return { paint, box: kit.el("div", { style: "flex:1 1 0;min-width:0" }, node, name) };
  };
  const image = picture("reconstruction"), difference = picture("its error (orange: too dark)");
  panels.append(kit.el("div", { style: `${half};display:flex;gap:10px;padding:8px 4px;align-items:flex-start` },
    image.box, difference.box));
  const colour = kit.ramp(data.error_colors);

  const number = (v) => (Number.isNaN(v) ? "lost in rounding errors" : kit.number(v, 2));
  const count = () => Math.floor((totals[total] * percents[percent]) / 100);
  const errors = (place) => data.jacobian_error.slice(place * S, (place + 1) * S).sort();  // over the starts
  const middle = (sorted) => sorted[(S - 1) >> 1];
  const span = (low, high) => (high < 1.05 * low ? number(middle([low, high])) : `${number(low)} to ${number(high)}`);
  const draw = () => {
    const here = at(tail, total, percent), hue = hues[tail];
    const spread = Array.from(percents, (p, i) => [p, errors(at(tail, total, i))]);
    const edge = (which) => spread.map(([p, sorted]) => [p, sorted.at(which)]).filter(([, v]) => !Number.isNaN(v));
    kit.make(band, { d: `${slopes.path([...edge(-1), ...edge(0).reverse()])}Z`, fill: hue }, []);
    names.forEach((_, k) => {
      const points = Array.from(percents, (p, i) => [p, middle(errors(at(k, total, i)))]);
      all[k](k === tail ? points : []);
      others[k](k === tail ? [] : points);
    });
    const [sorted, none] = [errors(here), middle(errors(at(tail, total, 0)))];
    const [least, most] = [sorted[0], sorted.at(-1)], lost = Number.isNaN(most);
    dot(percents[percent], lost ? Infinity : middle(sorted), { fill: hue });
    const rest = (place) => Array.from(lengths, (h, i) => [h, data.taylor[place * H + i]]);
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
    for (const curve of [chosen, ...runs]) curve.node.setAttribute("stroke", hue);
    const shown = data.image.subarray(here * m1 * m2, (here + 1) * m1 * m2);
    image.paint((i) => [shown[i], shown[i], shown[i]]);
    difference.paint((i) => colour((shown[i] - truth[i]) / 128));

    const what = percent === 0 ? "none of them differentiated"
      : tail === 3 ? `and ${count()} more for the tangents`
      : `the last ${count()} differentiated (${names[tail]})`;
    const than = percent === 0 || lost ? ""
      : least > none ? `, ${span(least / none, most / none)} times that of differentiating none`
      : most < none ? `, ${span(none / most, none / least)} times smaller than that of differentiating none`
      : ", above or below that of differentiating none";
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    const end = Number.isNaN(low) ? "the optimiser cannot run"
      : high - low < 0.15 ? `the image error ends at ${low.toFixed(1)} %`
      : `the image error ends between ${low.toFixed(1)} and ${high.toFixed(1)} %, ` +
        `for starts that differ by ${kit.power(-10)}`;
    kit.say(said(totals[total], what, lost ? number(NaN) : span(least, most), than, end));
  };
  const said = (all, what, error, than, end) =>
    `${all} iterations, ${what}: the Jacobian's relative error is ${error}${than}; ${end}.`;
  const longest = Math.max(...totals), large = `${number(8.8e12)} to ${number(8.8e12)}`;
  kit.longest(...names.map((name) => said(longest, `the last ${longest} differentiated (${name})`, large,
    `, ${large} times smaller than that of differentiating none`,
    `the image error ends between 88.8 and 88.8 %, for starts that differ by ${kit.power(-10)}`)));

  const list = kit.select({ label: "the last ones", options: names, value: tail,
    input: (k) => { tail = k; draw(); } });
  const many = kit.slider({ label: "iterations", max: totals.length - 1, step: 1, value: total,
    text: (k) => `${totals[k]}`, input: (k) => { total = k; draw(); } });
  const part = kit.slider({ label: "differentiated", max: P - 1, step: 1, value: percent,
    text: (k) => `last ${percents[k]} %`, input: (k) => { percent = k; draw(); } });
  root.append(panels, many.row, part.row, list.row);
  names.forEach((name, k) =>
    slopes.add(words(left + 8, TALL - bottom - 47 + 14 * k, name, { fill: hues[k], "font-size": 13 })));
  draw();
}
