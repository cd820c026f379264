// Register two images by hand, then let Newton finish: all of it computed here, as regkit computes it.
// data: see regbook.widgets.register_by_hand; mathematics: what squared_difference.js gives for them.
(root, data, kit, mathematics) => {
  const [X, Y] = data.extent, [cx, cy] = data.center, [m, n] = data.template.shape;
  const { T, R, look, residual, lossAt, newton, distance, six: friendly, fromSix: parameters } = mathematics;

  // ------------------------------------------------------------------ six numbers that people understand
  const names = ["turn", "right", "up", "width", "height", "shear"], degrees = 180 / Math.PI;
  const places = [1, 2, 2, 3, 3, 3], endings = ["°", " cm", " cm", "", "", ""];
  const plain = places.map((n) => (v) => kit.minus((Math.abs(v) < 5e-4 ? 0 : v).toFixed(n)));
  const show = plain.map((text, k) => (v) => text(v) + endings[k]);
  const percent = (v) => `${v >= 0.1 ? (100 * v).toFixed(1) : (100 * v).toPrecision(2)} %`;

  // ------------------------------------------------------------------ pictures
  const el = kit.el, fine = [2 * m, 2 * n], ground = "width:100%;border-radius:6px";
  const help = "Template over reference. Arrow keys move the template, Q and E turn it, plus and minus resize it.";
  const both = kit.image(fine, { width: 560, height: (560 * Y) / X, tabindex: 0, role: "application",
    "aria-label": help, class: "by-hand", style: `${ground};background:#000` });
  const difference = kit.image([m, n], { width: 360, height: (360 * Y) / X, role: "img",
    style: `${ground};border:1px solid var(--rk-line)`, "aria-label": "Difference of template and reference" });
  const over = both.node, colour = kit.ramp(data.error_colors);
  const still = new Float64Array(4 * m * n);  // the reference at the points of the finer picture
  const points = Array.from(still, (_, k) =>
    [((Math.floor(k / (2 * n)) + 0.5) * X) / (2 * m) - cx, (((k % (2 * n)) + 0.5) * Y) / (2 * n) - cy]);
  points.forEach(([x, y], k) => { still[k] = R(x + cx, y + cy)[0]; });
  const paint = (w) => {
    both.paint((k) => {  // reference orange, template blue, together white
      const t = T(...look(w, ...points[k]))[0], s = still[k];
      return [s, 0.62 * s + 0.38 * t, 0.1 * s + 0.9 * t];
    });
    difference.paint((k) => colour(residual(w, k) / 255));
  };
  const arm = 5.5;  // cm from the ring, by which the template is moved, to the knob, by which it is turned
  const handles = () => {
    const [turn, right, up, width] = now, ring = [cx + right, cy + up];
    const reach = arm * Math.max(0.3, width), angle = (turn + 90) / degrees;
    return { ring, knob: [ring[0] + reach * Math.cos(angle), ring[1] + reach * Math.sin(angle)] };
  };
  const drawHandles = () => {
    const pen = over.getContext("2d"), { ring, knob } = handles();
    const to = ([x, y]) => [(x / X) * over.width, (1 - y / Y) * over.height];
    for (const [color, width] of [["#000", 7], ["#fff", 3]]) {
      pen.strokeStyle = pen.fillStyle = color;
      pen.lineWidth = width;
      pen.beginPath();
      pen.moveTo(...to(ring));
      pen.lineTo(...to(knob));
      pen.stroke();
      pen.beginPath();
      pen.arc(...to(ring), 9, 0, 7);
      pen.stroke();
      pen.beginPath();
      pen.arc(...to(knob), color === "#000" ? 14 : 11, 0, 7);
      pen.fill();
    }
  };

  // ------------------------------------------------------------------ the curve of the loss
  const W = 300, H = 190, left = 52, { blue, vermillion } = kit.colors;
  const chart = kit.drawing(W, H, { "aria-label": "Loss over your moves and Newton's steps" });
  const lowest = (0.4 * lossAt(data.truth)) / lossAt(data.start), x = { low: 0, high: 1 };
  const plot = kit.plot({ svg: chart, size: 14, box: [left, 24, W - 4, H - 10], x,
    y: { low: lowest, high: 2.5, scale: "log", text: (share) => `${kit.number(100 * share)} %`,
      ticks: Array.from({ length: Math.ceil(-Math.log10(lowest)) }, (_, e) => 10 ** -e) } });
  const word = kit.text({ "font-size": 14, "text-anchor": "start" }), bold = (fill) => ({ fill, "font-weight": 600 });
  chart.append(word(left, 14, "loss"), word(W - 112, 14, "you", bold(blue)),
    word(W - 66, 14, "Newton", bold(vermillion)));
  const curves = [blue, vermillion].map((stroke) => plot.line({ stroke, "stroke-width": 2.5 }));
  const dot = plot.dot({ r: 6 });
  const drawCurve = () => {
    const yours = moves.slice(-90), theirs = run ? run.path.map((point) => point.loss / first) : [];
    const unit = Math.max(30, yours.length + theirs.length - 1) / (W - left - 18);  // moves a unit of the drawing
    [x.low, x.high] = [-6 * unit, (W - left - 10) * unit];
    const from = (start, losses) => losses.map((share, k) => [start + k, Math.max(share, lowest)]);
    curves[0](from(0, yours));
    curves[1](from(yours.length - 1, theirs));
    const shown = run ? theirs[step] : yours.at(-1);
    dot(yours.length - 1 + (run ? step : 0), Math.max(shown, lowest), { fill: run && step ? vermillion : blue });
  };

  // ------------------------------------------------------------------ state, and what changes it
  const first = lossAt(data.start);
  let now = friendly(data.start), moves = [1], run = null, step = 0, player = null;
  const draw = () => {
    const w = parameters(now), loss = lossAt(w);
    paint(w);
    drawHandles();
    Object.assign(root.dataset, { w: JSON.stringify(Array.from(w)), loss: `${loss}` });
    controls.forEach((control, k) => control.set(now[k]));
    return loss;
  };
  const words = (before, loss, best, values) => {
    const six = names.map((name, k) => `${k ? name : "Turn"} ${show[k](values[k])}`).join(", ");
    return `${before} Loss ${kit.whole(loss)}, ${percent(loss / first)} of the start${best}. ${six}.`;
  };
  const best = () => (run ? "" : `, your best ${percent(Math.min(...moves))}`);
  const say = (loss, before) => kit.say(words(before, loss, best(), now));
  const change = (values) => {  // the reader has moved something
    if (run) {
      player.stop();
      [run, player] = [null, null];
    }
    now = values;
    const loss = draw();
    moves.push(loss / first);
    outcome.replaceChildren(...waiting());
    drawCurve();
    say(loss, "By hand:");
  };
  const set = (k, v) => change(now.map((old, j) => (j === k ? v : old)));
  const shift = [-6, 6, 0.05], stretch = [0.6, 1.6, 0.01];
  const limits = [[-180, 180, 0.5], shift, shift, stretch, stretch, [-0.5, 0.5, 0.01]];
  const controls = names.map((label, k) => kit.slider({ label, min: limits[k][0], max: limits[k][1], step: "any",
    value: now[k], text: show[k], input: (v) => set(k, Math.round(v / limits[k][2]) * limits[k][2]) }));
  controls.forEach((control, k) => { control.input.step = limits[k][2]; control.set(now[k]); });
  // Newton's values lie between the steps of the sliders; the number beside a slider is always the exact one
  for (const [k, control] of controls.entries()) {
    const range = control.input, out = control.row.querySelector("output");
    control.set = (v) => {
      range.value = v;
      out.textContent = show[k](v);
      range.setAttribute("aria-valuetext", `${names[k]} = ${show[k](v)}`);
    };
  }

  const away = [14, 0.8, -0.5, -0.1, 0.05, 0.15];
  const starts = [data.start, parameters(friendly(data.truth).map((v, k) => v + away[k]))];
  const start = kit.select({ label: "start", options: ["as the X-rays came", "nearly there"],
    input: (k) => { moves = []; change(friendly(starts[k])); } });
  const again = kit.button("Start again", () => { moves = []; change(friendly(starts[start.input.selectedIndex])); });
  kit.longest(words("Newton, step 88 of 88:", first, `, your best ${percent(1)}`, limits.map(([low]) => low)));
  const outcome = el("div", {});
  const lost = (steps, fell, far) =>
    `Newton has converged after ${kit.counted(steps, "step")}: ${fell}. ` +
    `And yet it is ${far.toFixed(1)} cm from the true map. ` +
    "It has found the bottom of another valley. Turn the hand nearer to its place, and let it try again.";
  const table = (maps, losses, off) => {  // null stands for what nobody knows yet
    const narrow = "padding:.15rem min(1rem,1.8vw) .15rem 0;text-align:left;white-space:nowrap";
    const cell = (kind, words, more) => el(kind, { style: narrow, ...more }, words);
    const row = (label, ...values) =>
      el("tr", {}, cell("th", label, { scope: "row" }), ...values.map((v) => cell("td", v)));
    const head = ["", "you", "Newton", "truth"].map((words) =>
      words ? cell("th", words, { scope: "col" }) : cell("td", ""));
    const six = names.map((name, k) =>
      row(name + endings[k].replace(/^(.)/, ", $1"), ...maps.map((v) => (v ? plain[k](v[k]) : "?"))));
    const tidy = "margin:.5rem 0 0;border-collapse:collapse;font-size:.9em;font-variant-numeric:tabular-nums";
    return el("table", { style: tidy }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...six,
      row("loss", ...losses.map((loss) => (loss === null ? "?" : percent(loss / first)))),
      row("off by, cm", ...off.map((v) => (v === null ? "?" : v ? v.toFixed(2) : "0")))));
  };
  const report = (verdict, ...columns) => [el("p", { role: "status" }, verdict), table(...columns)];
  const waiting = () => [
    el("p", {}, "Your numbers. Newton's, and the true ones, appear beside them when it has finished."),
    table([now, null, null], [first * moves.at(-1), null, null], [null, null, null])];
  const sample = () => {  // as large as any outcome: so much room is kept for it
    const scrub = kit.slider({ label: "step", max: 88, step: 1, text: (k) => `${k} of 88` }).row;
    scrub.prepend(kit.play(() => 0, () => {}).button);
    const words = lost(88, "its gradient is 88 orders of magnitude smaller than yours", 88.8);
    return el("div", {}, scrub, ...report(words, Array(3).fill(now), Array(3).fill(first), [88, 88, 0]));
  };
  const finish = kit.button("Let Newton finish", () => {
    if (run) player.stop();
    const yours = now.slice(), mine = parameters(yours);
    run = newton(mine);
    const last = run.path.length - 1, end = run.path[last].w, far = distance(end), you = distance(mine);
    const home = far < 0.1, truth = friendly(data.truth);
    const units = [data.reach / degrees, 1, 1, data.reach, data.reach, data.reach];
    const off = yours.map((v, k) => Math.abs(k ? v - truth[k] : ((v - truth[k] + 540) % 360) - 180) * units[k]);
    const worst = names[off.indexOf(Math.max(...off))];
    const orders = Math.round(Math.log10(1 / run.flat));
    const fell = run.flat > 0 ? `its gradient is ${kit.counted(orders, "order")} of magnitude smaller than yours`
      : "its gradient is zero";
    const verdict = home
      ? `Newton is home after ${kit.counted(last, "step")}. ` +
        `Your hand lay, on average, ${you.toFixed(2)} cm from the true map; ` +
        `of your six numbers the ${worst} was furthest off.` : lost(last, fell, far);
    const losses = [run.path[0].loss, run.path[last].loss, lossAt(data.truth)];
    const at = (k) => {
      step = k;
      now = friendly(run.path[k].w);
      const loss = draw();
      drawCurve();
      say(loss, k ? `Newton, step ${k} of ${last}:` : "Where you left off:");
    };
    const scrub = kit.slider({ label: "step", min: 0, max: last, step: 1, value: 0, text: (k) => `${k} of ${last}`,
      input: (k) => { player.stop(); at(k); } });
    player = kit.play(() => last - step, (begin) => { at(begin ? 0 : step + 1); scrub.set(step); }, 350);
    scrub.row.prepend(player.button);
    outcome.replaceChildren(scrub.row, ...report(verdict, [yours, friendly(end), truth], losses, [you, far, 0]));
    at(0);
    if (last) player.button.click();
  }, "rk-first");

  // ------------------------------------------------------------------ the mouse, a finger, the keyboard
  let held = null;
  const at = (event) => {
    const box = over.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * X, (1 - (event.clientY - box.top) / box.height) * Y];
  };
  over.addEventListener("pointerdown", (event) => {
    const [x, y] = at(event), { ring, knob } = handles();
    const turning = Math.hypot(x - knob[0], y - knob[1]) < 1.8 * (event.pointerType === "touch" ? 1.5 : 1);
    held = { turning, from: [x, y], now: now.slice(), ring };
    over.setPointerCapture(event.pointerId);
    over.focus({ preventScroll: true });
    event.preventDefault();
  });
  over.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [x, y] = at(event), [turn, right, up, width, height, shear] = held.now;
    if (!held.turning) return change([turn, right + x - held.from[0], up + y - held.from[1], width, height, shear]);
    const dx = x - held.ring[0], dy = y - held.ring[1];
    const from = [held.from[0] - held.ring[0], held.from[1] - held.ring[1]];
    const angle = turn + (Math.atan2(dy, dx) - Math.atan2(from[1], from[0])) * degrees;
    const grow = Math.min(1.6 / width, Math.max(0.6 / width, Math.hypot(dx, dy) / Math.hypot(...from)));
    change([((angle + 540) % 360) - 180, right, up, width * grow, height * grow, shear]);
  });
  for (const name of ["pointerup", "pointercancel"]) over.addEventListener(name, () => (held = null));
  over.addEventListener("keydown", (event) => {
    const arrows = { ArrowLeft: [1, -0.1], ArrowRight: [1, 0.1], ArrowUp: [2, 0.1], ArrowDown: [2, -0.1] };
    const moved = { ...arrows, q: [0, 1], e: [0, -1] }[event.key];
    const grow = { "+": 1.01, "=": 1.01, "-": 1 / 1.01 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !(moved || grow)) return;
    event.preventDefault();
    if (moved) return set(moved[0], moved[0] ? now[moved[0]] + moved[1] : ((now[0] + moved[1] + 540) % 360) - 180);
    change(now.map((v, k) => (k === 3 || k === 4 ? v * grow : v)));
  });

  // ------------------------------------------------------------------ layout
  const note = (words) => el("p", { style: "font-size:.85em;line-height:1.35;margin:.25rem 0 .5rem" }, words);
  const css = `.by-hand{touch-action:none;cursor:grab}
    .by-hand:focus-visible{outline:3px solid var(--rk-accent);outline-offset:2px}
    .by-hand-views{display:grid;grid-template-columns:minmax(0,3fr) minmax(0,2fr)}
    .by-hand-views{gap:0 14px;max-width:640px;margin:0 auto}
    .by-hand-views>:last-child{display:flex;flex-direction:column}
    @media(max-width:560px){.by-hand-views>:last-child{display:contents}.by-hand-views svg{grid-column:1/-1}}
    .by-hand-sliders .rk-label{min-width:3.4em}
    .by-hand-sliders{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,250px),1fr));gap:0 24px}`;
  root.append(el("style", {}, css),
    el("div", { class: "by-hand-views" },
      el("div", {}, over, note("Reference orange, template blue, both white. " +
        "Drag the picture to move the template, its knob to turn and resize it.")),
      el("div", {}, el("div", {}, difference.node,
        note("Difference: blue where the template is too bright, orange where it is too dark.")), chart)),
    el("div", { class: "rk-controls by-hand-sliders" }, ...controls.map((control) => control.row)),
    el("div", { style: "display:flex;flex-wrap:wrap;gap:.5rem 1rem;margin:.5rem 0" }, finish, again, start.row),
    kit.reserve(outcome, sample()));
  outcome.replaceChildren(...waiting());
  const loss = draw();
  drawCurve();
  say(loss, "As the X-rays came:");
}
