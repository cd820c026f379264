// Two images as cubic splines, the loss between them under an affine map, and Newton's method, as regkit has them.
// data: template, reference (m, n) spline coefficients; extent, center (2,); truth (6,): w = (A, b) of the map
// y = A (x − center) + center + b, as regkit.transforms.Affine(center=…) reads it.
(data) => {
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

  // ------------------------------------------------------------------ how far from the truth
  const distance = (w) => {  // mean distance between where w and the truth look, in the units of extent
    let sum = 0;
    for (let k = 0; k < count; k++) {
      const [a, b] = look(w, px[k], py[k]), [c, d] = look(data.truth, px[k], py[k]);
      sum += Math.hypot(a - c, b - d);
    }
    return sum / count;
  };

  const residual = (w, k) => T(...look(w, px[k], py[k]))[0] - fixed[k];  // at the k-th point
  return { T, R, look, residual, lossAt, derivatives, trusted, newton, distance };
}
