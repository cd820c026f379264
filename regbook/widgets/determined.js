// Do two images that lie on each other tell the map between them, or may it slide or turn? regkit/_determined.py.
// known: its numbers {least, sure, cells, fewest, along, across}. Images (m, n) are read row by row.
(known) => {
  // Sums, or what else `of` makes, of neighbours along an axis.
  const neighbours = ({ values, shape: [m, n] }, axis, of) => {
    const shape = axis ? [m, n - 1] : [m - 1, n], step = axis ? 1 : n, out = new Float64Array(shape[0] * shape[1]);
    for (let i = 0, k = 0; i < shape[0]; i++) for (let j = 0; j < shape[1]; j++, k++) {
      out[k] = of(values[i * n + j + step], values[i * n + j]);
    }
    return { values: out, shape };
  };
  const sum = (a, b) => a + b, change = (a, b) => a - b, both = Math.min;
  const often = (image, times, of) => {
    for (let k = 0; k < times; k++) image = neighbours(neighbours(image, 0, of), 1, of);
    return image;
  };
  const slopes = (image) => {  // up to one factor, less two cells at each side
    const smooth = often(image, 3, sum);
    return [0, 1].map((axis) => neighbours(neighbours(smooth, 1 - axis, sum), axis, change).values);
  };

  // Eigenvalues, the smallest first, and eigenvectors of a symmetric matrix, by Jacobi's rotations.
  const eigen = (matrix) => {
    const size = matrix.length, S = matrix.map((row) => [...row]), V = S.map((row, i) => row.map((_, j) => +(i === j)));
    const off = () => S.reduce((all, row, i) => row.reduce((s, v, j) => s + (i === j ? 0 : v * v), all), 0);
    for (let sweep = 0; sweep < 60 && off() > 1e-300; sweep++) {
      for (let p = 0; p < size; p++) for (let q = p + 1; q < size; q++) {
        if (S[p][q] === 0) continue;
        const half = (S[q][q] - S[p][p]) / (2 * S[p][q]);
        const t = (half < 0 ? -1 : 1) / (Math.abs(half) + Math.hypot(1, half)), c = 1 / Math.hypot(1, t), s = t * c;
        const turn = (row) => { [row[p], row[q]] = [c * row[p] - s * row[q], s * row[p] + c * row[q]]; };
        for (const row of S) turn(row);
        [S[p], S[q]] = [S[p].map((v, k) => c * v - s * S[q][k]), S[p].map((v, k) => s * v + c * S[q][k])];
        for (const row of V) turn(row);
      }
    }
    const order = S.map((_, k) => k).sort((a, b) => S[a][a] - S[b][b]);
    return { values: order.map((k) => S[k][k]), vectors: order.map((k) => V.map((row) => row[k])) };
  };

  const dot = (a, b) => a.reduce((all, v, k) => all + v * b[k], 0);
  const form = (S, a, b = a) => dot(a, S.map((row) => dot(row, b)));
  const SHIFTS = [2, 5].map((at) => Array.from({ length: 6 }, (_, k) => +(k === at)));
  const ALL = Array.from({ length: 6 }, (_, at) => Array.from({ length: 6 }, (_, k) => +(k === at)));

  // Of the sums of products of slopes, over A x + b with x from the middle, row by row: Σ(∇T·u)(∇R·u) and the like.
  const sums = (moved, fixed, counts, shape, spacing) => {
    const { values: counted, shape: [m, n] } = often({ values: counts, shape }, 4, both);
    const [a, b] = [moved, fixed].map((values) => slopes({ values, shape }));
    const moments = Array.from({ length: 9 }, () => new Float64Array(6)), [hx, hy] = spacing;
    let count = 0;
    for (let i = 0, k = 0; i < m; i++) for (let j = 0; j < n; j++, k++) {
      if (!counted[k]) continue;
      count++;
      const x = hx * (i - (m - 1) / 2), y = hy * (j - (n - 1) / 2), powers = [1, x, y, x * x, x * y, y * y];
      const [p, q, r, s] = [a[0][k] / hx, a[1][k] / hy, b[0][k] / hx, b[1][k] / hy];
      const products = [p * p, p * q, q * q, r * r, r * s, s * s, p * r, (p * s + q * r) / 2, q * s];
      for (let e = 0; e < 9; e++) for (let f = 0; f < 6; f++) moments[e][f] += products[e] * powers[f];
    }
    const power = [[3, 4, 1], [4, 5, 2], [1, 2, 0]];  // of x, y and 1 times x, y and 1
    const matrix = (from) => ALL.map((_, e) => ALL.map((_, f) =>
      moments[from + Math.floor(e / 3) + Math.floor(f / 3)][power[e % 3][f % 3]]));
    return { moved: matrix(0), fixed: matrix(3), both: matrix(6), count: Math.max(1, count), spacing };
  };
  // The smallest share of a motion that is seen, and the standard deviation that noise gives it.
  const least = ({ moved, fixed, both, count, spacing }, ways) => {
    let best = [-Infinity, 0];
    const sign = both[2][2] + both[5][5] >= 0 ? 1 : -1;
    for (const unit of [[1, 1], spacing]) {
      const total = [0, 1, 2].map((i) => [0, 1, 2].map((j) =>
        sign * (unit[0] ** 2 * both[i][j] + unit[1] ** 2 * both[3 + i][3 + j])));
      const whole = ALL.map((_, e) => ALL.map((_, f) =>
        (Math.floor(e / 3) === Math.floor(f / 3) ? total[e % 3][f % 3] / unit[Math.floor(e / 3)] ** 2 : 0)));
      const size = ways.map((u) => form(whole, u));
      if (Math.min(...size) <= 0) return [0, Infinity];
      const scaled = ways.map((u, k) => u.map((v) => v / Math.sqrt(size[k])));
      const { values, vectors } = eigen(scaled.map((u) => scaled.map((v) => form(whole, u, v))));
      if (values[0] < 1e-6 * values.at(-1)) return [0, Infinity];
      const mixed = (weights, list) => ALL.map((_, e) => list.reduce((all, u, k) => all + weights[k] * u[e], 0));
      const equal = vectors.map((weights, k) => mixed(weights.map((v) => v / Math.sqrt(values[k])), scaled));
      const seen = eigen(equal.map((u) => equal.map((v) => sign * form(both, u, v))));
      const u = mixed(seen.vectors[0], equal), noise = Math.max(0, form(moved, u)) * Math.max(0, form(fixed, u));
      const found = [seen.values[0], Math.sqrt((2 * known.along * known.across * noise) / count)];
      if (found[0] > best[0]) best = found;
    }
    return best;
  };

  // The template on the cells of the reference, linear between its cells, and which cells it shows.
  const laid = ({ image, shape: [m, n], spacing: [tx, ty] }, { shape, spacing: [hx, hy] }, at) => {
    const moved = new Float64Array(shape[0] * shape[1]), counts = new Uint8Array(moved.length);
    for (let i = 0, k = 0; i < shape[0]; i++) for (let j = 0; j < shape[1]; j++, k++) {
      const [x, y] = at((i + 0.5) * hx, (j + 0.5) * hy), u = x / tx - 0.5, v = y / ty - 0.5;
      if (!(u >= 0 && v >= 0 && u <= m - 1 && v <= n - 1)) continue;
      const a = Math.min(m - 2, Math.floor(u)), b = Math.min(n - 2, Math.floor(v)), s = u - a, t = v - b;
      const row = (c) => (1 - t) * image[c] + t * image[c + 1], c = a * n + b;
      moved[k] = (1 - s) * row(c) + s * row(c + n);
      counts[k] = 1;
    }
    return [moved, counts];
  };
  // Of levels {image, shape, spacing} of template and reference, the coarsest first, with the map `at`: free is
  // "slides", "turns" or null; sure, how many standard deviations of noise the shift that is seen least is off none.
  const asked = (template, reference, at) => {
    const seen = [], first = Math.max(0, reference.findLastIndex(({ shape: [m, n] }) => m * n <= known.cells));
    const level = (k) => {
      const { image, shape, spacing } = reference[k];
      if (Math.min(...shape) < known.fewest) return null;
      if (!seen[k]) {
        const [moved, counts] = laid(template[k], reference[k], at);
        seen[k] = sums(moved, image, counts, shape, spacing);
      }
      return seen[k];
    };
    const told = (k, ways) => {
      const [share, noise] = level(k) ? least(level(k), ways) : [0, Infinity];
      return Math.abs(share - known.least) > known.sure * noise ? share > known.least : null;
    };
    const determined = (ways) => {
      let sure = null;
      for (let k = first; k >= 0 && sure === null; k--) sure = told(k, ways);
      for (let k = first + 1; k < reference.length && sure === false; k++) sure = told(k, ways) ?? false;
      return sure;
    };
    const everything = determined(ALL), slides = !everything && determined(SHIFTS) === false;
    const sure = reference.map((_, k) => {
      const [share, noise] = k >= first && level(k) ? least(level(k), SHIFTS) : [0, 1];
      return share > 0 ? share / noise : 0;
    });
    return { free: slides ? "slides" : everything === false ? "turns" : null, sure: Math.max(...sure) };
  };
  return { sums, least, laid, asked, ALL, SHIFTS };
}
