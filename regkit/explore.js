// One figure of the page: rk.start(figure, rk.frames) for embedded frames, rk.page(f) for what the page computes.
const rk = {
  colors: {
    blue: "#0072B2", vermillion: "#D55E00", green: "#009E73", orange: "#E69F00", sky: "#56B4E9", purple: "#CC79A7",
    text: "var(--rk-text)", muted: "var(--rk-muted)", line: "var(--rk-line)",
  },

  make(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value != null) node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  },
  el(tag, attributes, ...children) { return rk.make(document.createElement(tag), attributes, children); },
  svg(tag, attributes, ...children) {
    return rk.make(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  },
  row(...nodes) { return rk.el("div", { class: "rk-row" }, ...nodes); },
  button(text, click, kind) { return rk.el("button", { type: "button", class: kind, onclick: click }, text); },

  slider({ label, min = 0, max = 1, step = "any", value = min, text = String, input = () => {} }) {
    const range = rk.el("input", { type: "range", min, max, step, "aria-label": label, autocomplete: "off" });
    const shown = rk.el("output");
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
  play(steps, step, interval) {  // steps() is how far to go, step(k) goes there
    const icons = { Play: "M3 1.5v13l11-6.5z", Pause: "M3 1.5h3.6v13H3zM9.4 1.5H13v13H9.4z" };
    const path = rk.svg("path", { d: icons.Play });
    const icon = rk.svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, path);
    let timer = 0;
    const name = (text) => { button.setAttribute("aria-label", text); path.setAttribute("d", icons[text]); };
    const stop = () => { clearInterval(timer); timer = 0; name("Play"); };
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const button = rk.el("button", { type: "button", class: "rk-play", onclick: () => {
      if (timer) return stop();
      name("Pause");
      if (!steps()) step(true);
      timer = setInterval(() => { if (steps() && button.isConnected) step(false); else stop(); },
        calm ? Math.max(interval, 1500) : interval);
    } }, icon);
    name("Play");
    return { button, stop };
  },

  start(figure, run) {
    const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent, (key, value) => {
      if (!value || !value.$array) return value;
      const bytes = Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)).buffer;
      const kinds = { float64: Float64Array, float32: Float32Array, int32: Int32Array, uint8: Uint8Array };
      return Object.assign(new kinds[value.$array](bytes), { shape: value.shape });
    });
    const readout = figure.querySelector(".rk-readout");
    const say = (text) => { readout.textContent = text; };
    try {
      run(figure, data, { ...rk, say });
    } catch (error) {
      readout.after(rk.el("p", { class: "rk-error", role: "alert" }, `This figure could not start: ${error.message}`));
      console.error(error);
    }
  },

  page(draw) {
    return (figure, data, kit) => {
      const root = figure.querySelector(".rk-stage");
      root.replaceChildren();
      draw(root, data, kit);
    };
  },

  frames(figure, data, kit) {
    const [still, change] = figure.querySelectorAll(".rk-picture img");
    const readout = figure.querySelector(".rk-readout");
    const at = [...data.start];
    const counts = data.parameters.map((p) => p.texts.length);
    const pictures = new Map();
    const picture = (k) => {
      if (!pictures.has(k)) {
        const image = new Image();
        image.src = "data:image/webp;base64," + data.frames[k][0];
        pictures.set(k, image);
      }
      return pictures.get(k);
    };
    const ready = () => {
      figure.removeEventListener("pointerover", ready);
      figure.removeEventListener("focusin", ready);
      data.frames.forEach((frame, k) => { if (frame[0]) picture(k); });
    };
    figure.addEventListener("pointerover", ready);
    figure.addEventListener("focusin", ready);

    const show = () => {
      const k = at.reduce((sum, index, p) => sum * counts[p] + index, 0);
      const [changed, text] = data.frames[k];
      if (changed) change.src = picture(k).src;
      change.hidden = !changed;
      still.alt = `${data.alt} ${text}`;
      kit.say(text);
    };

    const controls = kit.el("form", { class: "rk-controls", onsubmit: (event) => event.preventDefault() });
    const moving = data.parameters.findIndex((p) => p.slider);
    const made = data.parameters.map((p, n) => {
      const input = (k) => { if (n === moving) player.stop(); at[n] = k; show(); };
      const last = counts[n] - 1;
      const control = p.slider
        ? kit.slider({ label: p.label, max: last, step: 1, value: at[n], text: (k) => p.texts[k], input })
        : kit.select({ label: p.label, options: p.texts, value: at[n], input });
      controls.append(control.row);
      return control;
    });
    const player = kit.play(
      () => counts[moving] - 1 - at[moving],
      (again) => { at[moving] = again ? 0 : at[moving] + 1; made[moving].set(at[moving]); show(); },
      data.interval,
    );
    if (moving >= 0) made[moving].row.prepend(player.button);
    new MutationObserver(() => readout.setAttribute(
      "aria-live", player.button.getAttribute("aria-label") === "Pause" ? "off" : "polite",
    )).observe(player.button, { attributeFilter: ["aria-label"] });

    figure.querySelector(".rk-picture").after(controls);
    if (data.guess) rk.predict(data, kit, controls, made);
  },

  predict({ guess, parameters }, kit, controls, made) {
    const onSlider = guess.on !== null;
    const texts = onSlider ? parameters[guess.on].texts : guess.options;
    let chosen = onSlider ? Math.floor(texts.length / 2) : null;
    const pick = onSlider
      ? [kit.slider({ label: parameters[guess.on].label, max: texts.length - 1, step: 1, value: chosen,
        text: (k) => texts[k], input: (k) => { chosen = k; } }).row]
      : texts.map((text, k) => kit.el("label", { class: "rk-option" }, kit.el("input", {
        type: "radio", name: "guess", required: true, autocomplete: "off", onchange: () => { chosen = k; } }), text));
    const mark = (place, kind, sign) => made[guess.on].track.append(
      kit.el("span", { class: `rk-mark ${kind}`, style: `--at:${place}`, "aria-hidden": "true" }, sign));

    const done = (text) => {
      const result = kit.el("div", { class: "rk-result" });
      if (text) result.append(kit.el("p", { class: "rk-guessed", role: "status" }, text));
      const answer = [guess.answer && `${guess.answer}.`, guess.explain].filter(Boolean).join(" ");
      if (answer) {
        const folded = kit.el("details", {}, kit.el("summary", {}, "Compare with the answer"), kit.el("p", {}, answer));
        if (guess.place !== null) {
          folded.addEventListener("toggle", () => mark(guess.place, "rk-truth", "▲"), { once: true });
        }
        result.append(folded);
      }
      form.replaceWith(result);
      controls.hidden = false;
      controls.querySelector("input, select, button").focus({ preventScroll: true });
    };
    const form = kit.el("form", { class: "rk-predict", onsubmit: (event) => {
      event.preventDefault();
      if (onSlider) mark(chosen / (texts.length - 1), "rk-guess", "▲");
      done(onSlider ? `You guessed ${parameters[guess.on].label} = ${texts[chosen]}.` : `You guessed: ${texts[chosen]}.`);
    } }, kit.el("fieldset", {},
      kit.el("legend", {}, kit.el("span", { class: "rk-tag" }, "Predict"), guess.question), ...pick,
      kit.el("div", { class: "rk-buttons" },
        kit.el("button", { class: "rk-first" }, "This is my guess"), kit.button("Skip", () => done("")))));
    controls.hidden = true;
    controls.before(form);
  },
};
