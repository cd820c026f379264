// Conjugate gradients and Chebyshev's iteration for A(w) x = b(w), with the derivative of their iterates in w:
// one number w, the derivative of x is written dx. As in regkit/linear.py and regkit/implicit.py.
// A system is {b, db, times}: times(x, dx) gives [A x, Ȧ x + A dx], and [A x] alone for dx = null.
() => {
  const dot = (a, b) => {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  };
  const norm = (a) => Math.sqrt(dot(a, a));
  const sum = (a, factor, b, more = 0, c = b) => {  // a + factor b + more c
    const out = new Float64Array(a.length);
    for (let i = 0; i < a.length; i++) out[i] = a[i] + factor * b[i] + (more ? more * c[i] : 0);
    return out;
  };
  const ratio = (a, b) => (b === 0 ? 0 : a / b);  // what has arrived takes steps of length 0
  const none = (a) => new Float64Array(a.length);
  const away = (a, exact) => norm(sum(a, -1, exact)) / norm(exact);  // relative error

  // ------------------------------------------------------------------ conjugate gradients
  // State: iterate x, residual r = b − A x, direction p, ρ = rᵀr; dx, dr, dp, drho if they are differentiated.
  const begin = ({ b, times }, x) => {
    const r = sum(b, -1, times(x, null)[0]);
    return { x, r, p: r, rho: dot(r, r) };
  };
  // One iteration; each line that makes a d is the product rule for a line above. alpha and beta are handed out.
  const iterate = (times, s) => {
    const differentiated = s.dx !== undefined, [q, dq] = times(s.p, differentiated ? s.dp : null);
    const curvature = dot(s.p, q), alpha = ratio(s.rho, curvature);
    const x = sum(s.x, alpha, s.p), r = sum(s.r, -alpha, q);
    const rho = dot(r, r), beta = ratio(rho, s.rho), next = { x, r, p: sum(r, beta, s.p), rho, alpha, beta };
    if (!differentiated) return next;
    const dalpha = ratio(s.drho - alpha * (dot(s.dp, q) + dot(s.p, dq)), curvature);
    const dx = sum(s.dx, dalpha, s.p, alpha, s.dp), dr = sum(s.dr, -dalpha, q, -alpha, dq);
    const drho = 2 * dot(r, dr), dbeta = ratio(drho - beta * s.drho, s.rho);
    return { ...next, dx, dr, dp: sum(dr, dbeta, s.p, beta, s.dp), drho };
  };
  function* conjugateGradients(times, s) {
    for (;;) {
      yield s;
      s = iterate(times, s);
    }
  }

  // ------------------------------------------------------------------ the last iterations, from a state without d
  // ḃ − Ȧ x, the right-hand side of the tangent where x is held constant
  const defect = ({ db, times }, x) => sum(db, -1, times(x, none(x))[1]);
  const tails = {
    restart(system, { x }) {
      const { r, rho } = begin(system, x), dr = defect(system, x);
      const s = { x, r, p: r, rho, dx: none(x), dr, dp: dr, drho: 2 * dot(r, dr) };
      return conjugateGradients(system.times, s);
    },
    continue(system, s) {
      return conjugateGradients(system.times, { ...s, dx: none(s.x), dr: none(s.x), dp: none(s.x), drho: 0 });
    },
    * chebyshev(system, { x }, [low, high]) {
      const centre = (high + low) / 2, radius = (high - low) / 2;
      let r = begin(system, x).r, dr = defect(system, x), dx = none(x), rho = radius / centre;
      let d = sum(none(x), 1 / centre, r), dd = sum(none(x), 1 / centre, dr);
      for (;;) {
        yield { x, r, dx };
        const [q, dq] = system.times(d, dd), old = rho;
        [x, dx, r, dr] = [sum(x, 1, d), sum(dx, 1, dd), sum(r, -1, q), sum(dr, -1, dq)];
        rho = 1 / ((2 * centre) / radius - rho);
        d = sum(none(x), rho * old, d, (2 * rho) / radius, r);
        dd = sum(none(x), rho * old, dd, (2 * rho) / radius, dr);
      }
    },
    * implicit(system, { x }) {  // a run of its own: its iterate is the tangent
      const own = { b: defect(system, x), times: system.times };
      for (const s of conjugateGradients(system.times, begin(own, none(x)))) yield { ...s, x, dx: s.x };
    },
  };

  // `total` iterations, of which the last are differentiated; with "implicit" all are made for x, and then the last
  // for the tangent. Yields every state, numbered by k, with before: true as long as nothing is differentiated.
  function* run(system, way, total, last, start, bounds) {
    const first = last > 0 && way !== "implicit" ? total - last : total;
    let state = begin(system, start), k = 0;
    for (; k < first; k++) {
      yield { ...state, k, dx: none(start), before: true };
      state = iterate(system.times, state);
    }
    if (last === 0) return yield { ...state, k, dx: none(start), before: true };
    const tail = tails[first === 0 && way === "continue" ? "restart" : way](system, state, bounds);
    for (let j = 0; j <= last; j++) yield { ...tail.next().value, k: first + j, before: false };
  }

  // ------------------------------------------------------------------ polynomials
  // What conjugate gradients leave of a residual in the eigendirection of each λ: fed with their alpha and beta.
  const polynomial = (lambdas) => {
    let left = lambdas.map(() => 1), direction = left;
    return ({ alpha, beta }) => {
      if (alpha === undefined) return left;
      left = left.map((p, i) => p - alpha * lambdas[i] * direction[i]);
      direction = left.map((p, i) => p + beta * direction[i]);
      return left;
    };
  };
  // The same of Chebyshev's iteration: its residuals for the numbers λ as A, and 1 as right-hand side.
  function* chebyshevPolynomial(lambdas, bounds) {
    const times = (x, dx) => [x, dx || x].map((v) => v.map((value, i) => lambdas[i] * value));
    const ones = Float64Array.from(lambdas, () => 1), system = { b: ones, db: none(ones), times };
    for (const { r } of tails.chebyshev(system, { x: none(ones) }, bounds)) yield r;
  }
  return { dot, norm, sum, none, away, begin, iterate, tails, run, polynomial, chebyshevPolynomial };
}
