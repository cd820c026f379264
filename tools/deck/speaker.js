// The speaker window: what to say on this slide, what comes next, and the clock against the minutes of the plan.
// It is written by the deck itself, so that it works from a file; either window moves both.
const speaker = (() => {
  const plan = JSON.parse(document.querySelector("script.plan").textContent);
  let view = null, began = null, ticking = 0;
  const style = `
    :root { color-scheme: light dark; } body { margin: 0; padding: 16px 24px; font: 18px/1.45 system-ui, sans-serif; }
    header { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: baseline; border-bottom: 1px solid #888; padding-bottom: 8px; }
    #clock { font-size: 32px; font-variant-numeric: tabular-nums; } #next { font-weight: 600; }
    h1 { margin: 12px 0 4px; font-size: 24px; } button { font: inherit; min-height: 36px; } p, ul, ol { margin: .5em 0; }
    .late { color: #c00; } @media (prefers-color-scheme: dark) { .late { color: #ff8a80; } }
    .wrong { border-left: 4px solid #b34700; padding-left: 10px; } .feedback { padding-left: 1.2em; }`;
  const two = (n) => String(n).padStart(2, "0");
  const title = (section) => section?.querySelector(".title");

  const copied = (node) => (node ? view.document.importNode(node, true) : "");
  const clock = () => {
    if (!view || view.closed) { clearInterval(ticking); view = null; return; }
    const seconds = began === null ? 0 : Math.floor((Date.now() - began) / 1000), minute = seconds / 60;
    const row = plan[Reveal.getCurrentSlide().dataset.row - 1], { document: page } = view;
    page.getElementById("clock").textContent = `${two(Math.floor(minute))}:${two(seconds % 60)}`;
    const [from, to] = [row.begin, row.begin + row.minutes];
    const late = minute - to, early = from - minute;
    const words = began === null ? "" : late > 0 ? `, ${Math.ceil(late)} min late` : early > 0 ? `, ${Math.ceil(early)} min early` : ", in time";
    page.getElementById("plan").textContent = `plan: minutes ${from} to ${to}, ${row.who}: ${row.what}${words}`;
    page.getElementById("plan").className = late > 0 && began !== null ? "late" : "";
  };
  const show = () => {
    if (!view || view.closed) return;
    const page = view.document, now = Reveal.getCurrentSlide(), next = now.nextElementSibling;
    page.getElementById("title").replaceChildren(...(title(now) ? [...copied(title(now)).childNodes] : []));
    page.getElementById("next").replaceChildren(...(next ? [...copied(title(next)).childNodes] : ["the end"]));
    const notes = now.querySelector("aside.notes");
    page.getElementById("notes").replaceChildren(...copied(notes).childNodes);
    const waiting = now.querySelector(".fragment:not(.visible)");
    page.getElementById("waits").textContent = waiting ? "The answer appears with the next key." : "";
    clock();
  };
  const open = () => {
    view = window.open("", "", "width=900,height=760");
    if (!view) return deck.say("The browser has blocked the speaker window. Allow pop-ups for this page, then press S again.");
    const page = view.document;
    page.open();
    page.write(`<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Speaker window</title></head><body>
      <header><span id="clock">00:00</span><button id="start">Start the clock</button><span id="plan"></span></header>
      <main><h1 id="title"></h1><div id="notes"></div><p id="waits"></p></main>
      <footer><p>Next: <span id="next"></span></p><button id="back">Back</button> <button id="on">On</button></footer></body></html>`);
    page.close();
    const maths = document.getElementById("MJX-SVG-styles")?.textContent || "";
    page.head.append(Object.assign(page.createElement("style"), { textContent: style + maths }));
    page.getElementById("start").addEventListener("click", () => {
      began = Date.now();
      page.getElementById("start").textContent = "Start again";
      clock();
    });
    page.getElementById("back").addEventListener("click", () => Reveal.prev());
    page.getElementById("on").addEventListener("click", () => Reveal.next());
    page.addEventListener("keydown", (event) => {
      const press = { ArrowRight: "next", PageDown: "next", ArrowDown: "next", ArrowLeft: "prev", PageUp: "prev", ArrowUp: "prev" };
      if (!(event.key in press)) return;
      event.preventDefault();
      Reveal[press[event.key]]();
    });
    addEventListener("pagehide", () => view?.close());
    clearInterval(ticking);
    ticking = setInterval(clock, 1000);
    show();
  };
  return { open, show };
})();
