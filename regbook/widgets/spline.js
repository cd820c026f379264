// Cubic splines, affine maps and Newton's method in a trust region, as regkit has them: what all figures share that
// register images. Images (m, n) are read row by row, their first index along x; cell (i, j) has its centre at
// ((i + ½) hx, (j + ½) hy).
() => {
  const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);

  // ------------------------------------------------------------------ the spline, as in regkit/spline.py
  const weights = (t, w) => {
    const s = 1 - t;
    [w[0], w[1], w[2], w[3]] = [s * s * s, (3 * t - 6) * t * t + 4, (3 * s - 6) * s * s + 4, t * t * t];
    [w[4], w[5], w[6], w[7]] = [-3 * s * s, (9 * t - 12) * t, -(9 * s - 12) * s, 3 * t * t];
    [w[8], w[9], w[10], w[11]] = [6 * s, 18 * t - 12, 18 * s - 12, 6 * t];
  };
  // From coefficients a function of x and y; second: are the second derivatives wanted, too?
  const spline = (coefficients, [m, n], [hx, hy], { outside = 0, second = true } = {}) => {
    const wide = n + 8, c = new Float64Array((m + 8) * wide), wx = new Float64Array(12), wy = new Float64Array(12);
    for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) c[(i + 4) * wide + j + 4] = coefficients[i * n + j];
    const out = new Float64Array(6);  // T, ∂x, ∂y, ∂xx, ∂xy, ∂yy
    return (x, y) => {
      const u = x / hx - 0.5, v = y / hy - 0.5, i = Math.floor(u), j = Math.floor(v);
      out.fill(0);
      out[0] = outside;
      if (!(i >= -3 && i <= m + 1 && j >= -3 && j <= n + 1)) return out;
      weights(u - i, wx);
      weights(v - j, wy);
      for (let a = 0; a < 4; a++) {
        let s0 = 0, s1 = 0, s2 = 0;
        for (let b = 0, at = (i + 3 + a) * wide + j + 3; b < 4; b++, at++) {
          s0 += c[at] * wy[b];
          s1 += c[at] * wy[4 + b];
          if (second) s2 += c[at] * wy[8 + b];
        }
        out[0] += wx[a] * s0;
        out[1] += wx[4 + a] * s0;
        out[2] += wx[a] * s1;
        if (!second) continue;
        out[3] += wx[8 + a] * s0;
        out[4] += wx[4 + a] * s1;
        out[5] += wx[a] * s2;
      }
      out[1] /= hx;
      out[2] /= hy;
      out[3] /= hx * hx;
      out[4] /= hx * hy;
      out[5] /= hy * hy;
      return out;
    };
  };

  // The matrix BᵀB + θM of an axis of m cells as a product LLᵀ, of which four diagonals are not zero: L[4 i + k] is
  // the entry in row i, k places before the diagonal.
  const factor = (m, theta) => {
    const L = new Float64Array(4 * m), rough = [96, -54, 0, 6];
    for (let i = 0; i < m; i++) for (let k = Math.min(3, i); k >= 0; k--) {
      const basis = [m === 1 ? 16 : i === 0 || i === m - 1 ? 17 : 18, 8, 1, 0][k];
      let sum = basis + theta * rough[k];
      for (let q = k + 1; q <= Math.min(3, i); q++) sum -= L[4 * i + q] * L[4 * (i - k) + q - k];
      L[4 * i + k] = k ? sum / L[4 * (i - k)] : Math.sqrt(sum);
    }
    return L;
  };
  // The coefficients of one axis solve (BᵀB + θM) c = BᵀT; the other axis follows.
  const coefficients = (image, [m, n], theta, outside = 0) => {
    let c = Float64Array.from(image, (value) => value - outside);
    const along = (count, step, lines, next) => {
      const L = factor(count, theta), d = new Float64Array(count);
      for (let line = 0; line < lines; line++) {
        const from = line * next, at = (i) => (i < 0 || i >= count ? 0 : c[from + i * step]);
        for (let i = 0; i < count; i++) d[i] = at(i - 1) + 4 * at(i) + at(i + 1);
        for (let i = 0; i < count; i++) {
          for (let k = 1; k <= Math.min(3, i); k++) d[i] -= L[4 * i + k] * d[i - k];
          d[i] /= L[4 * i];
        }
        for (let i = count - 1; i >= 0; i--) {
          for (let k = 1; k <= Math.min(3, count - 1 - i); k++) d[i] -= L[4 * (i + k) + k] * d[i + k];
          d[i] /= L[4 * i];
          c[from + i * step] = d[i];
        }
      }
    };
    along(m, n, n, 1);
    along(n, 1, m, n);
    return c;
  };

  // ------------------------------------------------------------------ affine maps, as regkit.transforms.Affine
  // w = (A, b) of y = A (x − center) + center + b; p, q: x − center.
  const look = (w, p, q, [cx, cy]) => [w[0] * p + w[1] * q + cx + w[4], w[2] * p + w[3] * q + cy + w[5]];
  const place = (k, i) => (i < 2 ? 2 * k + i : 4 + k);  // where entry (k, i) of (A | b) is in w
  const distance = (w, other, points, center) => {  // mean distance between where two maps look
    let sum = 0;
    for (const [p, q] of points) {
      const [a, b] = look(w, p, q, center), [c, d] = look(other, p, q, center);
      sum += Math.hypot(a - c, b - d);
    }
    return sum / points.length;
  };
  // Six numbers that people understand: the template is stretched (width, height, shear), turned and moved,
  // z ↦ R U (z − c) + c + (right, up), where the first axis goes to the right and the second upwards. w is the inverse.
  const degrees = 180 / Math.PI;
  const fromSix = ([turn, right, up, width, height, shear]) => {
    const c = Math.cos(turn / degrees), s = Math.sin(turn / degrees), k = shear * height;
    const [p, q, r, t] = [c * width, c * k - s * height, s * width, s * k + c * height], det = p * t - q * r;
    const A = [t / det, -q / det, -r / det, p / det];
    return Float64Array.from([...A, -(A[0] * right + A[1] * up), -(A[2] * right + A[3] * up)]);
  };
  const six = (w) => {
    const det = w[0] * w[3] - w[1] * w[2], [p, q, r, t] = [w[3] / det, -w[1] / det, -w[2] / det, w[0] / det];
    const angle = Math.atan2(r, p), c = Math.cos(angle), s = Math.sin(angle), height = c * t - s * q;
    const [right, up] = [-(p * w[4] + q * w[5]), -(r * w[4] + t * w[5])];
    return [angle * degrees, right, up, Math.hypot(p, r), height, (c * q + s * t) / height];
  };

  // ------------------------------------------------------------------ Newton in a trust region
  const solve = (H, g, lambda) => {  // −(H + λI)⁻¹ g by Cholesky; null where that is not positive definite
    const size = g.length, C = H.map((row) => Float64Array.from(row)), s = new Float64Array(size);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = H[i][j] + (i === j ? lambda : 0);
        for (let k = 0; k < j; k++) sum -= C[i][k] * C[j][k];
        if (i === j && !(sum > 1e-14 * Math.abs(H[i][i]))) return null;
        C[i][j] = i === j ? Math.sqrt(sum) : sum / C[j][j];
      }
    }
    for (let i = 0; i < size; i++) {
      s[i] = -g[i];
      for (let k = 0; k < i; k++) s[i] -= C[i][k] * s[k];
      s[i] /= C[i][i];
    }
    for (let i = size - 1; i >= 0; i--) {
      for (let k = i + 1; k < size; k++) s[i] -= C[k][i] * s[k];
      s[i] /= C[i][i];
    }
    return s;
  };
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
  // Yields the points {w, loss, gradient, hessian} that derivatives(w) gives, the start and each accepted step. The
  // rules are those of SciPy's trust-exact, and so of regkit.optimize.newton_trust. least: a shorter step is the last.
  const newton = function* (derivatives, w, { most = 150, radius = 1, least = 0, flat = 1e-9 } = {}) {
    let point = derivatives(w);
    yield point;
    const size = (g) => Math.hypot(...g), goal = flat * point.loss;
    for (let k = 0; k < most && size(point.gradient) > goal; k++) {
      const { gradient: g, hessian: H } = point, [s, edge] = trusted(H, g, radius);
      const promised = -dot(g, s) - 0.5 * dot(s, H.map((row) => dot(row, s)));
      if (promised <= 1e-14 * Math.abs(point.loss)) return;
      const trial = derivatives(point.w.map((v, a) => v + s[a])), ratio = (point.loss - trial.loss) / promised;
      if (!(ratio >= 0.25)) radius /= 4;
      else if (ratio > 0.75 && edge) radius *= 2;
      if (ratio > 0.15) yield (point = trial);
      if (size(s) < least || radius < least) return;
    }
  };

  return { dot, spline, coefficients, look, place, distance, six, fromSix, solve, trusted, newton };
}
