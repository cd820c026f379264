// Normalised cross-correlation of two images over their overlap under an affine map, with its gradient and the matrix
// of Gauss-Newton: regkit's Registration(…, distance=NCC(), outside="overlap").
// shared: what spline.js gives; template, reference: {coefficients, shape, spacing, outside}; center (2,).
(shared, template, reference, center) => {
  const [cx, cy] = center, at = (image, second) =>
    shared.spline(image.coefficients, image.shape, image.spacing, { outside: image.outside, second });
  const T = at(template, false), R = at(reference, false);
  const [m, n] = reference.shape, [hx, hy] = reference.spacing, count = m * n, fixed = new Float64Array(count);
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) fixed[i * n + j] = R((i + 0.5) * hx, (j + 0.5) * hy)[0];

  // P, of one axis, and its derivative: one inside, ½ on the side of the box; see regkit/outside.py
  const b = (x) => {
    const d = Math.abs(x);
    return d >= 2 ? 0 : d >= 1 ? (2 - d) ** 3 : (3 * d - 6) * d * d + 4;
  };
  const slope = (x) => {
    const d = Math.abs(x);
    return Math.sign(x) * (d >= 2 ? 0 : d >= 1 ? -3 * (2 - d) ** 2 : (9 * d - 12) * d);
  };
  const cover = (u, cells, out) => {
    const v = cells - 1 - u;
    [out[0], out[1]] = [1, 0];
    if (u < 1) { out[0] -= (b(u + 1) + b(u + 2)) / 6; out[1] -= (slope(u + 1) + slope(u + 2)) / 6; }
    if (v < 1) { out[0] -= (b(v + 1) + b(v + 2)) / 6; out[1] += (slope(v + 1) + slope(v + 2)) / 6; }
  };

  const [rows, columns] = template.shape, [tx, ty] = template.spacing, px = [1, 0], py = [1, 0];
  // Sums over the points, of products of M, ∂y/∂w ∇t and the values; from them all that is wanted.
  return (w) => {
    const square = new Float64Array(21), g = new Float64Array(6), G = new Float64Array(6), Gt = new Float64Array(6);
    const Gs = new Float64Array(6), D = Array.from({ length: 6 }, () => new Float64Array(6));
    let M0 = 0, Mt = 0, Ms = 0, Mtt = 0, Mss = 0, Mts = 0;
    for (let i = 0, k = 0; i < m; i++) for (let j = 0; j < n; j++, k++) {
      const p = (i + 0.5) * hx - cx, q = (j + 0.5) * hy - cy;
      const x = w[0] * p + w[1] * q + cx + w[4], y = w[2] * p + w[3] * q + cy + w[5];
      const u = x / tx - 0.5, v = y / ty - 0.5;
      if (!(u > -0.5 && v > -0.5 && u < rows - 0.5 && v < columns - 0.5)) continue;
      const inside = u >= 1 && v >= 1 && u <= rows - 2 && v <= columns - 2;
      let M = 1, dM = 0;
      if (!inside) {
        cover(u, rows, px);
        cover(v, columns, py);
        const e = 2 * px[0] * py[0] - 1;
        if (e <= 0) continue;
        const S = e ** 3 * (10 - 15 * e + 6 * e * e);
        M = S * S;
        dM = 2 * S * 30 * e * e * (1 - e) ** 2 * 2;
      }
      const value = T(x, y), t = value[0] - template.outside, s = fixed[k] - reference.outside;
      M0 += M; Mt += M * t; Ms += M * s; Mtt += M * t * t; Mss += M * s * s; Mts += M * t * s;
      const a = value[1], c = value[2];
      g[0] = a * p; g[1] = a * q; g[2] = c * p; g[3] = c * q; g[4] = a; g[5] = c;
      for (let e = 0, at = 0; e < 6; e++) {
        const Mg = M * g[e];
        G[e] += Mg;
        Gt[e] += Mg * t;
        Gs[e] += Mg * s;
        for (let f = 0; f <= e; f++) square[at++] += Mg * g[f];
      }
      if (dM) {
        const a = (dM * px[1] * py[0]) / tx, c = (dM * px[0] * py[1]) / ty, d = [a * p, a * q, c * p, c * q, a, c];
        const powers = [1, t, s, t * t, s * s, t * s];
        for (let e = 0; e < 6; e++) for (let f = 0; f < 6; f++) D[e][f] += d[e] * powers[f];
      }
    }
    const t = Mt / M0, s = Ms / M0, N = Math.sqrt(Mtt - M0 * t * t), O = Math.sqrt(Mss - M0 * s * s);
    const nu = (Mts - M0 * t * s) / (N * O), hessian = Array.from({ length: 6 }, () => new Float64Array(6));
    const gradient = Float64Array.from(G, (_, e) => {
      const [d1, dt, ds, dtt, dss, dts] = D[e], unit = (Gt[e] - t * G[e]) / N, other = (Gs[e] - s * G[e]) / O;
      const tt = (dtt - 2 * t * dt + t * t * d1) / N ** 2, ss = (dss - 2 * s * ds + s * s * d1) / O ** 2;
      const ts = (dts - t * ds - s * dt + t * s * d1) / (N * O);
      return -(other - nu * unit) / N - (ts - (nu / 2) * (tt + ss));
    });
    for (let e = 0, at = 0; e < 6; e++) for (let f = 0; f <= e; f++, at++) {
      const along = ((Gt[e] - t * G[e]) * (Gt[f] - t * G[f])) / N ** 2;
      hessian[e][f] = hessian[f][e] = (square[at] - (G[e] * G[f]) / M0 - along) / N ** 2;
    }
    // s ≈ gain t + shift, by least squares: the brightness of the template, fitted
    const gain = (nu * O) / N, shift = s + reference.outside - gain * (t + template.outside);
    return { w, loss: 1 - nu, gradient, hessian, share: M0 / count, gain, shift };
  };
}
