// The squared difference of two images under an affine map, with its derivatives, as regkit/registration.py has them.
// shared: what spline.js gives; data: template, reference (m, n) spline coefficients; extent, center (2,); truth (6,).
(shared, data) => {
  const { spline, place } = shared, { center, extent: [X, Y] } = data, [cx, cy] = center;
  const shape = data.template.shape, [m, n] = shape, hx = X / m, hy = Y / n, omega = hx * hy, count = m * n;
  const T = spline(data.template, shape, [hx, hy]), R = spline(data.reference, shape, [hx, hy]);

  const px = new Float64Array(count), py = new Float64Array(count), fixed = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    px[k] = (Math.floor(k / n) + 0.5) * hx - cx;
    py[k] = ((k % n) + 0.5) * hy - cy;
    fixed[k] = R(px[k] + cx, py[k] + cy)[0];
  }
  const look = (w, p, q) => shared.look(w, p, q, center);
  const residual = (w, k) => T(...look(w, px[k], py[k]))[0] - fixed[k];  // at the k-th point
  const lossAt = (w) => {
    let sum = 0;
    for (let k = 0; k < count; k++) sum += residual(w, k) ** 2;
    return 0.5 * omega * sum;
  };
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

  const newton = (w) => {
    const path = [...shared.newton(derivatives, w)], size = (point) => Math.hypot(...point.gradient);
    return { path, flat: size(path.at(-1)) / Math.max(size(path[0]), 1e-300) };
  };
  const points = Array.from(px, (p, k) => [p, py[k]]);
  const distance = (w) => shared.distance(w, data.truth, points, center);  // from the truth, in the units of extent
  return { ...shared, T, R, look, residual, lossAt, derivatives, newton, distance };
}
