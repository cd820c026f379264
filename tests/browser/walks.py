"""Walks over all figures of a page, done in the page itself: quick enough for many widths."""

from __future__ import annotations

from playwright.sync_api import Page

SMALLEST = 9  # CSS pixels: the smallest text of a figure that can be read on a phone

# Every place of every slider and every entry of every list; then every button, and the sliders after it.
MOVES = """() => {
  const jumps = [], said = new Set();
  const only = (figure, kinds) => [...figure.querySelectorAll(kinds)].filter((node) =>
    !node.closest(".rk-predict, .rk-ghost, dialog") && node.checkVisibility());
  const send = (node, kind) => node.dispatchEvent(new Event(kind, { bubbles: true }));
  for (const figure of document.querySelectorAll("figure.rk[role=group]")) {
    const high = () => figure.getBoundingClientRect().height, before = high(), all = {};
    const look = (what) => {
      if (Math.abs(high() - before) > 0.5) {
        jumps.push(`${figure.getAttribute("aria-label")}, ${what}: ${before} px become ${high()}`);
      }
      const telling = ".rk-readout, .rk-stage p, .rk-stage td, .rk-stage text, output";
      for (const node of figure.querySelectorAll(telling)) {
        if (!node.closest(".rk-ghost")) said.add(node.textContent);
      }
    };
    const slide = (range, most) => {
      const [low, high, step] = [+range.min, +range.max, range.step === "any" ? 0 : +range.step];
      const places = Math.min(most, step ? Math.round((high - low) / step) : most);
      for (let k = places; k >= 0; k--) {
        range.value = low + ((high - low) * k) / places;
        send(range, "input");
        look(`${range.getAttribute("aria-label")} = ${range.value}`);
      }
    };
    const ranges = (most) => {  // a move may take another slider away
      for (const range of only(figure, "input[type=range]")) if (range.isConnected) slide(range, most);
    };
    look("at first");
    ranges(24);
    for (const list of only(figure, "select")) {
      for (let k = list.options.length - 1; k >= 0; k--) {
        list.selectedIndex = k;
        send(list, "change");
        look(list.options[k].text);
        ranges(12);
      }
    }
    for (const box of only(figure, "input[type=checkbox]")) {
      for (let k = 0; k < 2; k++) { box.click(); look("a box"); }
    }
    const buttons = only(figure, "button:not(.rk-enlarge, .rk-play, :disabled)");
    for (const name of buttons.map((node) => node.textContent)) {
      only(figure, "button").find((node) => node.textContent === name)?.click();
      look(name);
      ranges(2);
    }
  }
  return { jumps, said: [...said] };
}"""

# The smallest text of each figure that can be seen: that of its picture, of its drawings and of its words.
SIZES = """() => [...document.querySelectorAll("figure.rk")].flatMap((figure) => {
  const seen = (node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest(".rk-ghost");
  const name = figure.getAttribute("aria-label") || figure.querySelector("img")?.alt, sizes = [];
  const image = figure.querySelector(".rk-picture img");
  if (image && seen(image) && image.width) {
    const sent = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const drawings = sent.figure?.drawings ?? (Array.isArray(sent) ? sent : []);
    const drawing = drawings.find(({ width }) => width === Number(image.getAttribute("width")));
    if (drawing?.points) sizes.push(["picture", (drawing.points * image.width) / drawing.inches / 72]);
  }
  const words = document.createTreeWalker(figure, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const node = words.currentNode.parentElement;
    const said = words.currentNode.data.trim().slice(0, 40);
    if (!said || node.closest("script, style") || !seen(node)) continue;
    const scale = node.ownerSVGElement ? Math.abs(node.getScreenCTM().a) : 1;
    sizes.push([said, scale * parseFloat(getComputedStyle(node).fontSize)]);
  }
  return sizes.map(([what, size]) => [name, what, size]);
})"""

# Where the reader looks at the upper end or the middle of a picture: are its controls there?
OUT_OF_VIEW = """async () => {
  const lost = [];
  for (const figure of document.querySelectorAll("figure.rk[role=group]")) {
    const controls = [...figure.querySelectorAll(".rk-controls")].filter((node) =>
      !node.closest(".rk-ghost") && node.querySelector("input, select") && node.checkVisibility());
    const picture = figure.querySelector(".rk-picture, .rk-stage svg, .rk-stage canvas");
    if (!picture) continue;
    const name = figure.getAttribute("aria-label");
    if (!controls.length && figure.querySelector("input[type=range]:not(.rk-ghost *)")) {
      lost.push(`${name}: sliders that are no controls`);
    }
    for (const share of [0, 0.5]) {
      const box = picture.getBoundingClientRect();
      scrollTo({ top: scrollY + box.top + share * box.height - 8, behavior: "instant" });
      for (const part of controls) {
        const { top, bottom } = part.getBoundingClientRect();
        if (top < 0 || bottom > innerHeight + 1) {
          lost.push(`${name}, from ${share} on: the controls are at ${top} to ${bottom} of ${innerHeight}`);
        }
      }
    }
  }
  return lost;
}"""

# What scrolls sideways inside the page and does not say so.
UNMARKED = """() => [...document.querySelectorAll(".bd-article *")].filter((node) => {
  if (node.scrollWidth <= node.clientWidth + 1 || !node.checkVisibility()) return false;
  if (!["auto", "scroll"].includes(getComputedStyle(node).overflowX)) return false;
  return !getComputedStyle(node).maskImage.includes("gradient");
}).map((node) => node.outerHTML.slice(0, 160))"""

# A sign that a formula has left alone at the beginning of the next line.
STRAYS = """() => [...document.querySelectorAll(".bd-article span.math")].flatMap((formula) => {
  const after = formula.nextSibling ?? formula.parentElement.nextSibling;
  const box = formula.getBoundingClientRect();
  if (after?.nodeType !== Node.TEXT_NODE || !/^[.,;:!?)”’]/.test(after.data) || !box.height) return [];
  const sign = document.createRange();
  sign.setStart(after, 0);
  sign.setEnd(after, 1);
  const { left, bottom } = sign.getBoundingClientRect();
  return left < box.left && bottom > box.bottom ? [formula.parentElement.textContent.slice(0, 80)] : [];
})"""

# Buttons that touch, and lists that show a part of what is chosen although the line has room for all of it.
CROWDED = """() => [...document.querySelectorAll("figure.rk")].flatMap((figure) => {
  const seen = (node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest(".rk-ghost");
  const all = (kinds) => [...figure.querySelectorAll(kinds)].filter(seen);
  const buttons = all("button:not(.rk-enlarge)");
  const boxes = buttons.map((node) => [node.textContent, node.getBoundingClientRect()]);
  const apart = (a, b) => a.right + 3 <= b.left || a.bottom + 3 <= b.top;
  const found = boxes.flatMap(([name, a], k) => boxes.slice(k + 1)
    .filter(([, b]) => !apart(a, b) && !apart(b, a)).map(([other]) => `${name} touches ${other}`));
  for (const list of all("select")) {
    const whole = list.cloneNode(true);
    whole.style.cssText = "position:absolute;visibility:hidden;max-width:none";
    list.after(whole);
    const line = list.closest(".rk-control") ?? list.parentElement;
    const most = Math.min(whole.offsetWidth, line.clientWidth);
    if (list.offsetWidth < most - 1) found.push(`cut: ${list.textContent}`);
    whole.remove();
  }
  return found;
})"""

# For each figure that asks: what can be seen or heard of it before the guess.
BEFORE = """() => [...document.querySelectorAll("figure.rk[role=group]")].flatMap((figure) => {
  const sent = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  if (!sent.guess) return [];
  const seen = (node) => node.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true });
  const quiet = (node) => node.closest(".rk-predict") || !seen(node);
  const parts = "img, canvas, svg, [aria-label], .rk-stage, .rk-controls, .rk-picture";
  const shown = [...figure.querySelectorAll(parts)].filter((node) => !quiet(node));
  return [{
    name: figure.getAttribute("aria-label"),
    guess: sent.guess,
    readouts: sent.figure?.texts ?? [figure.querySelector(".rk-readout").textContent],
    captions: [...figure.querySelectorAll(".rk-caption")].map((node) => node.textContent),
    told: figure.innerText.replace(/\\s+/g, " "),
    heard: shown.map((node) => `${node.getAttribute("alt") ?? ""} ${node.getAttribute("aria-label") ?? ""}`),
    pictures: shown.filter((node) => node.matches(".rk-picture, .rk-stage")).length,
    controls: shown.filter((node) => node.matches(".rk-controls:not(.rk-stage *)")).length,
  }];
})"""
OPEN_FOLDS = """() => [...document.querySelectorAll("details.after-guess[open]")].map((fold) =>
  fold.innerText.slice(0, 80))"""


def spoilers(page: Page) -> list[str]:
    """What a page shows or says of an answer before any guess is made."""
    found = [f"a fold is open: {words}" for words in page.evaluate(OPEN_FOLDS)]
    for asked in page.evaluate(BEFORE):
        guess, name = asked["guess"], asked["name"]
        secret = [guess["answer"], *asked["readouts"], *asked["captions"]]
        open_ = " ".join([asked["told"], *asked["heard"]])
        found += [f"{name}: {text}" for text in secret if text and " ".join(text.split()) in open_]
        if asked["pictures"] and guess["before"] == "nothing":
            found.append(f"{name}: the picture")
        if asked["controls"]:
            found.append(f"{name}: the controls")
    return found
