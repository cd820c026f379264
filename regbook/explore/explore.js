// One figure of the page: rk.start(figure, rk.frames) shows embedded frames, rk.start(figure, rk.page(draw)) what
// the function draw makes. The page may hold many figures; each runs its own copy and knows only its own <figure>.
// Nothing may jump: what comes and goes has its place from the beginning.
const names = ["blue", "vermillion", "green", "orange", "sky", "purple", "text", "muted", "line", "card"];

const rk = {
  colors: Object.fromEntries(names.map((name) => [name, `var(--rk-${name})`])),
  color: (name) => getComputedStyle(figure).getPropertyValue(`--rk-${name}`).trim(),

  make(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value != null) node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  },
  el: (tag, attributes, ...children) => rk.make(document.createElement(tag), attributes, children),
  svg: (tag, attributes, ...children) =>
    rk.make(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children),
  row: (...nodes) => rk.el("div", { class: "rk-row" }, ...nodes),
  controls: (...rows) => rk.el("div", { class: "rk-controls" }, ...rows),
  reserve: (node, ...samples) => rk.el("div", { class: "rk-reserve" }, node,
    ...samples.map((sample) => rk.el("div", { class: "rk-ghost", "aria-hidden": "true", inert: true }, sample))),
  minus: (text) => String(text).replace(/-(?=\d)/g, "−"),  // what people write before a number
  button: (text, click, kind) => rk.el("button", { type: "button", class: kind, onclick: click }, text),

  slider({ label, min = 0, max = 1, step = "any", value = min, text = String, input = () => {} }) {
    const range = rk.el("input", { type: "range", min, max, step, "aria-label": label, autocomplete: "off" });
    const steps = step === "any" ? 20 : Math.min(200, Math.round((max - min) / step));
    const lengths = Array.from({ length: steps + 1 }, (_, k) => text(min + (k * (max - min)) / steps).length);
    const shown = rk.el("output", { "aria-live": "off", style: `min-width:max(4.2em, ${Math.max(...lengths)}ch)` });
    const track = rk.el("span", { class: "rk-track" }, range);
    const set = (v) => {
      range.value = v;
      shown.textContent = rk.minus(text(+range.value));
      range.setAttribute("aria-valuetext", `${label} = ${shown.textContent}`);
    };
    range.addEventListener("input", () => { set(range.value); input(+range.value); });
    set(value);
    const name = rk.el("span", { class: "rk-label", "aria-hidden": "true" }, label);
    return { row: rk.row(rk.el("label", { class: "rk-control" }, name, track), shown), input: range, track, set };
  },
  select({ label, options, value = 0, input = () => {} }) {
    const list = rk.el("select", { autocomplete: "off", onchange: () => input(list.selectedIndex) },
      ...options.map((option) => rk.el("option", {}, option)));
    const set = (k) => { list.selectedIndex = k; };
    set(value);
    const name = rk.el("span", { class: "rk-label" }, label);
    return { row: rk.row(rk.el("label", { class: "rk-control" }, name, list)), input: list, set };
  },
  play(left, step, interval = 400) {
    const shapes = { Play: "M3 1.5v13l11-6.5z", Pause: "M3 1.5h3.6v13H3zM9.4 1.5H13v13H9.4z" };
    const path = rk.svg("path");
    const icon = rk.svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, path);
    const button = rk.button(icon, () => (timer ? stop() : go()), "rk-play");
    const readout = figure.querySelector(".rk-readout");
    let timer = 0;
    const show = (name) => {
      button.setAttribute("aria-label", name);
      path.setAttribute("d", shapes[name]);
      readout.setAttribute("aria-live", name === "Play" ? "polite" : "off");  // nobody can listen that fast
    };
    const stop = () => { clearInterval(timer); timer = 0; show("Play"); };
    const go = () => {
      const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
      show("Pause");
      if (!left()) step(true);
      timer = setInterval(() => {
        if (left() && button.isConnected) step(false);
        if (!left() || !button.isConnected) stop();
      }, calm ? Math.max(interval, 1500) : interval);
    };
    show("Play");
    return { button, stop };
  },

  start(figure, run) {
    const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent, (_, value) => {
      if (!value || !value.$array) return value;
      const bytes = Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)).buffer;
      const kinds = { float64: Float64Array, float32: Float32Array, int32: Int32Array, uint8: Uint8Array };
      return Object.assign(new kinds[value.$array](bytes), { shape: value.shape });
    });
    const readout = figure.querySelector(".rk-readout"), after = data.guess && rk.unfold();
    rk.say = (text) => { readout.textContent = rk.minus(text); };
    try {
      run(data.figure, data.guess, after, data.longest);
    } catch (error) {
      const words = `This figure could not start: ${error.message}`;
      after?.classList.remove("rk-unseen");
      readout.after(rk.el("p", { class: "rk-error", role: "alert" }, words));
      console.error(error);
    }
  },

  // What is folded away where there are no scripts: it has its place, and cannot be seen until the guess is made.
  unfold() {
    const folded = figure.querySelector("details.rk-after"), after = rk.el("div", { class: "rk-after rk-unseen" });
    after.append(...[...folded.children].filter((part) => !part.matches("summary, .rk-answer")));
    figure.querySelector(".rk-asked").remove();
    folded.replaceWith(rk.el("div", { class: "rk-stack" }, after));
    return after;
  },

  // Room for the longest of these read-outs, at any width; a longer one that comes later gets its room and keeps it.
  room(texts) {
    const readout = figure.querySelector(".rk-readout"), sensor = rk.el("div", { class: "rk-sensor" });
    let width = 0;
    const fit = () => {
      if (readout.clientWidth === width) return;
      width = readout.clientWidth;
      const lines = [...new Set(texts)].map((text) => rk.el("p", { class: "rk-readout" }, text));
      const probe = rk.el("div", { class: "rk-probe", "aria-hidden": "true" }, ...lines);
      readout.style.minHeight = "";
      readout.parentElement.append(probe);
      readout.style.minHeight = `${Math.max(0, ...lines.map((line) => parseFloat(getComputedStyle(line).height)))}px`;
      probe.remove();
    };
    readout.parentElement.prepend(sensor);
    new ResizeObserver(fit).observe(sensor);
    figure.addEventListener("rk-fit", fit);  // for a page that tries several widths at once: slides
    const again = () => { width = 0; fit(); };
    document.fonts?.ready.then(again);
    fit();
    let most = Math.max(0, ...texts.map((text) => text.length));
    rk.say = (what) => {
      const text = rk.minus(what);
      readout.textContent = text;
      if (text.length <= most) return;
      most = text.length;
      texts = [...texts, text];
      again();
    };
  },

  page: (draw) => (data, guess, after, longest) => {
    const root = figure.querySelector(".rk-stage");
    rk.longest = (...texts) => longest.push(...texts);
    root.replaceChildren();
    draw(root, data, rk);
    const alt = root.getAttribute("aria-label");
    const nameless = root.querySelectorAll("[role=img]:not([aria-label])");
    for (const picture of nameless) picture.setAttribute("aria-label", alt);
    for (const row of [...root.children].filter((node) => node.matches(".rk-row:not(.rk-row + .rk-row)"))) {
      const rows = [row];
      while (rows.at(-1).nextElementSibling?.matches(".rk-row")) rows.push(rows.at(-1).nextElementSibling);
      const controls = rk.controls();
      row.before(controls);
      controls.append(...rows);
    }
    rk.room([...longest, figure.querySelector(".rk-readout").textContent]);
    if (guess) rk.predict(guess, after, root);
  },

  frames({ parameters, texts, drawings, start, alt, interval }, guess, after) {
    const at = [...start], counts = parameters.map((p) => p.texts.length);
    const number = () => at.reduce((sum, index, p) => sum * counts[p] + index, 0);
    const show = pictures(figure, drawings, number());
    const change = () => {
      show(number(), `${alt}. ${texts[number()]}`);
      rk.say(texts[number()]);
    };

    const moving = parameters.findIndex((p) => p.slider);
    const made = parameters.map(({ label, texts, slider }, n) => {
      const input = (k) => { player.stop(); at[n] = k; change(); };
      return slider
        ? rk.slider({ label, max: texts.length - 1, step: 1, value: at[n], text: (k) => texts[k], input })
        : rk.select({ label, options: texts, value: at[n], input });
    });
    const left = () => counts[moving] - 1 - at[moving];
    const step = (again) => { at[moving] = again ? 0 : at[moving] + 1; made[moving].set(at[moving]); change(); };
    const player = rk.play(left, step, interval);
    if (moving >= 0) made[moving].row.prepend(player.button);

    const controls = rk.controls(...made.map((control) => control.row));
    figure.querySelector(".rk-said").before(controls);
    rk.room(texts);
    if (guess) rk.predict(guess, after, controls, parameters, made, change);
  },

  // The question stands in the place of what it hides, until it is answered or skipped.
  predict({ question, options, answer, on, place, before }, after, controls, parameters, made, tell = () => {}) {
    const texts = options || parameters[on].texts, name = options ? "" : `${parameters[on].label} = `;
    const words = (k) => (options ? `You guessed: ${texts[k]}` : `You guessed ${name}${texts[k]}.`);
    const form = rk.el("form", { class: "rk-predict" });
    const sure = rk.el("button", { class: "rk-first", disabled: true }, "This is my guess");
    let chosen = null;
    const choose = (k) => { chosen = k; sure.disabled = false; };
    const radio = (text, k) => rk.el("label", { class: "rk-option" }, rk.el("input",
      { type: "radio", name: "guess", required: true, autocomplete: "off", onchange: () => choose(k) }), text);
    const slider = () => {  // it starts at its end and says no value: who has not moved it has not guessed
      const made = rk.slider({ label: parameters[on].label, max: texts.length - 1, step: 1,
        text: (k) => (chosen === null ? "?" : texts[k]), input: (k) => { choose(k); made.set(k); } });
      const longest = Math.max(...texts.map((text) => text.length));
      made.row.querySelector("output").style.minWidth = `max(4.2em, ${longest}ch)`;
      return made.row;
    };
    const sign = (kind) => (options ? "" : rk.el("span", { class: kind, "aria-hidden": "true" }, "▲ "));
    const mark = (at, kind) => made[on].track.append(
      rk.el("span", { class: `rk-mark ${kind}`, style: `--at:${at}`, "aria-hidden": "true" }, "▲"));

    const guessed = rk.el("p", { class: "rk-guess", role: "status" }), skipped = "You made no guess.";
    const truth = answer ? [rk.el("p", { class: "rk-answer" }, place === null ? "" : sign("rk-truth"), answer)] : [];
    const samples = [...texts.keys()].map((k) => `▲ ${words(k)}`).sort((a, b) => b.length - a.length).slice(0, 3);
    const result = rk.el("div", { class: "rk-result" }, rk.reserve(guessed, skipped, ...samples), ...truth);
    if (before === "nothing") after.prepend(result);
    else after.append(result);
    if (before === "start" && !parameters) controls.inert = true;

    const done = (text) => {
      guessed.append(...(chosen === null || options ? [] : [sign("rk-guess")]), text);
      if (chosen !== null && !options) mark(chosen / (texts.length - 1), "rk-guess");
      if (place !== null) mark(place, "rk-truth");
      form.inert = true;
      form.classList.add("rk-unseen");
      after.classList.remove("rk-unseen");
      controls.inert = false;
      tell();
      controls.querySelector("input, select, button:not(.rk-play)")?.focus({ preventScroll: true });
      rk.openFolds();
    };
    form.addEventListener("submit", (event) => { event.preventDefault(); done(words(chosen)); });
    form.append(
      rk.el("fieldset", {}, rk.el("legend", {}, rk.el("span", { class: "rk-tag" }, "Predict"), question),
        ...(options ? texts.map(radio) : [slider()]),
        rk.el("div", { class: "rk-buttons" }, sure, rk.button("Skip", () => { chosen = null; done(skipped); }))),
      rk.el("p", { class: "rk-blank" }, before === "nothing" ? "The figure appears here after your guess." : ""));
    after.before(form);
  },

  // Folds of the chapter that wait for the guess: those between this figure and the next one that asks.
  openFolds() {
    const next = [...document.querySelectorAll("figure.rk")].find((other) =>
      other.querySelector(".rk-predict") && figure.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING);
    for (const fold of document.querySelectorAll("details.after-guess")) {
      const follows = figure.compareDocumentPosition(fold) & Node.DOCUMENT_POSITION_FOLLOWING;
      if (follows && !(next && next.compareDocumentPosition(fold) & Node.DOCUMENT_POSITION_FOLLOWING)) fold.open = true;
    }
  },
};
