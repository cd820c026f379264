// What figures that the page computes draw with, besides the controls of explore.js: numbers, axes and images.
Object.assign(rk, {
  power: (exponent) => "10" + String(exponent).replace("-", "⁻").replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]),
  counted: (count, one, many = `${one}s`) => `${rk.whole(count)} ${count === 1 ? one : many}`,
  whole: (value) => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ","),
  number(value, digits = 3) {  // as regbook.text.number_text writes it: 0.001, 37.5, 10⁻⁴, 2.5·10⁶
    const size = Math.abs(value);
    if (!Number.isFinite(value)) return String(value);
    if (value === 0 || (size >= 1e-3 && size < 99950)) return rk.minus(`${Number(value.toPrecision(digits))}`);
    const [front, exponent] = value.toExponential(digits - 1).split("e"), power = rk.power(Number(exponent));
    const factor = rk.minus(`${Number(front)}`);
    return factor === "1" ? power : factor === "−1" ? `−${power}` : `${factor}·${power}`;
  },

  // A slider over powers of ten: low and high are exponents, all else are the numbers themselves. With zero: true
  // its lowest place stands for 0.
  logSlider({ low, high, value, zero = false, text = rk.number, input = () => {}, ...rest }) {
    const from = (place) => (zero && place <= low ? 0 : 10 ** place);
    const to = (number) => (number > 0 ? Math.log10(number) : low);
    const slider = rk.slider({ min: low, max: high, value: to(value), text: (place) => text(from(place)),
      input: (place) => input(from(place)), ...rest });
    return { ...slider, set: (number) => slider.set(to(number)) };
  },

  narrow: () => figure.clientWidth < 520,  // as picture.js: is this a phone?
  drawing: (width, height, attributes) =>
    rk.svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", ...attributes }),
  text: (defaults) => (x, y, words, more) =>
    rk.svg("text", { x, y, fill: rk.colors.text, "text-anchor": "middle", ...defaults, ...more }, words),

  // Axes in a drawing, with a line across at every tick of y (and of x, with rules: true).
  // box: [left, top, right, bottom]. x, y: {low, high, scale: "linear" or "log", ticks, text, label, clamp}: text makes
  // the words of a tick, clamp keeps points inside; low and high may change later.
  plot({ svg, box: [left, top, right, bottom], x, y, size = 13.5 }) {
    const place = (axis, from, to) => (value) => {
      const scale = axis.scale === "log" ? Math.log10 : Number;
      const inside = axis.clamp ? Math.max(axis.low, Math.min(axis.high, value)) : value;
      return from + ((scale(inside) - scale(axis.low)) / (scale(axis.high) - scale(axis.low))) * (to - from);
    };
    const px = place(x, left, right), py = place(y, bottom, top), words = rk.text({ "font-size": size });
    const add = (node) => { svg.append(node); return node; };
    for (const tick of y.ticks || []) {
      add(rk.svg("line", { x1: left, x2: right, y1: py(tick), y2: py(tick), stroke: rk.colors.line }));
      add(words(left - 6, py(tick) + 5, (y.text || String)(tick), { "text-anchor": "end" }));
    }
    for (const tick of x.ticks || []) {
      if (x.rules) add(rk.svg("line", { x1: px(tick), x2: px(tick), y1: top, y2: bottom, stroke: rk.colors.line }));
      add(words(px(tick), bottom + 18, (x.text || String)(tick)));
    }
    if (x.label) add(words((left + right) / 2, svg.viewBox.baseVal.height - 6, x.label, { fill: rk.colors.muted }));
    const path = (points) => Array.from(points).filter(([, v]) => !Number.isNaN(v))
      .map(([u, v], k) => `${k ? "L" : "M"}${px(u).toFixed(1)},${py(v).toFixed(1)}`).join("");
    return {
      px, py, add, path,
      line(attributes) {  // gives a function of the points [[x, y], …] of the curve; NaN leaves one out
        const node = add(rk.svg("path", { fill: "none", ...attributes }));
        return Object.assign((points) => node.setAttribute("d", path(points)), { node });
      },
      dot(attributes) {  // gives a function of its place
        const node = add(rk.svg("circle", attributes));
        return Object.assign((u, v, more) => rk.make(node, { cx: px(u), cy: py(v), ...more }, []), { node });
      },
      rule(attributes) {  // an upright line: gives a function of its x
        const node = add(rk.svg("line", { y1: top, y2: bottom, ...attributes }));
        return Object.assign((u) => rk.make(node, { x1: px(u), x2: px(u) }, []), { node });
      },
    };
  },

  // A picture of m × n cells, the first index along x and the second along y, upwards. paint(color) takes a function
  // of the cell's number i n + j that gives red, green and blue. Where the canvas is larger it is scaled smoothly.
  image([m, n], { width = m, height = n, ...attributes }) {
    const node = rk.el("canvas", { width, height, ...attributes });
    const sheet = node.width === m && node.height === n ? node : rk.el("canvas", { width: m, height: n });
    const pixels = new ImageData(m, n);
    const paint = (color) => {
      for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) {
        const [red, green, blue] = color(i * n + j), at = 4 * ((n - 1 - j) * m + i);
        [pixels.data[at], pixels.data[at + 1], pixels.data[at + 2], pixels.data[at + 3]] = [red, green, blue, 255];
      }
      sheet.getContext("2d").putImageData(pixels, 0, 0);
      if (sheet !== node) node.getContext("2d").drawImage(sheet, 0, 0, node.width, node.height);
    };
    return { node, paint };
  },
  // From a list of colours "#rrggbb" a function of a number from −1 to 1 that gives red, green and blue.
  ramp(colors) {
    const known = colors.map((color) => [1, 3, 5].map((k) => parseInt(color.slice(k, k + 2), 16)));
    return (value) => {
      const place = ((Math.max(-1, Math.min(1, value)) + 1) / 2) * (known.length - 1);
      const k = Math.min(Math.floor(place), known.length - 2);
      return known[k].map((c, q) => c + (place - k) * (known[k + 1][q] - c));
    };
  },
});
