"""What a reader does with the figures of a page, and what can be seen afterwards."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Locator, Page

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]

STATE = """figure => {
  const hash = (text) => [...text].reduce((h, c) => (h * 31 + c.codePointAt(0)) | 0, 0);
  const images = [...figure.querySelectorAll(".rk-picture img")];
  const stage = figure.querySelector(".rk-stage");
  const all = (kinds) => [...stage.querySelectorAll(kinds)];
  const drawn = stage && all("svg:not(button svg), table, img").map((node) => node.outerHTML).join() +
    all("canvas").map((canvas) => canvas.toDataURL()).join();
  return {
    picture: hash(stage ? drawn : images.map((image) => image.hidden ? "" : image.src).join()),
    alt: images.length ? images[0].alt : null,
    readout: figure.querySelector(".rk-readout").textContent,
    caption: [...figure.querySelectorAll(".rk-readout, .rk-caption")].map((node) => node.textContent).join(),
  };
}"""


def state(figure: Locator) -> dict:
    """Picture (as a number), alternative text, read-out and caption of a figure."""
    return figure.evaluate(STATE)


def wait_for_change(figure: Locator, before: dict, where: str) -> dict:
    """Wait until picture, read-out and caption are no longer what they were; gives back the new state."""
    end, parts = time.monotonic() + 60, ("picture", "readout", "caption")
    while same := [part for part in parts if (after := state(figure))[part] == before[part]]:
        assert time.monotonic() < end, f"{where}: no change of {', '.join(same)}"
    assert after["alt"] is None or after["alt"].endswith(after["readout"]), f"{where}: alternative text"
    return after


def stop_the_clock(page: Page) -> None:
    """From now on the page's time passes with ``page.clock.run_for`` only."""
    page.clock.install()
    page.clock.pause_at("2100-01-01")


def figures(page: Page) -> list[Locator]:
    """The figures that can be moved."""
    return page.locator("figure.rk[role=group]").all()


def data(figure: Locator) -> dict:
    """What the figure's script was given: figure, guess and longest."""
    return json.loads(figure.locator("script[type='application/json']").text_content())


def told(figure: Locator) -> str:
    """All the words of a figure that can be seen."""
    return " ".join(figure.inner_text().split())


def leaks(figure: Locator) -> list[str]:
    """What can be seen of the answer before the guess is made."""
    sent, seen = data(figure), told(figure)
    if not sent["guess"]:
        return []
    numbers = sent["figure"] if isinstance(sent["figure"], dict) else {}
    readouts = numbers.get("texts", [figure.locator(".rk-readout").text_content()])
    captions = figure.locator(".rk-caption").all_text_contents()
    found = [text for text in (sent["guess"]["answer"], *readouts, *captions) if text and text in seen]
    early = sent["guess"]["before"] == "start"
    hidden = ".rk-controls:not(.rk-stage *)" if early else ".rk-picture, .rk-stage, .rk-controls"
    return found + [part.get_attribute("class") for part in figure.locator(hidden).all() if part.is_visible()]


def height(figure: Locator) -> float:
    return figure.evaluate("figure => figure.getBoundingClientRect().height")


def text_size(figure: Locator) -> float:
    """CSS pixels of the smallest text in a figure's picture, as it is shown now."""
    sent = data(figure)
    drawings = sent if isinstance(sent, list) else sent["figure"]["drawings"]
    image = figure.locator(".rk-picture img").first
    shown = image.evaluate("image => [image.width, Number(image.getAttribute('width'))]")
    (drawing,) = [each for each in drawings if each["width"] == shown[1]]
    return drawing["points"] * shown[0] / drawing["inches"] / 72


def guess(figure: Locator) -> str | None:
    """Answer the figure's question, if it asks one, and give back what it then says."""
    form = figure.locator("form.rk-predict:not(.rk-unseen)")
    if not form.count():
        return None
    slider, options = form.locator("input[type=range]"), form.locator("input[type=radio]")
    if slider.count():
        move(slider, 0.8)
    else:
        options.last.check()
    form.get_by_role("button", name="This is my guess").click()
    return figure.locator(".rk-result .rk-guess").first.inner_text()


def sliders(figure: Locator) -> Iterator[Locator]:
    """Those that move the figure, not the one on which a guess is made."""
    found = figure.locator("input[type=range]:not(.rk-predict *, .rk-ghost *)")
    for k in range(found.count()):
        if k < found.count():  # one that shows a result may go when another is moved
            yield found.nth(k)


def move(slider: Locator, fraction: float) -> None:
    """Click on a slider, at a fraction of its length."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    thumb = 24
    x = thumb / 2 + fraction * (box["width"] - thumb)
    slider.click(position={"x": x, "y": box["height"] / 2})


def fraction(slider: Locator) -> float:
    return slider.evaluate("s => (s.value - s.min) / (s.max - s.min)")


# Two frames, in which observers are told; the transitions that they set off are ended, not waited for: one of
# a part that is replaced meanwhile may never say that it is finished.
AT_REST = """async () => {
  for (let k = 0; k < 2; k++) await new Promise((resolve) => requestAnimationFrame(resolve));
  const ends = (animation) => animation.effect.getComputedTiming().endTime < Infinity;
  for (const animation of document.getAnimations().filter(ends)) animation.finish();
}"""


# Of all words that can be seen and look alike (their own colour and size, and what lies behind them) the
# first, the middle and the last: contrast takes most of axe-core's time, and is the same for all of them.
LOOKS = """([within, spare]) => {
  const behind = new Map(), alike = new Map();
  const ground = (node) => {
    if (!node) return "";
    if (!behind.has(node)) {
      const look = getComputedStyle(node), parts = [];
      if (look.backgroundColor !== "rgba(0, 0, 0, 0)") parts.push(look.backgroundColor);
      if (look.backgroundImage !== "none") parts.push(look.backgroundImage.slice(0, 99));
      if (look.position !== "static") parts.push(look.position);
      if (look.opacity !== "1") parts.push(look.opacity);
      if (look.filter !== "none") parts.push(look.filter);
      behind.set(node, ground(node.parentElement) + (parts.length ? `<${parts}>` : ""));
    }
    return behind.get(node);
  };
  for (const root of document.querySelectorAll(within)) {
    const words = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
      const node = words.currentNode.parentElement;
      if (!words.currentNode.data.trim() || node.closest("script, style, noscript")) continue;
      if (spare.length && node.closest(spare.join())) continue;
      if (!node.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
      const own = getComputedStyle(node), around = node.parentElement && getComputedStyle(node.parentElement);
      const letters = [own.fontSize, own.fontWeight, own.textDecorationLine, own.textShadow].join();
      const key = [node.localName, node.className, own.color, letters, around?.color, ground(node)].join();
      if (!alike.has(key)) alike.set(key, new Set());
      alike.get(key).add(node);
    }
  }
  return [...alike.values()].flatMap((same) => {
    const all = [...same];
    return [...new Set([all[0], all[all.length >> 1], all[all.length - 1]])];
  });
}"""


def violations(page: Page, rules=STANDARD, within: str | None = None, without=(), spare=()) -> list[str]:
    """What axe-core finds, by the Web Content Accessibility Guidelines 2.1, levels A and AA.

    Contrast takes most of the time, so parts that look alike on all pages may be spared.
    """
    return _axe(page, rules, [within or "html"], "([where, how]) => axe.run(where, how)", without, spare)


def faint(page: Page, rules, within="html", spare=()) -> list[str]:
    """What axe-core finds by rules of contrast, where of all words that look alike three are looked at.

    What is spared is taken out of the page meanwhile: most elements of a chapter are pieces of formulas.
    """
    run = f"""async ([where, how]) => {{
      const include = ({LOOKS})([where.include[0][0], where.exclude.flat()]), out = [];
      if (!include.length) return {{ violations: [] }};
      const spared = where.exclude.flat().join();
      for (const node of spared ? document.querySelectorAll(spared) : []) {{
        out.push([node, [...node.childNodes]]);
        node.replaceChildren();
      }}
      try {{
        return await axe.run({{ include }}, how);
      }} finally {{
        for (const [node, children] of out.reverse()) node.replaceChildren(...children);
      }}
    }}"""
    return _axe(page, rules, [within], run, (), spare)


def _axe(page: Page, rules, within, run: str, without, spare) -> list[str]:
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(AXE)
    page.evaluate(AT_REST)
    off = {rule: {"enabled": False} for rule in without}
    options = {"runOnly": list(rules), "preload": False, "rules": off, "resultTypes": ["violations"]}
    where = {"include": [within], "exclude": [[part] for part in spare]}
    found = page.evaluate(run, [where, options])
    return [
        f"{rule['id']}: {node['target']} {node['html'][:160]}\n  {node['failureSummary'][:300]}"
        for rule in found["violations"]
        for node in rule["nodes"][:3]
    ]


def too_wide(page: Page) -> list[str]:
    """The elements that make a page scroll sideways."""
    return page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= width) return [];
          const wide = [...document.body.querySelectorAll("*")].filter((node) => {
            for (let up = node.parentElement; up; up = up.parentElement)
              if (getComputedStyle(up).overflowX !== "visible") return false;
            return node.getBoundingClientRect().right > width + 1;
          });
          return [`page ${document.documentElement.scrollWidth} > ${width}`,
            ...wide.slice(0, 5).map((node) => node.outerHTML.slice(0, 160))];
        }"""
    )


ANSWER_TIME = """async (slider) => {
  const figure = slider.closest("figure"), change = figure.querySelectorAll(".rk-picture img")[1];
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const begun = performance.now();
  let sum = 0;
  for (let k = 0; k < 1e7; k++) sum = (sum + k) | 0;
  const times = [performance.now() - begun + 0 * sum], last = +slider.max;
  slider.focus();
  await frame();
  for (let k = 0; k < 12; k++) {
    const value = Math.round(last * ((k * 5) % 12) / 11);
    const begin = performance.now();
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    if (change && !change.hidden) await change.decode();
    await frame();
    times.push(performance.now() - begin);
  }
  return times;
}"""


def answer_time(slider: Locator) -> float:
    """Milliseconds from a move of the slider to the new picture, decoded, on the screen; median of 12 moves.

    What other programs take from the browser is not the page's fault: of each move the fastest of up to
    twenty repetitions counts. On a computer that takes longer than 10 ms to count to ten million, a
    millisecond is as much longer.
    """
    fastest = slider.evaluate(ANSWER_TIME)
    for _ in range(20):
        count, *moves = fastest
        if (taken := statistics.median(moves) * min(1, 10 / count)) < 100:
            break
        fastest = list(map(min, fastest, slider.evaluate(ANSWER_TIME)))
    return taken
