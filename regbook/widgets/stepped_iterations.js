// A small system A(w) x = b, A(w) = A + w B, solved and differentiated one iteration at a time. All vectors are given
// in the eigenvectors of A. data: see regbook.widgets.stepped_iterations; krylov, panels: what those scripts give.
(root, data, kit, krylov, panels) => {
  const { values, coupling, tails, names, most } = data, n = values.length, { text, green, muted } = kit.colors;
  let { way, total, last } = data.start, b = Float64Array.from(data.b), chosen = n - 6, now, run;

  // ------------------------------------------------------------------ the run
  const times = (x, dx) => {
    const product = x.map((value, i) => values[i] * value);
    if (!dx) return [product];
    const slope = dx.map((value, i) => {
      let sum = values[i] * value;
      for (let j = 0; j < n; j++) sum += coupling[i * n + j] * x[j];
      return sum;
    });
    return [product, slope];
  };
  const BETWEEN = 5;  // places of the polynomial for each eigenvalue
  const fine = Array.from({ length: BETWEEN * (n - 1) + 1 }, (_, k) => {
    const i = Math.floor(k / BETWEEN), part = (k % BETWEEN) / BETWEEN;
    return part ? values[i] ** (1 - part) * values[i + 1] ** part : values[i];
  });
  const bounds = [values[0], values[n - 1]];
  const compute = () => {
    const system = { b, db: krylov.none(b), times };
    const x = b.map((value, i) => value / values[i]), wanted = times(x, krylov.none(x))[1].map((v) => -v);
    const dx = wanted.map((value, i) => value / values[i]);
    const value = [], tangent = [], residuals = [], met = [];
    let follow = krylov.polynomial(fine), before = true;
    for (const state of krylov.run(system, tails[way], total, last, krylov.none(b), bounds)) {
      if (before && !state.before && tails[way] !== "continue") {
        const own = tails[way] === "chebyshev" && krylov.chebyshevPolynomial(fine, bounds);
        follow = own ? () => own.next().value : krylov.polynomial(fine);
      }
      before = state.before;
      value.push(krylov.away(state.x, x));
      tangent.push(krylov.away(state.dx, dx));
      residuals.push(state.r);
      met.push(follow(state));
    }
    const end = value.length - 1;
    run = { value, tangent, residuals, met, wanted, end, first: end - last };
  };

  // ------------------------------------------------------------------ pictures
  const eigenvalues = { low: values[0] / 1.1, high: values[n - 1] * 1.1, scale: "log", ticks: [1, 10, 100] };
  const LOW = 1e-8, shown = (v) => Math.max(LOW, Math.abs(v));
  const sides = panels.panel("Components in the eigenvectors of A", [400, 220], eigenvalues,
    panels.decades(-8, 2, 2));
  const left = panels.panel("The polynomial, |p(λ)|", [400, 190], { ...eigenvalues, label: "eigenvalue λ" },
    panels.decades(-6, 12, 3));
  const errors = panels.errors([400, 250], panels.decades(-9, 9, 3));
  const needed = sides.dots(1.8, { fill: green });
  const rest = sides.dots(3, {});
  const given = sides.dots(4, { fill: "none", stroke: text, "stroke-width": 1.2, class: "given" });
  const ring = sides.dot({ r: 8, fill: "none", stroke: text, "stroke-width": 2.5 });
  left.add(kit.svg("line", { x1: left.left, x2: left.right, y1: left.py(1), y2: left.py(1), stroke: muted,
    "stroke-dasharray": "5 4" }));
  const curve = left.line(text, 1.2), met = left.dots(2.5, {});
  const legend = panels.legend(["ring", text, "right-hand side: drag"], ["dot", text, "residual now"],
    ["dot", green, "what the tangent needs, −Ȧx"]);
  const residual = legend.children[1].querySelector("path");

  const phase = (k) => (k <= run.first && last < run.end ? "not differentiated" : `differentiated (${names[way]})`);
  const words = (k, length, what, value, tangent, size, at, mine, given, left) =>
    `Iteration ${k} of ${length}, ${what}: error of x ${value}, of its tangent ${tangent}. ` +
    `The polynomial multiplies by up to ${size}, at λ = ${at}. ` +
    `The ring, at λ = ${mine}: right-hand side ${given}, residual ${left}.`;
  const draw = () => {
    const hue = panels.hues[tails[way]], r = run.residuals[now], p = run.met[now];
    const places = (list) => Array.from(list, (v, i) => [values[i], shown(v)]);
    needed(places(run.wanted));
    rest(places(r), hue);
    given(places(b));
    ring(values[chosen], shown(b[chosen]));
    const size = (v) => Math.max(1e-6, Math.abs(v)), every = Array.from(values, (_, i) => p[BETWEEN * i]);
    curve(fine.map((lambda, k) => [lambda, size(p[k])]));
    met(every.map((v, i) => [values[i], size(v)]), hue);
    kit.make(residual, { stroke: hue, fill: hue }, []);
    errors.draw({ value: run.value, tangents: [run.tangent], first: run.first, at: now, hue });
    const sizes = every.map(Math.abs), largest = Math.max(...sizes), at = values[sizes.indexOf(largest)];
    kit.say(words(now, run.end, phase(now), panels.number(run.value[now]), panels.number(run.tangent[now]),
      panels.number(largest), kit.number(at), kit.number(values[chosen]), panels.number(Math.abs(b[chosen])),
      panels.number(Math.abs(r[chosen]))));
    iteration.input.max = run.end;
    iteration.set(now);
    part.input.max = total;
    part.set(last);
    many.set(total);
    component.set(chosen + 1);
    height.set(Math.abs(b[chosen]));
    Object.assign(root.dataset, { value: run.value[now], tangent: run.tangent[now] });
  };
  const again = (to = Infinity) => {
    compute();
    now = Math.min(to, run.end);
    draw();
  };
  const at = (k) => {
    now = Math.max(0, Math.min(run.end, k));
    draw();
  };
  const longest = panels.number(8.8e-12);
  const widest = [longest, longest, longest, 188.8, 188.8, longest, longest];
  for (const name of names) kit.longest(words(888, 888, `differentiated (${name})`, ...widest));

  // ------------------------------------------------------------------ controls
  const calm = (change) => (value) => { player.stop(); change(value); };
  const iteration = kit.slider({ label: "iteration", max: 2 * most, step: 1, text: (k) => `${k}`, input: calm(at) });
  const player = kit.play(() => run.end - now, (begin) => at(begin ? 0 : now + 1), 150);
  iteration.row.prepend(player.button);
  const buttons = kit.row(kit.button("Back", calm(() => at(now - 1))), kit.button("Step", calm(() => at(now + 1))),
    kit.button("Reset", calm(() => { b = side(); again(0); })));
  const method = kit.select({ label: "the last", options: names, value: way,
    input: calm((k) => { way = k; again(); }) });
  const many = kit.slider({ label: "iterations", min: 1, max: most, step: 1, value: total, text: (k) => `${k}`,
    input: calm((k) => { total = k; last = Math.min(last, total); again(); }) });
  const part = kit.slider({ label: "differentiated", max: most, step: 1, value: last, text: (k) => `last ${k}`,
    input: calm((k) => { last = k; again(); }) });

  const sidesOf = { "as in the text": () => 1, "small eigenvalues only": (i) => (i < n / 2 ? 1 : 0),
    "large eigenvalues only": (i) => (i < n / 2 ? 0 : 1), "fading towards large ones": (i) => 10 ** ((-6 * i) / n) };
  let factor = sidesOf["as in the text"];
  const side = () => Float64Array.from(data.b, (value, i) => value * factor(i));
  const preset = kit.select({ label: "right-hand side", options: Object.keys(sidesOf),
    input: calm((k) => { factor = Object.values(sidesOf)[k]; b = side(); again(now); }) });
  const put = (i, size) => { b[i] = size <= LOW ? 0 : size * (data.b[i] < 0 ? -1 : 1); };
  const component = kit.slider({ label: "component", min: 1, max: n, step: 1, value: chosen + 1,
    text: (k) => `λ = ${kit.number(values[k - 1])}`, input: calm((k) => { chosen = k - 1; draw(); }) });
  const height = kit.logSlider({ label: "its size", low: -8, high: 1, step: 0.25, value: 1, zero: true,
    text: (v) => kit.number(v, 2), input: calm((v) => { put(chosen, v); again(now); }) });

  root.append(
    panels.grid(kit.el("div", {}, sides.svg, legend, left.svg),
      kit.el("div", {}, errors.svg, preset.row, component.row, height.row)),
    kit.controls(iteration.row, buttons, many.row, part.row, method.row));

  // ------------------------------------------------------------------ the mouse, or a finger: across many of them too
  let held = null;
  const place = (event) => {
    const box = sides.svg.getBoundingClientRect(), scale = sides.svg.viewBox.baseVal.width / box.width;
    const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const i = Math.round(((px - sides.px(values[0])) / (sides.px(values[n - 1]) - sides.px(values[0]))) * (n - 1));
    const exponent = -8 + (10 * (sides.bottom - py)) / (sides.bottom - sides.top);
    return [Math.max(0, Math.min(n - 1, i)), Math.min(1, Math.max(-8, exponent))];
  };
  const drag = (event) => {
    const [i, exponent] = place(event), [from, start] = held, steps = Math.abs(i - from);
    for (let k = 0; k <= steps; k++) {
      const share = steps ? k / steps : 1;
      put(Math.round(from + share * (i - from)), 10 ** (start + share * (exponent - start)));
    }
    [held, chosen] = [[i, exponent], i];
    again(now);
  };
  sides.svg.style.touchAction = "none";
  sides.svg.style.cursor = "ns-resize";
  sides.svg.addEventListener("pointerdown", (event) => {
    player.stop();
    held = place(event);
    sides.svg.setPointerCapture(event.pointerId);
    event.preventDefault();
    drag(event);
  });
  sides.svg.addEventListener("pointermove", (event) => held && drag(event));
  for (const name of ["pointerup", "pointercancel"]) sides.svg.addEventListener(name, () => { held = null; });
  again(data.start.total - data.start.last);
}
