// The loss of one pixel as a graph of six operations, walked step by step: forwards with one tangent, or backwards.
// data: see regbook.widgets.graph_stepper. local[k] is the derivative of v_{k+1} in v_k (local[0]: in a).
(root, data, kit) => {
  const W = 400, H = 450, mid = 150, side = 40, half = 17;  // half the height of a box
  const { text, muted, line, card, blue, vermillion } = kit.colors;
  const sub = (k) => "v" + "₁₂₃₄₅₆"[k];
  const bar = (k) => `∂J/∂${sub(k)}`;
  const n = (v) => kit.number(Math.abs(v) < 5e-13 ? 0 : v, 4);
  const factor = (v) => (v < 0 ? `(${n(v)})` : n(v));
  const dual = (v, dot) => `${n(v)} ${dot < 0 ? "−" : "+"} ${n(Math.abs(dot))} ε`;
  const formulas = ["a · x", "v₁ + b", "T(v₂)", "v₃ − R", "v₄²", "½ v₅"];
  const steep = ["x", "1", "T′(v₂)", "1", "2 v₄", "½"];
  const top = (k) => 106 + 64 * k;
  const modes = ["backwards", "forwards, from a", "forwards, from b"];

  const words = kit.text({ "font-size": 16 });
  const svg = kit.drawing(W, H, { "aria-label": "The graph of the program", style: "max-width:420px;margin:0 auto" });
  const arrow = (x1, y1, x2, y2) => {
    const away = Math.hypot(x2 - x1, y2 - y1), ux = (x2 - x1) / away, uy = (y2 - y1) / away;
    const shaft = kit.svg("line", { x1, y1, x2, y2 }), head = kit.svg("path", {});
    svg.append(shaft, head);
    return (color, width, back) => {
      const [tx, ty, dx, dy] = back ? [x1, y1, -ux, -uy] : [x2, y2, ux, uy];
      kit.make(shaft, { stroke: color, "stroke-width": width }, []);
      const wing = (side) => `L${tx - 9 * dx - 5 * side * dy},${ty - 9 * dy + 5 * side * dx}`;
      kit.make(head, { fill: color, d: `M${tx},${ty} ${wing(1)} ${wing(-1)}Z` }, []);
    };
  };
  const node = (x, y, width, rx) => {
    const shape = kit.svg("rect", { x: x - width / 2, y: y - half, width, height: 2 * half, rx, fill: card,
      stroke: line, "stroke-width": 1.5 });
    const name = words(x, y + 6, "");
    svg.append(shape, name);
    return { shape, name };
  };

  // arrows first, boxes on top of them; an arrow's k is the operation that it enters
  const into = formulas.map((_, k) => arrow(mid, (k ? top(k - 1) : 36) + half, mid, top(k) - half));
  const fromX = arrow(262, 36 + half, 190, top(0) - half);
  const fromB = arrow(side + 20, top(1), mid - 62, top(1)), fromR = arrow(side + 20, top(3), mid - 62, top(3));
  const boxes = formulas.map((_, k) => node(mid, top(k), 124, 8));
  const inputs = { a: node(mid, 36, 104, half), x: node(270, 36, 84, half), b: node(side, top(1), 68, half),
    R: node(side, top(3), 78, half) };
  const slopes = steep.map((_, k) => {
    const node = words(mid + 8, top(k) - half - 10, "", { "text-anchor": "start", "font-size": 14, fill: muted });
    svg.append(node);
    return node;
  });
  const strong = { "text-anchor": "start", "font-weight": 600 };
  const values = formulas.map((_, k) => words(222, top(k) - 3, "", strong));
  const extras = formulas.map((_, k) => words(222, top(k) + 18, "", strong));
  const gains = { a: words(mid, 13, "", { "font-weight": 600, "font-size": 15 }),
    b: words(4, top(1) + 36, "", { ...strong, "font-size": 15 }) };
  svg.append(...values, ...extras, gains.a, gains.b);

  let pixel = 0, mode = 0, step = 0;
  const draw = () => {
    const p = data[pixel], back = mode === 0, seed = mode === 1 ? "a" : "b";
    const tangent = mode === 1 ? p.tangent_a : p.tangent_b;
    // forwards, step s carries out operation s − 1; backwards, it goes through operation 6 − s (counted from 0)
    const active = back ? Math.min(6 - step, 5) : step - 1;
    const colour = back ? blue : vermillion;
    for (const [key, value] of [["a", p.a], ["x", p.x], ["b", p.b], ["R", p.R]]) {
      inputs[key].name.textContent = `${key} = ${n(value)}`;
      inputs[key].shape.setAttribute("stroke", !back && key === seed ? colour : line);
    }
    formulas.forEach((formula, k) => {
      const computed = back || k < step, brought = k ? tangent[k - 1] : mode === 1;
      const moved = back ? k >= 6 - step : k < step && !!brought;
      const known = back ? k >= 5 - step : k < step;
      boxes[k].name.textContent = k === 5 ? "J = v₆ = ½ v₅" : `${sub(k)} = ${formula}`;
      boxes[k].name.setAttribute("fill", computed ? text : muted);
      kit.make(boxes[k].shape, { stroke: k === active ? colour : line, "stroke-width": k === active ? 3 : 1.5 }, []);
      values[k].textContent = !computed ? "" : back ? `value ${n(p.values[k])}` : dual(p.values[k], tangent[k]);
      extras[k].textContent = known ? (back ? `${bar(k)} = ${n(p.bar[k])}` : `tangent ${n(tangent[k])}`) : "";
      extras[k].setAttribute("fill", colour);
      slopes[k].textContent = computed ? `× ${k % 2 ? "" : `${steep[k]} = `}${n(p.local[k])}` : "";
      into[k](moved ? colour : line, moved ? 3 : 1.5, back && moved);
    });
    const movedB = back ? step >= 5 : mode === 2 && step >= 2;
    fromB(movedB ? colour : line, movedB ? 3 : 1.5, back && movedB);
    fromX(line, 1.5, false);
    fromR(line, 1.5, false);
    gains.a.textContent = !back ? `tangent ${mode === 1 ? 1 : 0}`
      : step === 6 ? `∂J/∂a = ${n(p.bar[0] * p.local[0])}` : "";
    gains.b.textContent = !back ? `tangent ${mode === 2 ? 1 : 0}` : step >= 5 ? `∂J/∂b = ${n(p.bar[1])}` : "";
    for (const g of Object.values(gains)) g.setAttribute("fill", colour);
    kit.say(back ? backwards(p, step) : forwards(p, tangent, seed, step));
    buttons[0].disabled = step === 0;
    buttons[1].disabled = step === 6;
  };

  const forwards = (p, t, seed, k) => {
    const other = seed === "a" ? "b" : "a", given = (key) => `${key} = ${n(p[key])}`;
    if (k === 0) {
      return `Step 0 of 6. The seed: ${given(seed)} has the tangent 1, ${given(other)} has 0. ` +
        `Every tangent that follows says how fast that value moves when ${seed} moves.`;
    }
    const j = k - 1, v = `${sub(j)} = ${n(p.values[j])}`;
    const rule = k === 1 ? `x times the tangent of a: ${n(p.x)} · ${seed === "a" ? 1 : 0}`
      : k === 2 ? `the sum of the tangents of v₁ and b: ${n(t[0])} + ${seed === "b" ? 1 : 0}`
      : `${steep[j]} times the one before: ${n(p.local[j])} · ${factor(t[j - 1])}`;
    const end = k === 6 ? ` So ∂J/∂${seed} = ${n(t[5])}. For ∂J/∂${other} a second run is needed.` : "";
    return `Step ${k} of 6. Value: ${v}. Tangent: ${rule} = ${n(t[j])}.${end}`;
  };
  const backwards = (p, k) => {
    if (k === 0) {
      return `Step 0 of 6. All values are known from the forward run. ` +
        `The seed: J = ${n(p.values[5])} has the sensitivity ∂J/∂v₆ = 1 to itself.`;
    }
    const j = 6 - k;  // the operation whose derivative is used
    const from = `${n(p.bar[j])} · ${factor(p.local[j])}`;
    if (k === 6) {
      return `Step 6 of 6. Through v₁ = a · x: ∂J/∂a = ${bar(0)} · x = ${from} = ${n(p.bar[0] * p.local[0])}. ` +
        "One run gave ∂J/∂a and ∂J/∂b.";
    }
    const toB = k === 5 ? ` The same number goes to b: ∂J/∂b = ${n(p.bar[1])}.` : "";
    return `Step ${k} of 6. Through ${sub(j)} = ${formulas[j]}: ` +
      `${bar(j - 1)} = ${bar(j)} · ${steep[j]} = ${from} = ${n(p.bar[j - 1])}.${toB}`;
  };

  const go = (k) => { step = Math.min(6, Math.max(0, k)); slider.set(step); draw(); };
  const slider = kit.slider({ label: "step", min: 0, max: 6, step: 1, value: step, text: (v) => `${v} of 6`,
    input: (v) => { step = v; draw(); } });
  const buttons = [kit.button("Back", () => go(step - 1)), kit.button("Next", () => go(step + 1))];
  const direction = kit.select({ label: "direction", options: modes, value: mode,
    input: (k) => { mode = k; go(0); } });
  const place = kit.select({ label: "pixel", options: data.map((p) => p.name), value: pixel,
    input: (k) => { pixel = k; draw(); } });
  for (const p of data) {
    for (let k = 0; k <= 6; k++) {
      kit.longest(backwards(p, k), forwards(p, p.tangent_a, "a", k));
      kit.longest(forwards(p, p.tangent_b, "b", k));
    }
  }
  root.append(svg, direction.row, place.row, slider.row, kit.row(...buttons));
  draw();
}
