// Starts the deck when all is set and measured, and sees to it that a key does what a lecturer means by it.
const deck = (() => {
  const root = document.documentElement, printing = /print-pdf/i.test(location.search);
  const say = (words) => {
    document.querySelector(".alert")?.remove();
    const box = Object.assign(document.createElement("p"), { className: "alert", textContent: words });
    box.setAttribute("role", "alert");
    document.body.append(box);
    setTimeout(() => box.remove(), 8000);
  };

  // A clicker sends PageDown and PageUp: they turn the slide wherever the focus is. reveal.js hears no key in an input.
  const turns = { PageDown: () => Reveal.next(), PageUp: () => Reveal.prev() };
  const letters = {
    s: () => speaker.open(),
    t: () => { root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"; },
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !Reveal.isReady()) return;
    const act = turns[event.key] || letters[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.key in turns) {
      document.querySelector("dialog[open]")?.close();
      document.activeElement?.blur();
    }
    act();
  }, true);

  // All other keys belong to the control that has the focus, if it uses them.
  const uses = (event) => {
    const at = event.target;
    if (event.defaultPrevented || at.closest("dialog[open], select, input, textarea")) return true;
    if (at.closest("button, summary")) return event.key === " " || event.key === "Enter";
    return Boolean(at.closest("[tabindex='0']"));
  };

  const start = async () => {
    const shape = fit.size();
    root.style.setProperty("--slide-width", `${shape.width}px`);
    await MathJax.startup.promise;
    await MathJax.typesetPromise();
    await document.fonts.ready;
    await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
    if (printing) {
      root.dataset.theme = "light";
      for (const skip of document.querySelectorAll(".rk-predict .rk-buttons button:not(.rk-first)")) skip.click();
    }
    document.body.classList.remove("laid-out");
    await Reveal.initialize({
      ...shape, margin: 0, minScale: 0.1, maxScale: 8, center: false, controls: false, slideNumber: "c", hash: true,
      transition: "none", backgroundTransition: "none", viewDistance: 999, mobileViewDistance: 999, jumpToSlide: false,
      pdfSeparateFragments: false, keyboardCondition: (event) => !uses(event),
    });
    fit.all();
    let width = shape.width;
    addEventListener("resize", () => {
      const now = fit.size();
      if (now.width !== width && !printing) {
        width = now.width;
        Reveal.configure(now);
        fit.all();
      }
    });
    for (const event of ["slidechanged", "fragmentshown", "fragmenthidden"]) Reveal.on(event, speaker.show);
    root.dataset.deck = "ready";
  };
  start();
  return { say };
})();
