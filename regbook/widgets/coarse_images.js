// The normal equations of super-resolution, AᵀA f = Aᵀb, with their derivative along one direction in the motions, as
// regkit/superres.py has them. data: see regbook.experiments.ch09.along: shape (2,) and spacing (2,) of the fine grid;
// row, column, weight, slope (e,): W and its derivative Ẇ; filter_x, filter_y: values to spline coefficients, F;
// penalty: λ √h; coarse (m,): √h d. So A is (W F; penalty L), and Ȧ is (Ẇ F; 0).
(data) => {
  const [m1, m2] = data.shape, n = m1 * m2, m = data.coarse.length, { row, column, weight, slope } = data;

  const filter = (f) => {  // along both axes; its own adjoint
    const half = new Float64Array(n), out = new Float64Array(n);
    for (let i = 0; i < m1; i++) for (let k = 0; k < m1; k++) {
      const factor = data.filter_x[i * m1 + k];
      for (let j = 0; j < m2; j++) half[i * m2 + j] += factor * f[k * m2 + j];
    }
    for (let i = 0; i < m1; i++) for (let j = 0; j < m2; j++) {
      let sum = 0;
      for (let k = 0; k < m2; k++) sum += data.filter_y[j * m2 + k] * half[i * m2 + k];
      out[i * m2 + j] = sum;
    }
    return out;
  };
  const add = (out, entries, c) => {  // out + W c, or out + Ẇ c
    for (let e = 0; e < row.length; e++) out[row[e]] += entries[e] * c[column[e]];
    return out;
  };
  const addAdjoint = (out, entries, y) => {  // out + Wᵀ y
    for (let e = 0; e < row.length; e++) out[column[e]] += entries[e] * y[row[e]];
    return out;
  };
  const [stiff1, stiff2] = data.spacing.map((h) => (data.penalty / h) ** 2);
  const addPenalty = (out, f) => {  // out + penalty² LᵀL f: squares of the differences between neighbours
    const pair = (a, b, stiffness) => {
      const force = stiffness * (f[a] - f[b]);
      out[a] += force;
      out[b] -= force;
    };
    for (let i = 0; i < m1; i++) for (let j = 0, k = i * m2; j < m2; j++, k++) {
      if (i + 1 < m1) pair(k, k + m2, stiff1);
      if (j + 1 < m2) pair(k, k + 1, stiff2);
    }
    return out;
  };

  const times = (f, df) => {
    const c = filter(f), y = add(new Float64Array(m), weight, c);
    const product = addPenalty(filter(addAdjoint(new Float64Array(n), weight, y)), f);
    if (!df) return [product];
    const dy = add(add(new Float64Array(m), weight, filter(df)), slope, c);
    const pulled = addAdjoint(addAdjoint(new Float64Array(n), weight, dy), slope, y);
    return [product, addPenalty(filter(pulled), df)];
  };
  const pulled = (entries) => filter(addAdjoint(new Float64Array(n), entries, data.coarse));

  // the derivative of ½‖r‖², r = W F f − coarse, along the direction, if df is that of f
  const lossSlope = (f, df) => {
    const c = filter(f), r = add(data.coarse.map((d) => -d), weight, c);
    const dr = add(add(new Float64Array(m), weight, filter(df)), slope, c);
    return r.reduce((sum, value, k) => sum + value * dr[k], 0);
  };
  return { b: pulled(weight), db: pulled(slope), times, lossSlope };
}
