// Small pictures with axes, for figures that have several of them beside each other, or below each other on a phone.
(kit) => {
  const left = 52, right = 24, top = 28, words = kit.text({ "font-size": 13.5, "text-anchor": "start" });
  const decades = (low, high, step) => ({ low: 10 ** low, high: 10 ** high, scale: "log", clamp: true,
    text: (v) => kit.power(Math.round(Math.log10(v))),
    ticks: Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, k) => 10 ** (low + k * step)) });
  const plain = (ticks, unit = "") =>
    ({ low: ticks[0], high: ticks.at(-1), ticks, clamp: true, text: (v) => `${v}${unit}` });
  const whole = (most) => {  // from 0 to most, with round ticks
    const step = [1, 2, 5, 10, 20, 50, 100, 200].find((size) => most / size <= 6);
    return { low: 0, high: Math.max(1, most), clamp: true,
      ticks: Array.from({ length: Math.floor(most / step) + 1 }, (_, k) => k * step) };
  };

  const empty = (title, [width, height]) => kit.drawing(width, height, { "aria-label": title, style: "width:100%" });
  const fill = (svg, title, x, y) => {
    const { width, height } = svg.viewBox.baseVal, bottom = x.label ? height - 40 : height - 24;
    svg.replaceChildren(words(4, 15, title, { "font-weight": 600 }));
    const plot = kit.plot({ svg, box: [left, top, width - right, bottom], x, y });
    const note = (at, content, fill) => plot.add(words(left + 6, at, content, { fill, "font-size": 13 }));
    const line = (stroke, thickness, dash) => plot.line({ stroke, "stroke-width": thickness,
      "stroke-dasharray": dash, "stroke-linejoin": "round" });
    const dots = (radius, attributes) => {  // many marks as one path: gives a function of their places
      const node = plot.add(kit.svg("path", attributes)), r = radius;
      const ring = (u, v) => `M${(plot.px(u) - r).toFixed(1)},${plot.py(v).toFixed(1)}a${r},${r} 0 1,0 ${2 * r},0` +
        `a${r},${r} 0 1,0 ${-2 * r},0`;
      return (points, fill) =>
        kit.make(node, { d: points.map(([u, v]) => ring(u, v)).join(""), ...(fill && { fill }) }, []);
    };
    return { ...plot, svg, note, line, dots, left, top, bottom, right: width - right };
  };
  const panel = (title, size, x, y) => fill(empty(title, size), title, x, y);

  // Errors of x and of its tangent over the iterations: the axis is as long as there are any.
  const errors = (size, range) => {
    const title = "Errors over the iterations", svg = empty(title, size);
    const draw = ({ value, tangents, first, at, hue }) => {
      const x = { ...whole(value.length - 1), label: "iteration" }, plot = fill(svg, title, x, range);
      const points = (list) => list.map((error, k) => [k, error]);
      const shade = { x: plot.px(first), y: top, height: plot.bottom - top, fill: hue, "fill-opacity": 0.1 };
      plot.add(kit.svg("rect", { ...shade, width: plot.px(value.length - 1) - plot.px(first) }));
      plot.line(kit.colors.text, 2)(points(value));
      for (const tangent of tangents) plot.line(hue, tangents.length > 1 ? 1.6 : 2.5)(points(tangent));
      plot.note(plot.bottom - 20, "x itself", kit.colors.text);
      plot.note(plot.bottom - 6, "its tangent", hue);
      const mark = (list) => plot.dot({ r: 5, stroke: kit.colors.card, "stroke-width": 1.5 })(at, list[at],
        { fill: list === value ? kit.colors.text : hue });
      for (const list of [value, tangents[0]]) if (!Number.isNaN(list[at])) mark(list);
    };
    return { svg, draw };
  };

  const css = `.rk-panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:2px 14px}
    .rk-panels>*{min-width:0}`;
  const grid = (...parts) => kit.el("div", { class: "rk-panels" }, kit.el("style", {}, css), ...parts);
  // Keys are [mark, colour, words]; mark: "line", "dot" or "ring".
  const legend = (...keys) => {
    const marks = { line: { d: "M0,6h14", "stroke-width": 3 }, ring: { d: "M3,6a4,4 0 1,0 8,0a4,4 0 1,0 -8,0" },
      dot: { d: "M4,6a3,3 0 1,0 6,0a3,3 0 1,0 -6,0", "stroke-width": 2 } };
    const small = "display:inline;width:14px;margin-right:5px";
    const key = ([mark, stroke, words]) => kit.el("span", { style: "white-space:nowrap" },
      kit.svg("svg", { viewBox: "0 0 14 12", "aria-hidden": "true", style: small },
        kit.svg("path", { stroke, fill: mark === "dot" ? stroke : "none", ...marks[mark] })), words);
    return kit.el("p", { style: "display:flex;flex-wrap:wrap;gap:0 1rem;padding:0 8px;font-size:.85em" },
      ...keys.map(key));
  };
  const { vermillion, purple, orange, blue } = kit.colors;
  const hues = { restart: vermillion, continue: purple, chebyshev: orange, implicit: blue };
  const number = (v) => (Number.isFinite(v) ? kit.number(v, 2) : "lost in rounding errors");
  return { decades, plain, whole, panel, errors, grid, legend, hues, number };
}
