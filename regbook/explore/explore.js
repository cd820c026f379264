// One figure of the page: rk.start(figure, rk.frames) shows embedded frames, rk.start(figure, rk.page(draw)) what
// the function draw makes. The page may hold many figures; each runs its own copy and knows only its own <figure>.
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
  button: (text, click, kind) => rk.el("button", { type: "button", class: kind, onclick: click }, text),

  slider({ label, min = 0, max = 1, step = "any", value = min, text = String, input = () => {} }) {
    const range = rk.el("input", { type: "range", min, max, step, "aria-label": label, autocomplete: "off" });
    const shown = rk.el("output", { "aria-live": "off" });
    const track = rk.el("span", { class: "rk-track" }, range);
    const set = (v) => {
      range.value = v;
      shown.textContent = text(+range.value);
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
    const readout = figure.querySelector(".rk-readout");
    figure.querySelector(".rk-plain")?.remove();
    rk.say = (text) => { readout.textContent = text; };
    try {
      run(data.figure, data.guess);
    } catch (error) {
      const words = `This figure could not start: ${error.message}`;
      readout.after(rk.el("p", { class: "rk-error", role: "alert" }, words));
      console.error(error);
    }
  },

  page: (draw) => (data, guess) => {
    const root = figure.querySelector(".rk-stage");
    root.replaceChildren();
    draw(root, data, rk);
    const alt = root.getAttribute("aria-label");
    const nameless = root.querySelectorAll("[role=img]:not([aria-label])");
    for (const picture of nameless) picture.setAttribute("aria-label", alt);
    if (guess) rk.predict(guess, root);
  },

  frames({ parameters, frames, start, alt, interval }, guess) {
    const [still, change] = figure.querySelectorAll(".rk-picture img");
    const at = [...start];
    const counts = parameters.map((p) => p.texts.length);
    const loaded = new Map();  // keeps the pictures decoded, so that the next one is there at once
    const picture = (k) => {
      if (!loaded.has(k)) loaded.set(k, rk.el("img", { src: `data:image/webp;base64,${frames[k][0]}` }));
      return loaded.get(k).src;
    };
    const load = () => {
      for (const event of ["pointerover", "focusin"]) figure.removeEventListener(event, load);
      frames.forEach(([changed], k) => changed && picture(k));
    };
    for (const event of ["pointerover", "focusin"]) figure.addEventListener(event, load);

    const show = () => {
      const k = at.reduce((sum, index, p) => sum * counts[p] + index, 0);
      const [changed, text] = frames[k];
      if (changed) change.src = picture(k);
      change.hidden = !changed;
      still.alt = `${alt}. ${text}`;
      rk.say(text);
    };

    const moving = parameters.findIndex((p) => p.slider);
    const made = parameters.map(({ label, texts, slider }, n) => {
      const input = (k) => { player.stop(); at[n] = k; show(); };
      return slider
        ? rk.slider({ label, max: texts.length - 1, step: 1, value: at[n], text: (k) => texts[k], input })
        : rk.select({ label, options: texts, value: at[n], input });
    });
    const left = () => counts[moving] - 1 - at[moving];
    const step = (again) => { at[moving] = again ? 0 : at[moving] + 1; made[moving].set(at[moving]); show(); };
    const player = rk.play(left, step, interval);
    if (moving >= 0) made[moving].row.prepend(player.button);

    const controls = rk.el("div", { class: "rk-controls" }, ...made.map((control) => control.row));
    figure.querySelector(".rk-picture").after(controls);
    if (guess) rk.predict(guess, controls, parameters, made);
  },

  // The question stands in the place of what it hides, until it is answered or skipped.
  predict({ question, options, answer, on, place }, hides, parameters, made) {
    const texts = options || parameters[on].texts;
    let chosen = options ? null : Math.floor((texts.length - 1) / 2);
    const choose = (k) => { chosen = k; };
    const radio = (text, k) => rk.el("label", { class: "rk-option" }, rk.el("input",
      { type: "radio", name: "guess", required: true, autocomplete: "off", onchange: () => choose(k) }), text);
    const pick = options ? texts.map(radio) : [rk.slider({ label: parameters[on].label, max: texts.length - 1,
      step: 1, value: chosen, text: (k) => texts[k], input: choose }).row];
    const sign = (kind) => (options ? "" : rk.el("span", { class: kind, "aria-hidden": "true" }, "▲ "));
    const mark = (at, kind) => made[on].track.append(
      rk.el("span", { class: `rk-mark ${kind}`, style: `--at:${at}`, "aria-hidden": "true" }, "▲"));

    const done = (words) => {
      const result = rk.el("div", { class: "rk-result" });
      if (words) result.append(rk.el("p", { class: "rk-guess", role: "status" }, sign("rk-guess"), words));
      if (answer) {
        const text = rk.el("p", {}, place === null ? "" : sign("rk-truth"), answer);
        const folded = rk.el("details", {}, rk.el("summary", {}, "Compare with the answer"), text);
        folded.addEventListener("toggle", () => place !== null && mark(place, "rk-truth"), { once: true });
        result.append(folded);
      }
      form.remove();
      hides.after(result);
      hides.hidden = false;
      hides.querySelector("input, select, button:not(.rk-play)")?.focus({ preventScroll: true });
    };
    const guessed = (event) => {
      event.preventDefault();
      if (!options) mark(chosen / (texts.length - 1), "rk-guess");
      done(options ? `You guessed: ${texts[chosen]}` : `You guessed ${parameters[on].label} = ${texts[chosen]}.`);
    };
    const form = rk.el("form", { class: "rk-predict", onsubmit: guessed }, rk.el("fieldset", {},
      rk.el("legend", {}, rk.el("span", { class: "rk-tag" }, "Predict"), question), ...pick,
      rk.el("div", { class: "rk-buttons" }, rk.el("button", { class: "rk-first" }, "This is my guess"),
        rk.button("Skip", () => done("")))));
    hides.hidden = true;
    hides.before(form);
  },
};
