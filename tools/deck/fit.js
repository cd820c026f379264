// Makes each slide fit. Figures become as wide as their height allows, with their controls below or beside them,
// whichever leaves the larger picture; text becomes as large as there is room for.
const fit = (() => {
  const HEIGHT = 720, [NARROWEST, WIDEST] = [4 / 3, 16 / 9];
  const LARGEST = 30, SMALLEST = 18;  // pixels of text, on a slide of 720 lines
  const OWN = ".by-hand-views";  // has a layout of its own, see deck.css
  const root = document.documentElement;

  const size = () => {
    const shape = Math.min(WIDEST, Math.max(NARROWEST, innerWidth / innerHeight));
    return { width: Math.round(HEIGHT * shape), height: HEIGHT };
  };
  const over = (body) => body.scrollHeight > body.clientHeight + 1 || body.scrollWidth > body.clientWidth + 1;

  // The largest whole number from low to high for which nothing is cut off, or low.
  const largest = (low, high, fits) => {
    if (fits(high)) return high;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (fits(middle)) low = middle;
      else high = middle;
    }
    fits(low);
    return low;
  };
  const text = (body) => largest(SMALLEST, LARGEST, (value) => {
    body.style.setProperty("--size", `${value}px`);
    return !over(body);
  });
  const figure = (body, node) => {
    const picture = () => node.querySelector(".rk-picture, .rk-stage svg, .rk-stage canvas")?.clientWidth || 0;
    const set = (beside, width) => {
      node.classList.toggle("beside", beside);
      node.style.setProperty("--figure", `${width}%`);
      node.style.setProperty("--picture", `${width * 0.74}%`);
      node.dispatchEvent(new Event("rk-fit"));  // its read-out finds room at this width
    };
    const tries = (node.querySelector(OWN) ? [false] : [false, true]).map((beside) => {
      const width = largest(36, 100, (value) => { set(beside, value); return !over(body); });
      return { beside, width, size: over(body) ? 0 : picture() };
    });
    const best = tries.reduce((a, b) => (b.size > 1.06 * a.size ? b : a));
    set(best.beside, best.width);
    for (const svg of node.querySelectorAll(".rk-stage svg")) {
      const wide = svg.viewBox.baseVal?.width, scale = wide ? svg.clientWidth / wide : 1;
      svg.style.setProperty("--least", `${SMALLEST / scale}px`);
    }
  };

  const all = () => {
    const { width } = size();
    root.style.setProperty("--slide-width", `${width}px`);
    root.toggleAttribute("data-four-three", width < 1120);
    for (const body of document.querySelectorAll(".slide > .body")) {
      const node = body.querySelector("figure.rk");
      if (node) figure(body, node);
      else text(body);
    }
  };
  return { all, size };
})();
