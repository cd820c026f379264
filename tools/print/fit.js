// Lays the book out for paper: what is wider than a sheet becomes smaller, figures find their places, and the numbers of
// the pages are filled in. When all has come to rest, <html> gets the attribute data-paper.
addEventListener("load", async () => {
  const SMALLEST = 0.6, STEP = 0.97;  // letters of what is too wide
  // A picture, or a figure that its script has drawn, may shrink so far to fill so much of a sheet that would stay empty.
  const LOW = 0.62, LOW_DRAWN = 0.75, GAP = 0.15, ROOM = 26;
  const every = (selector, scope = document) => [...scope.querySelectorAll(selector)];

  // Make the letters of `node` smaller, until it is no wider than the room.
  const shrink = (node, wide, room) => {
    let size = 1;
    while (wide() > room() + 0.5 && size > SMALLEST) {
      size *= STEP;
      node.style.fontSize = `${size}em`;
    }
  };

  await MathJax.startup.promise;
  await document.fonts.ready;
  for (const formula of every("mjx-container[display='true']")) {
    shrink(formula, () => formula.scrollWidth, () => formula.clientWidth);
  }
  for (const table of every("table")) {
    shrink(table, () => table.offsetWidth, () => table.parentElement.clientWidth);
  }
  for (const code of every("pre")) {
    shrink(code, () => code.scrollWidth, () => code.clientWidth);
    if (code.scrollWidth > code.clientWidth) code.style.whiteSpace = "pre-wrap";
  }
  for (const formula of MathJax.startup.document.math) {  // what a screen reader says
    formula.typesetRoot.setAttribute("role", "img");
    formula.typesetRoot.setAttribute("aria-label", formula.math);
  }

  const computed = every("figure.rk").filter((figure) => figure.querySelector(".rk-stage") && figure.querySelector("script"));
  const said = (figure) => figure.querySelector(".rk-readout").textContent;
  const resting = () => computed.every((figure) => said(figure) && !/computing: \d/.test(figure.textContent));
  while (!resting()) await new Promise(requestAnimationFrame);

  // Columns as high as a sheet break where sheets do. So here a column is a sheet.
  const parts = every(".front, .contents, article");
  document.body.classList.add("sheets");
  const sheet = (part, rect) => Math.round((rect.left - part.getBoundingClientRect().left) / part.offsetWidth - 0.4);
  const first = (node) => node.getClientRects()[0], last = (node) => [...node.getClientRects()].at(-1);
  const count = (part) => Math.max(1, Math.round(part.scrollWidth / part.offsetWidth));
  const before = (node) => {  // what ends right before it
    while (!node.previousElementSibling && !node.matches("article > *")) node = node.parentElement;
    return node.previousElementSibling;
  };

  // How much of the sheet before a figure is empty because the figure needs the next one; 0 if it does not.
  const gap = (part, figure) => {
    let start = figure;
    for (let other; (other = before(start))?.matches("h2, h3, .highlight + .cell_output");) start = other;
    const other = before(start), { top, height } = part.getBoundingClientRect();
    if (!other || first(start).top - top > 30 || sheet(part, last(other)) >= sheet(part, first(start))) return {};
    return { empty: top + height - last(other).bottom, needed: last(figure).bottom - first(start).top, other };
  };
  const smaller = (part, figure) => {
    const image = figure.querySelector(".rk-picture img"), { empty, needed } = gap(part, figure);
    if (!empty) return;
    const over = needed - empty + ROOM, style = (image ?? figure).style;
    if (image) {
      if (image.offsetHeight - over < LOW * image.offsetHeight) return;
      style.maxHeight = `${image.offsetHeight - over}px`;
    } else {  // with all that is in it: it keeps its own measures, and is not drawn again
      const share = 1 - over / (last(figure).bottom - first(figure).top);
      if (share < LOW_DRAWN) return;
      style.zoom = share * getComputedStyle(figure).zoom;
      style.width = `${100 * share}%`;
      style.marginInline = "auto";
    }
    if (gap(part, figure).empty) style.maxHeight = style.zoom = style.width = style.marginInline = "";
  };
  // Text that follows a figure may come before it, as in other books, unless the text says where it is.
  const later = (part, figure) => {
    if (figure.querySelector(".rk-asked")) return;  // what follows answers the question
    const cell = figure.closest(".cell") ?? figure;
    for (let moved = 0; moved < 4; moved += 1) {
      const { empty, other } = gap(part, figure), next = cell.nextElementSibling;
      if (!empty || empty < GAP * part.offsetHeight || /:\s*$|\bbelow\b/.test(other.textContent)) return;
      if (!next?.matches("p:not(.pointer), div.told") || /\babove\b/.test(next.textContent)) return;
      if (next.nextElementSibling?.matches(".pointer")) return;
      cell.before(next);
    }
  };
  for (const part of parts) {
    for (const figure of every("figure.rk", part)) {
      if (!(gap(part, figure).empty > GAP * part.offsetHeight)) continue;
      smaller(part, figure);
      later(part, figure);
    }
  }

  const places = {};
  let pages = 0;
  const wanted = new Set(every(".place").map((node) => node.dataset.of));
  for (const part of parts) {
    for (const node of [part, ...every("[id]", part)]) {
      if (wanted.has(node.id)) places[node.id] = pages + 1 + sheet(part, first(node));
    }
    pages += count(part);
  }
  for (const node of every(".place")) node.textContent = places[node.dataset.of] ?? "";
  document.body.classList.remove("sheets");
  document.documentElement.dataset.paper = "ready";
});
