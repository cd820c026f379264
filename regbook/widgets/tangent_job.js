// The tangent of the super-resolved image, computed for background.js. given: see regbook.experiments.ch09.along.
// A setting is {way, total, last, starts, missing}; starts: so many runs are made, at motions that differ by 1e-10;
// missing: [way, [k, …]], errors for other numbers k of last iterations, which come after it.
(krylov, equations, given) => {
  const { away, begin, iterate, tails, run, dot, norm } = krylov, { start, bounds, exact, exact_dot } = given;
  const images = equations(given), truth = images.lossSlope(exact, exact_dot);
  const moved = (h) => equations({ ...given, weight: given.weight.map((value, e) => value + h * given.slope[e]) });

  return function* ({ way, total, last, starts, missing }) {
    for (let s = 0; s < starts; s++) {
      const here = s ? moved(s * 1e-10) : images, value = [], tangent = [];
      let end;
      for (const state of run(here, way, total, last, start, bounds)) {
        value.push(away(state.x, exact));
        tangent.push(away(state.dx, exact_dot));
        end = state;
        yield undefined;
      }
      const { x, dx } = end, cosine = dot(dx, exact_dot) / (norm(dx) * norm(exact_dot));
      yield { run: { value, tangent, x, dx, cosine, slope: here.lossSlope(x, dx) / truth } };
    }

    const states = [begin(images, start)];  // of the iterations that are not differentiated
    while (states.length <= total) {
      states.push(iterate(images.times, states.at(-1)));
      yield undefined;
    }
    for (const [name, counts] of missing) {
      if (name === "implicit") {  // one run for all
        const tail = tails.implicit(images, states[total]), most = Math.max(...counts);
        for (let k = 0; k <= most; k++) {
          const { dx } = tail.next().value;
          yield counts.includes(k) ? { point: [name, k, away(dx, exact_dot)] } : undefined;
        }
      } else for (const k of counts) {
        const kind = name === "continue" && k === total ? "restart" : name;
        const tail = tails[kind](images, states[total - k], bounds);
        for (let j = 0; j < k; j++) {
          tail.next();
          yield undefined;
        }
        yield { point: [name, k, away(tail.next().value.dx, exact_dot)] };
      }
    }
  };
}
