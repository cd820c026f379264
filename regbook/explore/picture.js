// The drawings of a figure: wide or narrow as it is, light or dark as the page is, and large in a window of its own.
// pictures(figure, drawings, k) shows the k-th frame, and returns show(k, alt) for the others.
const pictures = (figure, drawings, at = 0) => {
  const NARROW = 520;  // pixels: the width from which on the wide drawing is shown
  const box = figure.querySelector(".rk-picture"), still = box.querySelector("img");
  const stills = [still.src, box.querySelector("source").srcset];
  const make = (tag, properties, attributes = {}) => {
    const node = Object.assign(document.createElement(tag), properties);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const change = make("img", { alt: "", hidden: true });
  const canvas = make("canvas", { hidden: true }, { "aria-hidden": "true" });
  const enlarge = make("button", { type: "button", className: "rk-enlarge" }, { "aria-label": "Enlarge the picture" });
  const sensor = make("div", { className: "rk-sensor" });
  box.replaceChildren(still, change, canvas, enlarge);
  box.classList.add("rk-live");
  figure.prepend(sensor);

  let kind = -1, turn = 0;
  const loaded = new Map();  // keeps the pictures decoded, so that the next one is there at once
  const changed = (n, k) => Boolean(drawings[n].changes[k]);
  const picture = (n, k) => {  // of the n-th drawing the change for the k-th frame, or for −1 its still picture
    const key = `${n} ${k}`;
    if (!loaded.has(key)) {
      loaded.set(key, make("img", { src: k < 0 ? stills[n] : `data:image/webp;base64,${drawings[n].changes[k]}` }));
    }
    return loaded.get(key);
  };

  // ---- Dark: what is light becomes dark and the other way round, but a colour keeps its hue, and its lightness as
  // far as it can be read: what the text calls blue is blue. Photographs stay as they are.
  const isDark = () => getComputedStyle(figure).getPropertyValue("--rk-dark").trim() === "1";
  let table = null;  // from each of 32³ colours to the one in the dark
  const dark = () => {
    if (table) return table;
    // to Oklab and back: B. Ottosson, A perceptual color space for image processing (2020)
    const cones = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
      [0.0883024619, 0.2817188376, 0.6299787005]];
    const lab = [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099],
      [0.0259040371, 0.7827717662, -0.808675766]];
    const unlab = [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728],
      [1, -0.0894841775, -1.291485548]];
    const colors = [[4.0767416621, -3.3077115913, 0.2309699292], [-1.2684380046, 2.6097574011, -0.3413193965],
      [-0.0041960863, -0.7034186147, 1.707614701]];
    const times = (matrix, v) => matrix.map(([a, b, c]) => a * v[0] + b * v[1] + c * v[2]);
    const limit = (v) => Math.min(1, Math.max(0, v));
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const coded = (c) => Math.round(255 * limit(c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055));
    const levels = Array.from({ length: 32 }, (_, k) => linear(k / 31));
    table = new Uint32Array(32768);
    for (let k = 0; k < 32768; k++) {
      const seen = times(cones, [levels[k >> 10], levels[(k >> 5) & 31], levels[k & 31]]);
      const [light, u, v] = times(lab, seen.map(Math.cbrt));
      const colored = limit(Math.hypot(u, v) / 0.1), turned = 0.93 - 0.683 * limit((light - 0.22) / 0.78) ** 1.15;
      const readable = turned + colored * (Math.max(0.66, 0.3 + 0.68 * light) - turned);
      const grey = 1 - colored;  // a bluish one, as that of the page's cards
      const cubed = times(unlab, [readable, u - 0.0026 * grey, v - 0.0084 * grey]).map((c) => c ** 3);
      const [r, g, b] = times(colors, cubed);
      table[k] = (255 << 24) | (coded(b) << 16) | (coded(g) << 8) | coded(r);
    }
    return table;
  };
  const paint = async (target, n, k) => {
    const layers = [-1, k].filter((part) => part < 0 || changed(n, part)).map((part) => picture(n, part));
    await Promise.all(layers.map((layer) => layer.decode()));
    const { width, height, photos, which } = drawings[n];
    [target.width, target.height] = [width, height];
    const pen = target.getContext("2d", { willReadFrequently: true });
    for (const layer of layers) pen.drawImage(layer, 0, 0, width, height);
    if (!isDark()) return;
    const image = pen.getImageData(0, 0, width, height), colors = new Uint32Array(image.data.buffer), to = dark();
    for (let i = 0; i < colors.length; i++) {
      const c = colors[i];
      colors[i] = to[((c & 0xf8) << 7) | ((c & 0xf800) >> 6) | ((c & 0xf80000) >> 19)];
    }
    pen.putImageData(image, 0, 0);
    for (const place of photos[which[k]]) {
      for (const layer of layers) pen.drawImage(layer, ...place, ...place);
    }
  };

  // ---- The drawing that fits
  const draw = () => {
    const { width, height } = drawings[kind], mine = ++turn;
    if (still.src !== stills[kind]) still.src = stills[kind];
    for (const part of [still, change]) Object.assign(part, { width, height });
    change.hidden = !changed(kind, at);
    if (!change.hidden) change.src = picture(kind, at).src;
    if (!isDark()) {
      canvas.hidden = true;
      return;
    }
    const next = make("canvas");
    paint(next, kind, at).then(() => {
      if (mine !== turn) return;
      [canvas.width, canvas.height] = [width, height];
      canvas.getContext("2d").drawImage(next, 0, 0);
      canvas.hidden = false;
    });
  };
  const choose = () => {
    const width = parseFloat(getComputedStyle(sensor).width);  // not as it is on the screen: slides are scaled
    const fitting = width < NARROW ? 1 : 0;
    if (!width || fitting === kind) return;
    kind = fitting;
    box.classList.toggle("rk-narrow", kind === 1);
    draw();
  };
  new ResizeObserver(choose).observe(sensor);
  const themes = new MutationObserver(() => kind >= 0 && draw());
  for (const node of [document.documentElement, document.body]) {
    themes.observe(node, { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light", "class"] });
  }
  const load = () => {
    for (const event of ["pointerover", "focusin"]) figure.removeEventListener(event, load);
    if (kind >= 0) drawings[kind].changes.forEach((source, k) => source && picture(kind, k));
  };
  for (const event of ["pointerover", "focusin"]) figure.addEventListener(event, load);

  // ---- Large: the wide drawing in a window of its own, which Escape closes
  enlarge.addEventListener("click", () => {
    const large = make("canvas", {}, { role: "img", "aria-label": still.alt });
    const close = make("button", { type: "button", textContent: "Close" });
    const region = { role: "region", "aria-label": "The picture" };
    const scroll = make("div", { className: "rk-scroll", tabIndex: 0 }, region);
    const view = make("dialog", { className: "rk-large" }, { "aria-label": "The picture, enlarged" });
    large.style.setProperty("--rk-shape", drawings[0].width / drawings[0].height);
    scroll.append(large);
    view.append(close, scroll);
    close.addEventListener("click", () => view.close());
    view.addEventListener("click", (event) => event.target === view && view.close());
    view.addEventListener("close", () => view.remove());
    figure.append(view);
    paint(large, 0, at);
    view.showModal();
  });

  choose();
  return (k, alt) => {
    at = k;
    still.alt = alt;
    if (kind >= 0) draw();
  };
};
