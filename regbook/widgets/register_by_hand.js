// Register two images by hand, then let Newton finish: all of it computed here, as regkit computes it.
// data: template, reference (m, n) spline coefficients; extent, center (2,); start, truth (6,): w = (A, b) of
// y = A (x − center) + center + b, as regkit.transforms.Affine(center=…) reads it; reach: how far a point of the hand
// lies from the middle, in the units of extent, to compare a turn with a shift.
(root, data, kit) => {
  const [X, Y] = data.extent, [cx, cy] = data.center, [m, n] = data.template.shape, wide = n + 8;
  const hx = X / m, hy = Y / n, omega = hx * hy;

  // ------------------------------------------------------------------ the spline, as in regkit/spline.py
  const weights = (t, w) => {
    const s = 1 - t;
    [w[0], w[1], w[2], w[3]] = [s * s * s, (3 * t - 6) * t * t + 4, (3 * s - 6) * s * s + 4, t * t * t];
    [w[4], w[5], w[6], w[7]] = [-3 * s * s, (9 * t - 12) * t, -(9 * s - 12) * s, 3 * t * t];
    [w[8], w[9], w[10], w[11]] = [6 * s, 18 * t - 12, 18 * s - 12, 6 * t];
  };
  const spline = (coefficients) => {
    const c = new Float64Array((m + 8) * wide), wx = new Float64Array(12), wy = new Float64Array(12);
    for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) c[(i + 4) * wide + j + 4] = coefficients[i * n + j];
    const out = new Float64Array(6);  // T, ∂x, ∂y, ∂xx, ∂xy, ∂yy
    return (x, y) => {
      const u = x / hx - 0.5, v = y / hy - 0.5, i = Math.floor(u), j = Math.floor(v);
      out.fill(0);
      if (!(i >= -3 && i <= m + 1 && j >= -3 && j <= n + 1)) return out;
      weights(u - i, wx);
      weights(v - j, wy);
      for (let a = 0; a < 4; a++) {
        let s0 = 0, s1 = 0, s2 = 0;
        for (let b = 0, at = (i + 3 + a) * wide + j + 3; b < 4; b++, at++) {
          s0 += c[at] * wy[b];
          s1 += c[at] * wy[4 + b];
          s2 += c[at] * wy[8 + b];
        }
        out[0] += wx[a] * s0;
        out[1] += wx[4 + a] * s0;
        out[2] += wx[a] * s1;
        out[3] += wx[8 + a] * s0;
        out[4] += wx[4 + a] * s1;
        out[5] += wx[a] * s2;
      }
      for (const [k, h] of [[1, hx], [2, hy], [3, hx * hx], [4, hx * hy], [5, hy * hy]]) out[k] /= h;
      return out;
    };
  };
  const T = spline(data.template), R = spline(data.reference);

  // ------------------------------------------------------------------ the objective, as in regkit/registration.py
  const count = m * n, px = new Float64Array(count), py = new Float64Array(count), fixed = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    px[k] = (Math.floor(k / n) + 0.5) * hx - cx;
    py[k] = ((k % n) + 0.5) * hy - cy;
    fixed[k] = R(px[k] + cx, py[k] + cy)[0];
  }
  const look = (w, x, y) => [w[0] * x + w[1] * y + cx + w[4], w[2] * x + w[3] * y + cy + w[5]];
  const lossAt = (w) => {
    let sum = 0;
    for (let k = 0; k < count; k++) sum += (T(...look(w, px[k], py[k]))[0] - fixed[k]) ** 2;
    return 0.5 * omega * sum;
  };
  const place = (k, i) => (i < 2 ? 2 * k + i : 4 + k);  // where entry (k, i) of (A | b) is in w
  const pairs = [[0, 0], [0, 1], [1, 1], [0, 2], [1, 2], [2, 2]];
  const derivatives = (w) => {
    const gradient = new Float64Array(6), sums = new Float64Array(18);
    let loss = 0;
    for (let k = 0; k < count; k++) {
      const t = T(...look(w, px[k], py[k])), r = t[0] - fixed[k], z = [px[k], py[k], 1];
      loss += 0.5 * omega * r * r;
      for (let i = 0; i < 3; i++) {
        gradient[place(0, i)] += omega * r * t[1] * z[i];
        gradient[place(1, i)] += omega * r * t[2] * z[i];
      }
      const curvature = [t[1] * t[1] + r * t[3], t[1] * t[2] + r * t[4], t[2] * t[2] + r * t[5]];
      for (let q = 0; q < 6; q++) {
        const zz = omega * z[pairs[q][0]] * z[pairs[q][1]];
        for (let e = 0; e < 3; e++) sums[6 * e + q] += curvature[e] * zz;
      }
    }
    const hessian = Array.from({ length: 6 }, () => new Float64Array(6));
    for (const [e, [k, l]] of [[0, 0], [0, 1], [1, 1]].entries()) {
      for (const [q, [i, j]] of pairs.entries()) {
        for (const [a, b] of [[place(k, i), place(l, j)], [place(k, j), place(l, i)]]) {
          hessian[a][b] = hessian[b][a] = sums[6 * e + q];
        }
      }
    }
    return { w, loss, gradient, hessian };
  };

  // ------------------------------------------------------------------ Newton in a trust region
  const solve = (H, g, lambda) => {  // −(H + λI)⁻¹ g by Cholesky; null where that is not positive definite
    const C = H.map((row) => Float64Array.from(row)), s = new Float64Array(6);
    for (let i = 0; i < 6; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = H[i][j] + (i === j ? lambda : 0);
        for (let k = 0; k < j; k++) sum -= C[i][k] * C[j][k];
        if (i === j && !(sum > 1e-14 * Math.abs(H[i][i]))) return null;
        C[i][j] = i === j ? Math.sqrt(sum) : sum / C[j][j];
      }
    }
    for (let i = 0; i < 6; i++) {
      s[i] = -g[i];
      for (let k = 0; k < i; k++) s[i] -= C[i][k] * s[k];
      s[i] /= C[i][i];
    }
    for (let i = 5; i >= 0; i--) {
      for (let k = i + 1; k < 6; k++) s[i] -= C[k][i] * s[k];
      s[i] /= C[i][i];
    }
    return s;
  };
  const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);
  const trusted = (H, g, radius) => {  // minimise gᵀs + ½ sᵀHs over ‖s‖ ≤ radius
    const plain = solve(H, g, 0);
    if (plain && dot(plain, plain) <= radius ** 2) return [plain, false];
    let low = 0, high = 1e-6 * H.reduce((most, row, i) => Math.max(most, Math.abs(row[i])), 1), s = null;
    const fits = (lambda) => { s = solve(H, g, lambda); return s && dot(s, s) <= radius ** 2; };
    while (!fits(high)) [low, high] = [high, 4 * high];
    for (let k = 0; k < 30; k++) {
      const middle = (low + high) / 2;
      if (fits(middle)) high = middle; else low = middle;
    }
    fits(high);
    return [s, true];
  };
  const newton = (w) => {  // the rules of SciPy's trust-exact, and so of regkit.optimize.newton_trust
    let point = derivatives(w), radius = 1;
    const path = [point], size = (g) => Math.hypot(...g), goal = 1e-9 * point.loss;
    for (let k = 0; k < 150 && size(point.gradient) > goal; k++) {
      const { gradient: g, hessian: H } = point, [s, edge] = trusted(H, g, radius);
      const promised = -dot(g, s) - 0.5 * dot(s, H.map((row) => dot(row, s)));
      if (promised <= 1e-14 * point.loss) break;
      const trial = derivatives(point.w.map((v, a) => v + s[a])), ratio = (point.loss - trial.loss) / promised;
      if (ratio < 0.25) radius /= 4;
      else if (ratio > 0.75 && edge) radius *= 2;
      if (ratio > 0.15) path.push((point = trial));
    }
    return { path, flat: size(point.gradient) / Math.max(size(path[0].gradient), 1e-300) };
  };

  // ------------------------------------------------------------------ six numbers that people understand
  // The template is stretched (width, height, shear), turned and moved: z ↦ R U (z − c) + c + (right, up). w is the inverse.
  const names = ["turn", "right", "up", "width", "height", "shear"], degrees = 180 / Math.PI;
  const parameters = ([turn, right, up, width, height, shear]) => {
    const c = Math.cos(turn / degrees), s = Math.sin(turn / degrees), k = shear * height;
    const [p, q, r, t] = [c * width, c * k - s * height, s * width, s * k + c * height], det = p * t - q * r;
    const A = [t / det, -q / det, -r / det, p / det];
    return Float64Array.from([...A, -(A[0] * right + A[1] * up), -(A[2] * right + A[3] * up)]);
  };
  const friendly = (w) => {
    const det = w[0] * w[3] - w[1] * w[2], [p, q, r, t] = [w[3] / det, -w[1] / det, -w[2] / det, w[0] / det];
    const angle = Math.atan2(r, p), c = Math.cos(angle), s = Math.sin(angle), height = c * t - s * q;
    return [angle * degrees, -(p * w[4] + q * w[5]), -(r * w[4] + t * w[5]), Math.hypot(p, r), height, (c * q + s * t) / height];
  };
  const distance = (w) => {  // mean distance between where w and the truth look, in the units of extent
    let sum = 0;
    for (let k = 0; k < count; k++) {
      const [a, b] = look(w, px[k], py[k]), [c, d] = look(data.truth, px[k], py[k]);
      sum += Math.hypot(a - c, b - d);
    }
    return sum / count;
  };
  const minus = (text) => text.replace("-", "−");
  const places = [1, 2, 2, 3, 3, 3], endings = ["°", " cm", " cm", "", "", ""];
  const plain = places.map((n) => (v) => minus((Math.abs(v) < 5e-4 ? 0 : v).toFixed(n)));
  const show = plain.map((text, k) => (v) => text(v) + endings[k]);
  const percent = (v) => `${v >= 0.1 ? (100 * v).toFixed(1) : (100 * v).toPrecision(2)} %`;

  // ------------------------------------------------------------------ pictures
  const el = kit.el, small = { template: [2 * m, 2 * n], difference: [m, n] };
  const surface = (W, H, attributes) => {
    const canvas = el("canvas", { width: W, height: H, ...attributes });
    canvas.style.cssText = "width:100%;background:#000;border-radius:6px";
    return canvas;
  };
  const help = "Template over reference. Arrow keys move the template, Q and E turn it, plus and minus resize it.";
  const over = surface(560, (560 * Y) / X, { tabindex: 0, role: "application", "aria-label": help, class: "by-hand" });
  const apart = surface(360, (360 * Y) / X, { role: "img", "aria-label": "Difference of template and reference" });
  const sheets = Object.values(small).map(([W, H]) => {
    const sheet = el("canvas", { width: W, height: H });
    return [sheet, new ImageData(W, H)];
  });
  const still = new Float64Array(4 * count);  // the reference at the points of the finer picture
  const eachPixel = (W, H, f) => {
    for (let i = 0; i < W; i++) for (let j = 0; j < H; j++) f((H - 1 - j) * W + i, ((i + 0.5) * X) / W - cx, ((j + 0.5) * Y) / H - cy);
  };
  eachPixel(2 * m, 2 * n, (at, x, y) => { still[at] = R(x + cx, y + cy)[0]; });
  const paint = (w) => {
    const [[fine, both], [coarse, difference]] = sheets;
    eachPixel(2 * m, 2 * n, (at, x, y) => {  // reference orange, template blue, together white
      const t = T(...look(w, x, y))[0], s = still[at];
      both.data.set([s, 0.62 * s + 0.38 * t, 0.1 * s + 0.9 * t, 255], 4 * at);
    });
    for (let k = 0; k < count; k++) {
      const r = 1.3 * (T(...look(w, px[k], py[k]))[0] - fixed[k]), at = (n - 1 - (k % n)) * m + Math.floor(k / n);
      difference.data.set(r > 0 ? [0.34 * r, 0.71 * r, r, 255] : [-r, -0.62 * r, 0, 255], 4 * at);
    }
    for (const [sheet, pixels, canvas] of [[fine, both, over], [coarse, difference, apart]]) {
      sheet.getContext("2d").putImageData(pixels, 0, 0);
      canvas.getContext("2d").drawImage(sheet, 0, 0, canvas.width, canvas.height);
    }
  };
  const arm = 5.5;  // cm from the ring, by which the template is moved, to the knob, by which it is turned and resized
  const handles = () => {
    const [turn, right, up, width] = now, ring = [cx + right, cy + up];
    const reach = arm * Math.max(0.3, width), angle = (turn + 90) / degrees;
    return { ring, knob: [ring[0] + reach * Math.cos(angle), ring[1] + reach * Math.sin(angle)] };
  };
  const drawHandles = () => {
    const pen = over.getContext("2d"), { ring, knob } = handles(), to = ([x, y]) => [(x / X) * over.width, (1 - y / Y) * over.height];
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
  const W = 300, H = 190, left = 52, { text, line, blue, vermillion } = kit.colors;
  const chart = kit.svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "Loss over your moves and Newton's steps" });
  const floor = Math.log10(0.4 * lossAt(data.truth) / lossAt(data.start)), top = Math.log10(2.5);
  const yAt = (share) => 24 + (top - Math.log10(Math.max(share, 10 ** floor))) / (top - floor) * (H - 34);
  const word = (x, y, words, attributes) => kit.svg("text", { x, y, "font-size": 14, fill: text, ...attributes }, words);
  for (let e = 0; e > floor; e--) {
    chart.append(kit.svg("line", { x1: left, x2: W - 4, y1: yAt(10 ** e), y2: yAt(10 ** e), stroke: line }),
      word(left - 6, yAt(10 ** e) + 5, `${100 * 10 ** e} %`.replace("1.0000000000000002", "1"), { "text-anchor": "end" }));
  }
  const curves = [blue, vermillion].map((stroke) => kit.svg("path", { fill: "none", stroke, "stroke-width": 2.5 }));
  const dot2 = kit.svg("circle", { r: 6 });
  chart.append(word(left, 14, "loss"), word(W - 112, 14, "you", { fill: blue, "font-weight": 600 }),
    word(W - 66, 14, "Newton", { fill: vermillion, "font-weight": 600 }), ...curves, dot2);
  const drawCurve = () => {
    const yours = moves.slice(-90), theirs = run ? run.path.map((point) => point.loss / first) : [];
    const total = Math.max(30, yours.length + theirs.length - 1), xAt = (k) => left + 6 + (k / total) * (W - left - 18);
    const d = (losses, from) => losses.map((v, k) => `${k ? "L" : "M"}${xAt(from + k).toFixed(1)},${yAt(v).toFixed(1)}`).join("");
    curves[0].setAttribute("d", d(yours, 0));
    curves[1].setAttribute("d", d(theirs, yours.length - 1));
    const shown = run ? theirs[step] : yours.at(-1);
    dot2.setAttribute("cx", xAt(yours.length - 1 + (run ? step : 0)));
    dot2.setAttribute("cy", yAt(shown));
    dot2.setAttribute("fill", run && step ? vermillion : blue);
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
  const say = (loss, before) => kit.say(`${before} Loss ${Math.round(loss).toLocaleString("en")}, ${percent(loss / first)} of the start` +
    `${run ? "" : `, your best ${percent(Math.min(...moves))}`}. ` + names.map((name, k) => `${k ? name : "Turn"} ${show[k](now[k])}`).join(", ") + ".");
  const change = (values) => {  // the reader has moved something
    if (run) {
      player.stop();
      [run, player] = [null, null];
      outcome.replaceChildren();
    }
    now = values;
    const loss = draw();
    moves.push(loss / first);
    drawCurve();
    say(loss, "By hand:");
  };
  const set = (k, v) => change(now.map((old, j) => (j === k ? v : old)));
  const limits = [[-180, 180, 0.5], [-6, 6, 0.05], [-6, 6, 0.05], [0.6, 1.6, 0.01], [0.6, 1.6, 0.01], [-0.5, 0.5, 0.01]];
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

  const starts = [data.start, parameters([...friendly(data.truth)].map((v, k) => v + [14, 0.8, -0.5, -0.1, 0.05, 0.15][k]))];
  const start = kit.select({ label: "start", options: ["as the X-rays came", "nearly there"],
    input: (k) => { moves = []; change(friendly(starts[k])); } });
  const again = kit.button("Start again", () => { moves = []; change(friendly(starts[start.input.selectedIndex])); });
  const outcome = el("div", {});
  const finish = kit.button("Let Newton finish", () => {
    if (run) player.stop();
    const yours = now.slice(), mine = parameters(yours);
    run = newton(mine);
    const last = run.path.length - 1, end = run.path[last].w, far = distance(end), you = distance(mine), truth = friendly(data.truth);
    const home = far < 0.1, units = [data.reach / degrees, 1, 1, data.reach, data.reach, data.reach];
    const off = yours.map((v, k) => Math.abs(k ? v - truth[k] : ((v - truth[k] + 540) % 360) - 180) * units[k]);
    const worst = names[off.indexOf(Math.max(...off))], close = `${you.toFixed(2)} cm from the true map`;
    const fell = run.flat > 0 ? `its gradient is ${Math.round(Math.log10(1 / run.flat))} orders of magnitude smaller than yours` : "its gradient is zero";
    const verdict = home
      ? `Newton is home after ${last} steps. Your hand lay, on average, ${close}; of your six numbers the ${worst} was furthest off.`
      : `Newton has converged after ${last} steps: ${fell}. And yet it is ${far.toFixed(1)} cm from the true map. It has found ` +
        "the bottom of another valley. Turn the hand nearer to its place, and let it try again.";
    const cell = (kind, words, more) => el(kind, { style: "padding:.15rem min(1rem,1.8vw) .15rem 0;text-align:left;white-space:nowrap", ...more }, words);
    const row = (label, ...values) => el("tr", {}, cell("th", label, { scope: "row" }), ...values.map((v) => cell("td", v)));
    const ends = friendly(end), whole = (loss) => percent(loss / first);
    const table = el("table", { style: "margin:.5rem 0 0;border-collapse:collapse;font-size:.9em;font-variant-numeric:tabular-nums" },
      el("thead", {}, el("tr", {}, ...["", "you", "Newton", "truth"].map((words) => words ? cell("th", words, { scope: "col" }) : cell("td", "")))),
      el("tbody", {}, ...names.map((name, k) => row(name + endings[k].replace(/^(.)/, ", $1"), ...[yours, ends, truth].map((v) => plain[k](v[k])))),
        row("loss", whole(run.path[0].loss), whole(run.path[last].loss), whole(lossAt(data.truth))),
        row("off by, cm", you.toFixed(2), far.toFixed(2), "0")));
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
    outcome.replaceChildren(scrub.row, el("p", { role: "status" }, verdict), table);
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
    const dx = x - held.ring[0], dy = y - held.ring[1], from = [held.from[0] - held.ring[0], held.from[1] - held.ring[1]];
    const angle = turn + (Math.atan2(dy, dx) - Math.atan2(from[1], from[0])) * degrees;
    const grow = Math.min(1.6 / width, Math.max(0.6 / width, Math.hypot(dx, dy) / Math.hypot(...from)));
    change([((angle + 540) % 360) - 180, right, up, width * grow, height * grow, shear]);
  });
  for (const name of ["pointerup", "pointercancel"]) over.addEventListener(name, () => (held = null));
  over.addEventListener("keydown", (event) => {
    const moved = { ArrowLeft: [1, -0.1], ArrowRight: [1, 0.1], ArrowUp: [2, 0.1], ArrowDown: [2, -0.1], q: [0, 1], e: [0, -1] }[event.key];
    const grow = { "+": 1.01, "=": 1.01, "-": 1 / 1.01 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !(moved || grow)) return;
    event.preventDefault();
    if (moved) return set(moved[0], moved[0] ? now[moved[0]] + moved[1] : ((now[0] + moved[1] + 540) % 360) - 180);
    change(now.map((v, k) => (k === 3 || k === 4 ? v * grow : v)));
  });

  // ------------------------------------------------------------------ layout
  const note = (words) => el("p", { style: "font-size:.85em;line-height:1.35;margin:.25rem 0 .5rem" }, words);
  const css = `.by-hand{touch-action:none;cursor:grab}.by-hand:focus-visible{outline:3px solid var(--rk-accent);outline-offset:2px}
    .by-hand-views{display:grid;grid-template-columns:minmax(0,3fr) minmax(0,2fr);gap:0 14px;max-width:640px;margin:0 auto}
    .by-hand-views>:last-child{display:flex;flex-direction:column}
    @media(max-width:560px){.by-hand-views>:last-child{display:contents}.by-hand-views svg{grid-column:1/-1}}
    .by-hand-sliders .rk-label{min-width:3.4em}
    .by-hand-sliders{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,250px),1fr));gap:0 24px}`;
  root.append(el("style", {}, css),
    el("div", { class: "by-hand-views" },
      el("div", {}, over, note("Reference orange, template blue, both white. Drag the picture to move the template, its knob to turn and resize it.")),
      el("div", {}, el("div", {}, apart, note("Difference: blue where the template is brighter.")), chart)),
    el("div", { class: "by-hand-sliders" }, ...controls.map((control) => control.row)),
    el("div", { style: "display:flex;flex-wrap:wrap;gap:.5rem 1rem;margin:.5rem 0" }, finish, again, start.row), outcome);
  const loss = draw();
  drawCurve();
  say(loss, "As the X-rays came:");
}
