// The Jacobian of a program with three stages, n → k → k → m, is a product C B A. In which order to multiply?
// data: see regbook.widgets.jacobian_chain.
(root, data, kit) => {
  const W = 400, H = 300, { k } = data;
  const { text, muted, line, blue, vermillion, card } = kit.colors;
  const side = (d) => 14 + 24 * Math.log10(d + 1);  // the pictures of the matrices grow with the logarithm
  const words = kit.text({ "font-size": 15 });
  const style = "max-width:560px;margin:0 auto";
  const svg = kit.drawing(W, H, { "aria-label": "Three matrices and two counts", style });
  const boxes = ["C", "B", "A"].map((name) => {
    const shape = kit.svg("rect", { fill: card, stroke: text, "stroke-width": 1.5 });
    const label = words(0, 0, name, { "font-weight": 600, "font-size": 18 });
    const size = words(0, 0, "", { "font-size": 13, fill: muted });
    svg.append(shape, label, size);
    return { shape, label, size };
  });
  const counted = [["forwards: C (B A)", vermillion], ["in reverse: (C B) A", blue]].map(([name, color], row) => {
    const y = 196 + 54 * row;
    const axis = kit.svg("line", { x1: 16, x2: W - 16, y1: y + 18, y2: y + 18, stroke: line });
    const dot = kit.svg("circle", { cy: y + 18, r: 8, fill: color });  // on a logarithmic axis a bar has no beginning
    const count = words(W - 8, y, "", { "text-anchor": "end" });
    svg.append(words(8, y, name, { "text-anchor": "start", "font-weight": 600 }), count, axis, dot);
    return { dot, count };
  });
  svg.append(kit.svg("line", { x1: 8, x2: W - 8, y1: 170, y2: 170, stroke: line }));

  let n = data.n, m = data.m;
  const draw = () => {
    const shapes = [[m, k], [k, k], [k, n]];
    const gap = 16, total = shapes.reduce((sum, [, c]) => sum + side(c), 0) + 2 * gap;
    let x = (W - total) / 2;
    shapes.forEach(([rows, columns], i) => {
      const width = side(columns), height = side(rows), { shape, label, size } = boxes[i], middle = x + width / 2;
      kit.make(shape, { x, y: 74 - height / 2, width, height }, []);
      kit.make(label, { x: middle, y: 80 }, []);
      kit.make(size, { x: middle, y: 156 }, []);
      size.textContent = `${kit.whole(rows)} × ${kit.whole(columns)}`;
      x += width + gap;
    });
    const counts = [k * k * n + m * k * n, m * k * k + m * k * n];
    const most = Math.log10(2 * k * 10 ** (2 * data.log_max)), least = Math.log10(k);
    counts.forEach((count, i) => {
      const place = (Math.log10(count) - least) / (most - least);
      counted[i].dot.setAttribute("cx", 16 + place * (W - 32));
      counted[i].count.textContent = kit.whole(count);
    });
    kit.say(sentence(n, m, ...counts));
  };
  const sentence = (n, m, f, r) => {
    const ratio = Math.max(f, r) / Math.min(f, r);
    const verdict = f === r ? "Both cost the same."
      : `${f < r ? "Forwards" : "Reverse"} needs ${ratio.toFixed(ratio < 10 ? 1 : 0)} times fewer.`;
    const several = (count, one) => `${kit.whole(count)} ${one}${count === 1 ? "" : "s"}`;
    return `n = ${several(n, "input")}, m = ${several(m, "output")}. ` +
      `Multiplications: ${kit.whole(f)} forwards, ${kit.whole(r)} in reverse. ${verdict}`;
  };
  const widest = 10 ** data.log_max, dearest = 2 * k * widest ** 2;
  kit.longest(sentence(widest, widest, dearest, dearest / 1000));
  const slider = (label, value, input) => kit.logSlider({ label, low: 0, high: data.log_max, step: 0.2, value,
    text: kit.whole, input: (v) => { input(Math.round(v)); draw(); } });
  const inputs = slider("n inputs", n, (v) => (n = v)), outputs = slider("m outputs", m, (v) => (m = v));
  const set = (p, q) => () => { [n, m] = [p, q]; inputs.set(p); outputs.set(q); draw(); };
  root.append(svg, inputs.row, outputs.row, kit.row(kit.button("gradient", set(1000, 1)),
    kit.button("residual", set(6, 1000)), kit.button("square", set(100, 100))));
  draw();
}
