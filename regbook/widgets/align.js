// Two pictures, aligned from any start, for background.js: all turns, five sizes and all shifts on coarse pictures, the
// best of them followed from level to level by Gauss-Newton on the correlation of the overlap.
// shared: what spline.js gives; correlation: correlation.js; determined: what determined.js gives. A setting is
// {template, reference}, each {grey, shape}, or null for nothing; both boxes are as long as the reference has cells.
// Tells {share, words}, and at the end {found}.
(shared, correlation, determined) => {
  const THETA = 0.1, COARSE = 32, TURNS = 24, SIZES = [1, 0.7, 1.4, 0.5, 2];
  const FOLLOWED = [48, 12, 4], LEAST = 0.3;  // candidates on each level, then two; the smallest part that overlaps

  // ------------------------------------------------------------------ levels
  const resized = (image, [m, n], [p, q]) => {  // means over cells of any size
    const means = (from, count, fewer, step, lines, next, put) => {
      const ratio = count / fewer;
      for (let a = 0; a < fewer; a++) {
        const low = a * ratio, high = Math.min(count, low + ratio);
        for (let i = Math.floor(low); i < high; i++) {
          const part = (Math.min(i + 1, high) - Math.max(i, low)) / ratio;
          for (let k = 0; k < lines; k++) put(a, k, part * from[i * step + k * next]);
        }
      }
    };
    const half = new Float64Array(p * n), out = new Float64Array(p * q);
    means(image, m, p, n, n, 1, (a, k, value) => { half[a * n + k] += value; });
    means(half, n, q, 1, p, n, (a, k, value) => { out[k * q + a] += value; });
    return out;
  };
  const border = (image, [m, n]) => {  // the mean of the outermost cells
    let sum = 0;
    for (let i = 0; i < m; i++) sum += image[i * n] + image[i * n + n - 1];
    for (let j = 1; j < n - 1; j++) sum += image[j] + image[(m - 1) * n + j];
    return sum / (2 * m + 2 * n - 4);
  };
  const levels = ({ grey, shape }, count, unit) => Array.from({ length: count }, (_, k) => {  // the coarsest first
    const part = 2 ** (count - 1 - k), cells = shape.map((all) => Math.min(all, Math.max(8, Math.round(all / part))));
    const image = resized(grey, shape, cells), outside = border(image, cells);
    const coefficients = shared.coefficients(image, cells, THETA, outside);
    return { shape: cells, spacing: cells.map((c, axis) => (unit * shape[axis]) / c), outside, image, coefficients };
  });
  const value = (level) =>
    shared.spline(level.coefficients, level.shape, level.spacing, { outside: level.outside, second: false });
  const side = ({ shape, spacing }) => shape.map((cells, axis) => cells * spacing[axis]);

  // ------------------------------------------------------------------ all turns, sizes and shifts
  const search = function* (template, reference) {
    const [m, n] = reference.shape, [hx, hy] = reference.spacing, box = side(template), found = [];
    const [cx, cy] = side(reference).map((length) => length / 2), [tx, ty] = box.map((length) => length / 2);
    const T = value(template);
    for (const size of SIZES) for (let turn = 0; turn < TURNS; turn++) {
      const angle = (2 * Math.PI * turn) / TURNS, a = Math.cos(angle) / size, b = Math.sin(angle) / size;
      // the turned template on the cells of the reference, as far as it reaches
      const reach = Math.hypot(tx, ty) * size, I = Math.ceil(reach / hx), J = Math.ceil(reach / hy), wide = 2 * J + 1;
      const turned = new Float32Array((2 * I + 1) * wide), known = new Uint8Array(turned.length);
      let area = 0;
      for (let i = -I, k = 0; i <= I; i++) for (let j = -J; j <= J; j++, k++) {
        const x = a * i * hx - b * j * hy + tx, y = b * i * hx + a * j * hy + ty;
        if (x < 0 || y < 0 || x > box[0] || y > box[1]) continue;
        known[k] = 1;
        turned[k] = T(x, y)[0];
        area++;
      }
      const least = LEAST * Math.min(area, m * n);
      // cell (i, j) of the reference meets (i − di, j − dj) of the turned template
      for (let di = 1 - I; di < m + I; di += 2) for (let dj = 1 - J; dj < n + J; dj += 2) {
        const low = Math.max(0, di - I), high = Math.min(m - 1, di + I);
        const left = Math.max(0, dj - J), right = Math.min(n - 1, dj + J);
        if ((high - low + 1) * (right - left + 1) < least) continue;
        let N = 0, t = 0, s = 0, tt = 0, ss = 0, ts = 0;
        for (let i = low; i <= high; i++) {
          for (let j = left, k = (i - di + I) * wide + left - dj + J; j <= right; j++, k++) {
            if (!known[k]) continue;
            const u = turned[k], v = reference.image[i * n + j];
            N++; t += u; s += v; tt += u * u; ss += v * v; ts += u * v;
          }
        }
        const nu = (ts - (t * s) / N) / Math.sqrt((tt - (t * t) / N) * (ss - (s * s) / N));
        if (N < least || !(nu > 0.1)) continue;
        const p = (di + 0.5) * hx - cx, q = (dj + 0.5) * hy - cy;  // meets the middle of the template
        const w = Float64Array.of(a, -b, b, a, tx - cx - a * p + b * q, ty - cy - b * p - a * q);
        found.push({ w, score: nu * Math.sqrt(Math.min(1, (0.5 * N) / least)) });
      }
      yield undefined;
    }
    return found.sort((a, b) => b.score - a.score).slice(0, 4000);
  };

  // ------------------------------------------------------------------ do the details agree?
  // Of what each level has, and the one two below has not: Σ ts over its size if t and s had nothing to do with each
  // other, √(Σ (ts)² 4²), as details reach over about 4 × 4 cells. Chance gives about 1, and the best of many maps 3.
  const evidence = (w, template, reference, last) => {
    const center = side(reference[0]).map((length) => length / 2), box = side(template[0]), found = [];
    for (let k = 2; k <= last; k++) {
      const [t, below, s, under] = [template[k], template[k - 2], reference[k], reference[k - 2]].map(value);
      const { shape: [m, n], spacing: [hx, hy] } = reference[k], edge = 2 * Math.max(...template[k].spacing);
      let sum = 0, squares = 0;
      for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) {
        const x = (i + 0.5) * hx, y = (j + 0.5) * hy, [u, v] = shared.look(w, x - center[0], y - center[1], center);
        if (u < edge || v < edge || u > box[0] - edge || v > box[1] - edge) continue;
        const product = (t(u, v)[0] - below(u, v)[0]) * (s(x, y)[0] - under(x, y)[0]);
        sum += product;
        squares += product * product;
      }
      found.push(squares > 0 ? sum / Math.sqrt(16 * squares) : 0);
    }
    return Math.max(...found);
  };

  return function* (setting) {
    if (!setting) return;
    const { template, reference } = setting, longest = (image) => Math.max(...image.shape);
    const unit = longest(reference) / longest(template);  // both boxes are equally long
    const most = Math.max(longest(template), longest(reference));
    const count = Math.max(3, 1 + Math.round(Math.log2(most / COARSE)));
    yield { share: 0, words: "Making coarse pictures" };
    const T = levels(template, count, unit);
    yield undefined;
    const R = levels(reference, count, 1), [X, Y] = reference.shape, center = [X / 2, Y / 2], far = Math.hypot(X, Y);
    yield { share: 0.05, words: `Trying ${TURNS} turns in ${SIZES.length} sizes` };
    const begun = yield* search(T[0], R[0]);

    const nodes = [0.1, 0.5, 0.9].flatMap((u) => [0.1, 0.5, 0.9].map((v) => [(u - 0.5) * X, (v - 0.5) * Y]));
    const distinct = (list, many, least) => {
      const kept = [];
      for (const one of list) {
        const apart = ({ w }) => shared.distance(one.w, w, nodes, center) > least * far;
        if (kept.length < many && kept.every(apart)) kept.push(one);
      }
      return kept;
    };
    const reach = far / 4, scale = [1, 1, 1, 1, reach, reach].map((s) => s / reach);  // a turn compared with a shift
    const area = X * Y, part = area / side(T[0]).reduce((a, b) => a * b);
    let list = distinct(begun, FOLLOWED[0], 0.08), rivals = [];
    for (let k = 0; k < count; k++) {
      const objective = correlation(shared, T[k], R[k], center), h = Math.max(...R[k].spacing), better = [];
      const derivatives = (v) => {
        const w = v.map((entry, e) => entry * scale[e]), at = objective(w), det = w[0] * w[3] - w[1] * w[2];
        const meet = at.share * Math.max(1, part * det), usable = meet > LEAST && det > 0.15 && det < 7;
        return { ...at, map: w, w: v, meet, loss: usable ? at.loss : NaN,
          gradient: at.gradient.map((g, e) => g * scale[e]),
          hessian: at.hessian.map((row, e) => row.map((entry, f) => entry * scale[e] * scale[f])) };
      };
      for (const one of list) {
        let end = null;
        const from = one.w.map((entry, e) => entry / scale[e]), how = { radius: 2 * h, least: 0.02 * h, flat: 0 };
        for (end of shared.newton(derivatives, from, { ...how, most: k ? 12 : 20 })) yield undefined;
        const { map: w, loss, share, meet, gain, shift } = end;
        if (Number.isNaN(loss)) continue;
        const score = (1 - loss) * Math.sqrt(Math.min(1, meet));
        better.push({ w, correlation: 1 - loss, share, gain, shift, score });
      }
      list = distinct(better.sort((a, b) => b.score - a.score), FOLLOWED[k + 1] ?? 2, 0.04);
      if (!list.length) break;
      if (k === Math.max(2, count - 2)) {  // what is second there is not followed to the finest level
        rivals = list.map((one) => ({ ...one, evidence: evidence(one.w, T, R, k) }));
        list = list.slice(0, 1);
      }
      yield { share: 0.3 + (0.7 * (k + 1)) / count, words: `Level ${k + 1} of ${count}: correlation ` +
        list[0].correlation.toFixed(2) };
    }
    if (!list[0]) return yield { found: { best: null, rivals, unit } };
    const [{ w }] = list, at = (x, y) => shared.look(w, x - center[0], y - center[1], center);
    const best = { ...list[0], evidence: evidence(w, T, R, count - 1), ...determined.asked(T, R, at) };
    yield { found: { best, rivals, unit } };
  };
}
