// Two pictures of the reader, registered in the page. data: see regbook.widgets.workshop; shared: what spline.js gives;
// call: what beside.js gives for pictures.js; compute: background.js with align.js, a function of what is to be told.
(root, data, kit, shared, call, compute) => {
  const el = kit.el, SLOTS = ["template", "reference"];
  const NEEDED = 4.5, SURE = 6, BLANK = 1.5;  // times chance, standard deviations, grey values
  const NEAR = 0.7, AS_GOOD = 1.5;  // of a second answer: its evidence, and 1 − its correlation, to those of the best
  const state = { template: null, reference: null, mine: false, found: null, shown: "best", phase: "before", at: 0 };

  // ------------------------------------------------------------------ the map, in the pixels of both pictures
  // y = A x + b of points (row, column); the corner of a picture is 0, and its first pixel has its centre at ½.
  const inPixels = (w, unit) => {
    const { template: T, reference: R } = state, box = R.shape, center = box.map((side) => side / 2);
    const t = [T.height / (unit * T.shape[0]), T.width / (unit * T.shape[1])];
    const r = [R.height / R.shape[0], R.width / R.shape[1]];
    const A = Array.from(w.slice(0, 4), (entry, k) => (t[k >> 1] * entry) / r[k % 2]);
    const corner = shared.look(w, -center[0], -center[1], center);
    return { A, b: corner.map((y, k) => t[k] * y) };
  };
  const inverse = ({ A: [p, q, r, s], b: [e, f] }) => {
    const det = p * s - q * r, A = [s / det, -q / det, -r / det, p / det];
    return { A, b: [-(A[0] * e + A[1] * f), -(A[2] * e + A[3] * f)] };
  };
  const centred = ({ A, b }) => ({ A, b: b.map((v, k) => v + (A[2 * k] + A[2 * k + 1] - 1) / 2) });  // 0 in a centre
  const turned = ({ A: [p, q, r, s], b: [e, f] }) => ({ A: [s, r, q, p], b: [f, e] });  // (column, row)
  const CONVENTIONS = {
    regkit: { map: (map) => map, rows: 3, note: ["# points (row, column): reference → template,",
      "# as regkit.register(…).matrix()"] },
    SciPy: { map: centred, rows: 3, note: ["# affine_transform(template, matrix,",
      "#     output_shape=reference.shape)"] },
    OpenCV: { map: (map) => turned(centred(inverse(map))), rows: 2, note: ["# warpAffine(template, matrix,",
      "#     reference.shape[1::-1])"] },
    ITK: { map: (map) => turned(centred(map)), rows: 3, note: ["# AffineTransform(2): matrix[:2, :2].ravel()",
      "#     and matrix[:2, 2]; (x, y) in pixels"] },
  };
  const written = (name, map) => {
    const { map: convert, rows, note } = CONVENTIONS[name], { A, b } = convert(map);
    const row = (p, q, r) => `  [${[p.toFixed(8), q.toFixed(8)].map((text) => text.padStart(11)).join(", ")}, ` +
      `${r.toFixed(4).padStart(10)}],`;
    const all = [row(A[0], A[1], b[0]), row(A[2], A[3], b[1]), row(0, 0, 1)];
    return [...note, "matrix = numpy.array([", ...all.slice(0, rows), "])"].join("\n");
  };
  // In numbers that people understand: x to the right and y upwards, both from the middles of the pictures.
  const friendly = ({ A, b }) => {
    const { template: T, reference: R } = state, c = [R.height / 2, R.width / 2], d = [T.height / 2, T.width / 2];
    const [down, right] = [0, 1].map((k) => A[2 * k] * c[0] + A[2 * k + 1] * c[1] + b[k] - d[k]);
    return shared.six([A[3], -A[2], -A[1], A[0], right, -down]);
  };

  // ------------------------------------------------------------------ the large picture
  // Drawn where the pictures are, in the worker: the page only shows what comes.
  const VIEW = [640, 480], SMALL = [320, 200], MODES = ["blend", "checkerboard", "difference"];
  const screen = ([width, height], kind) => el("canvas", { width, height, class: kind, role: "img" });
  const view = screen(VIEW, "ws-view"), put = (canvas, image) =>
    canvas.getContext("bitmaprenderer").transferFromImageBitmap(image);
  const colours = kit.ramp(data.error_colors), table = new Uint8Array(3 * 511);
  for (let k = 0; k < 511; k++) table.set(colours((k - 255) / 255).map(Math.round), 3 * k);
  let mode = 0, amounts = [0.5, 0.4, 0.3];
  const squares = () => 2 + Math.round(amounts[1] * 14), contrast = () => 1 + Math.round(amounts[2] * 9);
  // From points of the reference to those of the template, while nothing is known: one in the middle of the other.
  const unknown = () => {
    const { template: T, reference: R } = state;
    const k = Math.max(T.width, T.height) / Math.max(R.width, R.height);
    return { A: [k, 0, 0, k], b: [(T.height - k * R.height) / 2, (T.width - k * R.width) / 2] };
  };
  const onto = (map) => {  // as setTransform takes it: from the template's pixels to those of the reference
    const { A: [a, b, c, d], b: [e, f] } = turned(inverse(map));
    return [a, c, b, d, e, f];
  };
  const found = () => state.found?.[state.shown];
  const scene = () => {
    const { template: T, reference: R } = state, keys = [T?.key, R?.key];
    if (!T || !R || state.phase === "no") return [VIEW, keys, "beside"];
    const { map = unknown(), gain = 1, shift = 0 } = found() ?? {}, [amount] = amounts;
    const how = [{ amount }, { squares: squares() }, { times: contrast(), gain, shift, table }][mode];
    return [VIEW, keys, MODES[mode], { map: onto(map), ...how }];
  };
  let asked = 0, drawing = false;
  const draw = async () => {  // what has been asked for last; all between is left out
    asked++;
    root.dataset.drawn = "no";
    if (drawing) return;
    drawing = true;
    try {
      for (let done = 0; done !== asked;) {
        done = asked;
        put(view, (await call("draw", ...scene())).view);
      }
      root.dataset.drawn = "yes";
    } finally {
      drawing = false;
    }
  };

  // ------------------------------------------------------------------ words
  const numbers = (one) => {
    const [turn, right, up, width, height, shear] = friendly(one.map);
    const plain = (v, n) => kit.minus((Math.abs(v) < 0.5 * 10 ** -n ? 0 : v).toFixed(n));
    return [`${plain(turn, 1)}°`, `${plain(right, 1)} px`, `${plain(up, 1)} px`, plain(width, 3), plain(height, 3),
      plain(shear, 3), plain(one.correlation, 3), `${plain(100 * one.share, 0)} %`, `${plain(one.evidence, 1)} ×`];
  };
  const sized = ({ width, height }) => `${kit.whole(width)} × ${kit.whole(height)} pixels`;
  const angle = (one) => numbers(one)[0], nu = (one) => one.correlation.toFixed(2);
  const says = {
    before: (files = 2) => (files > 2 ? `The first two of ${files} files are taken. ` : "") +
      `${state.mine ? "Both pictures are there." : data.pairs[state.at].says} Press “Align the pictures”.`,
    reading: () => "Reading.",
    waiting: () => `Now the other one: choose the ${state.template ? "reference" : "template"}.`,
    nothing: () => "There is no picture in this. Save it as a file first, then choose or drop the file.",
    working: () => "Aligning. You can go on reading, or stop it.",
    stopped: () => "Stopped. Nothing is aligned.",
    broken: () => "This file is not a picture that the browser can read: it is broken, or of another kind. " +
      "JPEG, PNG, WebP and GIF can be read. The picture before it is kept.",
    heic: () => "This is a HEIC picture, which this browser cannot read. Save or send it as JPEG; on an iPhone " +
      "choose Settings, Camera, Formats, Most Compatible. The picture before it is kept.",
    large: (width, height) => `This picture has ${kit.whole(width)} × ${kit.whole(height)} pixels. The page takes ` +
      "up to 60 million: make it smaller first. The picture before it is kept.",
    small: () => "This picture is too small: a side needs 32 pixels at least, and a sixteenth of the other side. " +
      "The picture before it is kept.",
    full: () => "The aligned picture could not be written: it is too large for this browser. Make the reference " +
      "smaller, or move the template by the matrix in another program.",
    blank: (which) => `No: the ${which} is blank. A picture of one grey has nothing to hold on to.`,
    slides: () => "Aligned, but nothing tells the map along one direction: there the pictures hardly change, as " +
      "stripes or a lone edge do. The template may slide along it as far as it likes.",
    turns: () => "Aligned, but nothing tells the whole map: the pictures hardly change when they are turned or " +
      "stretched about a point, as a disc or an oval does. The template may turn as far as it likes.",
    lines: () => "No: what these two pictures share is no more than stripes have, or the lines of two texts. " +
      "Along them nothing agrees.",
    no: (best) => "No: these two pictures share nothing that turning, stretching and moving could bring together " +
      "(a mirror image or a negative is not found). " +
      (best ? `The best of all minima has the correlation ${nu(best)}, but its details agree only ` +
        `${kit.minus(best.evidence.toFixed(1))} times as well as chance makes them; ${NEEDED} times is needed.`
        : "None of the starts led to a minimum with enough overlap."),
    two: (best, second) => `Two answers are nearly as good as each other: turned by ${angle(best)}, correlation ` +
      `${nu(best)}, and turned by ${angle(second)}, correlation ${nu(second)}. Nothing in the pictures says which is ` +
      "right. Look at both.",
    aligned: (best, second) => `Aligned. The details agree ${best.evidence.toFixed(0)} times as well as chance makes ` +
      "them. " + (second ? `The second-best minimum is far off: turned by ${angle(second)}, correlation ` +
        `${nu(second)} instead of ${nu(best)}.` : "No second minimum was left."),
  };
  const verdict = el("p", { role: "status", class: "ws-verdict" });
  const tell = (key, ...given) => {
    verdict.textContent = kit.minus(says[key](...given));
    root.dataset.says = key;
  };
  const shown = () => {
    const order = state.shown === "best" ? "" : "The second-best answer. ";
    if (!state.template || !state.reference) return "One picture is missing.";
    if (state.phase === "no") return "Not laid over each other: reference on the left, template on the right.";
    const what = state.mine ? "your own pictures" : data.pairs[state.at].name;
    const before = found() ? order : `Not aligned yet: ${what}. `;
    if (mode === 0) return `${before}Blend: ${Math.round(100 * amounts[0])} % template over the reference.`;
    if (mode === 1) return `${before}Checkerboard, ${squares()} squares a side: do lines run on across their sides?`;
    return `${before}Difference, ${contrast()} times: blue where the template is too bright, orange where it is ` +
      `too dark${found() ? ", its brightness fitted" : ""}.`;
  };
  const say = () => {
    const words = shown();
    view.setAttribute("aria-label", words);
    kit.say(words);
  };

  // ------------------------------------------------------------------ what comes out
  const QUANTITIES = ["turn", "right", "up", "width", "height", "shear", "correlation", "overlap", "details"];
  const cells = QUANTITIES.map(() => ["best", "second"].map(() => el("td", {})));
  const results = el("tbody", {}, ...QUANTITIES.map((name, k) =>
    el("tr", {}, el("th", { scope: "row" }, name), ...cells[k])));
  const write = (node, text) => {  // what is the same need not be laid out again
    if (node.textContent !== text) node.textContent = text;
  };
  const code = el("pre", { tabindex: 0, role: "region", "aria-label": "The matrix" });
  let convention = "regkit";
  const report = () => {
    ["best", "second"].forEach((name, column) => {
      const one = state.found?.[name], words = one ? numbers(one) : [];
      cells.forEach((row, k) => write(row[column], words[k] ?? "–"));
    });
    write(code, found() ? written(convention, found().map)
      : "# The matrix appears here\n# when the pictures are aligned.");
    copies.forEach((button) => button.setAttribute("aria-pressed", button.textContent === convention));
    copy.disabled = save.disabled = !found();
    other.disabled = !state.found?.second;
    write(other, state.shown === "best" ? "Show the second-best" : "Show the best again");
    const idle = state.phase !== "working";
    align.disabled = !(idle && state.template && state.reference);
    stop.disabled = idle;
    list.input.disabled = amount.input.disabled = state.phase === "no" || !(state.template && state.reference);
    root.dataset.phase = state.phase;
    root.dataset.found = JSON.stringify(state.found ?? null);
  };
  const show = () => {
    draw();
    report();
    say();
  };

  // ------------------------------------------------------------------ the work
  const focus = (button) => setTimeout(() => button.focus({ preventScroll: true }));  // it lays the page out: not here
  let begun = 0, reading = 0, waiting = false;  // pictures that are being read; is Align pressed meanwhile?
  const told = (message) => {
    if (state.phase !== "working") return;
    if (!message.found) {
      bar.value = message.share;
      kit.say(`Aligning. ${message.words}.`);
      return;
    }
    bar.value = 1;
    root.dataset.seconds = ((performance.now() - begun) / 1000).toFixed(2);
    const { best, rivals, unit } = message.found;
    const ready = (one) => one && { ...one, w: [...one.w], map: inPixels(one.w, unit) };
    const [first, second] = rivals;
    const lines = best && (best.free || (best.evidence >= NEEDED && best.sure < SURE));
    if (!best || best.evidence < NEEDED || (lines && !best.free)) {
      state.phase = "no";
      tell(lines ? "lines" : "no", best);
    } else {
      state.phase = "aligned";
      state.found = { best: ready(best), second: ready(second) };
      const near = second && second.evidence > Math.max(NEEDED, NEAR * first.evidence) &&
        1 - second.correlation < AS_GOOD * (1 - first.correlation) + 0.01;
      tell(best.free ?? (near ? "two" : "aligned"), state.found.best, state.found.second);
    }
    const held = document.activeElement === stop;
    show();
    if (held) focus(align);
  };
  const ask = compute(told);
  const forget = (phase) => {
    Object.assign(state, { found: null, shown: "best", phase });
    ask(null);
    bar.value = 0;
  };
  const begin = () => {
    waiting = reading > 0;
    if (waiting) return;
    forget("working");
    const empty = SLOTS.find((slot) => state[slot].deviation < BLANK);
    if (empty) {
      state.phase = "no";
      tell("blank", empty);
      return show();
    }
    begun = performance.now();
    const sent = ({ grey, shape }) => ({ grey, shape });
    ask({ template: sent(state.template), reference: sent(state.reference) });
    tell("working");
    show();
    focus(stop);
  };
  const end = () => {
    forget("before");
    tell("stopped");
    show();
    focus(align);
  };

  // ------------------------------------------------------------------ the pictures
  const previews = {}, labels = {}, turns = { template: 0, reference: 0 };
  const preview = (slot, image = null) => {
    const picture = state[slot], size = picture ? sized(picture) : "none yet";
    put(previews[slot], image);
    labels[slot].textContent = size;
    previews[slot].setAttribute("aria-label", `The ${slot}: ${size}`);
  };
  const drop = (picture) => { if (picture) call("drop", picture.key); };
  const lay = (slot, picture) => {
    drop(state[slot]);
    state[slot] = picture;
    preview(slot, picture?.preview);
  };
  const read = async (slot, given) => {  // null if another was chosen meanwhile
    const mine = ++turns[slot];
    let picture = null;
    reading++;
    try {
      picture = await call("read", given, SMALL);
    } catch (error) {
      if (mine === turns[slot]) throw error;
    } finally {
      reading--;
    }
    if (mine === turns[slot]) return picture;
    drop(picture);
    return null;
  };
  const resume = (fine) => {  // Align, pressed while pictures were read
    if (waiting && !reading && fine && state.template && state.reference) begin();
    else if (!reading) waiting = false;
  };
  const take = async (slots, files, more) => {  // files of the reader
    tell("reading");
    const ends = await Promise.allSettled(slots.map((slot, k) => read(slot, files[k])));
    const wrong = ends.find((end) => end.status === "rejected")?.reason;
    const right = slots.flatMap((slot, k) => (ends[k].value ? [[slot, ends[k].value]] : []));
    if (right.length) {
      forget("before");
      if (!state.mine) SLOTS.forEach((slot) => lay(slot, null));  // not one's own with the one that was there
      state.mine = true;
      for (const [slot, picture] of right) lay(slot, picture);
      tell(state.template && state.reference ? "before" : "waiting", more);
      examples.input.append(own);
      examples.set(data.pairs.length);
      show();
    }
    resume(!wrong);
    if (!wrong) return;
    const [key, ...given] = wrong.message.split(" ");
    tell(says[key] ? key : "broken", ...given.map(Number));
  };
  const example = async (k) => {
    if (k === data.pairs.length) return;
    own.remove();
    const pictures = await Promise.all(SLOTS.map((slot) => read(slot, data.pairs[k][slot])));
    if (pictures.includes(null)) return pictures.forEach(drop);
    SLOTS.forEach((slot, n) => lay(slot, pictures[n]));
    Object.assign(state, { mine: false, at: k });
    forget("before");
    tell("before");
    show();
    resume(true);
  };
  const several = (files, slot) => {
    if (!files?.length) return tell("nothing");
    take(files.length > 1 ? SLOTS : [slot], [...files].slice(0, 2), files.length);
  };
  const next = () => (state.mine && state.template && !state.reference ? "reference" : "template");
  const input = (slot, words, more) => {
    const field = el("input", { type: "file", accept: "image/*", "aria-label": `${words}: ${slot}`, ...more,
      onchange: () => { several(field.files, slot); field.value = ""; } });
    const [first, rest = ""] = words.split(/(?= )(.*)/);
    return el("label", { class: `ws-file${more ? " ws-camera" : ""}` }, field, first,
      el("span", { class: "ws-more" }, rest));
  };
  const slots = SLOTS.map((slot) => {
    previews[slot] = screen(SMALL, "ws-small");
    labels[slot] = el("p", { class: "ws-line ws-size" });
    const [name, does] = slot === "template" ? ["Template", " (moves)"] : ["Reference", " (stays)"];
    const title = el("p", { class: "ws-line" }, el("strong", {}, name), el("span", { class: "ws-more" }, does));
    return el("div", { class: "ws-slot", role: "group", "aria-label": slot, "data-slot": slot }, title, previews[slot],
      labels[slot], el("div", { class: "ws-row" }, input(slot, "Choose a file"),
        input(slot, "Photograph", { capture: "environment" })));
  });
  const slotOf = (node) => node?.closest?.(".ws-slot")?.dataset.slot;
  const stage = root.closest("figure");
  document.addEventListener("dragover", (event) => event.preventDefault());  // a picture that misses opens no page
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (stage.contains(event.target)) several(event.dataTransfer.files, slotOf(event.target) ?? next());
  });
  document.addEventListener("paste", (event) => {
    const { files } = event.clipboardData;
    if (!files.length && event.target.closest?.("input, textarea, [contenteditable]")) return;  // words for it
    if (files.length) event.preventDefault();
    several(files, slotOf(document.activeElement) ?? next());
  });

  // ------------------------------------------------------------------ controls and layout
  const align = kit.button("Align the pictures", begin, "rk-first"), stop = kit.button("Stop", end);
  const bar = el("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const own = el("option", {}, "your own");  // in the list while they are
  const examples = kit.select({ label: "pictures", options: data.pairs.map(({ name }) => name),
    input: (k) => example(k) });
  const amountWords = (v) => [`${Math.round(100 * v)} %`, `${2 + Math.round(14 * v)} squares`,
    `${1 + Math.round(9 * v)} times`][mode];
  const amount = kit.slider({ label: "amount", min: 0, max: 1, step: 0.05, value: amounts[0], text: amountWords,
    input: (v) => { amounts[mode] = v; show(); } });
  const list = kit.select({ label: "view", options: MODES, input: (k) => {
    mode = k;
    amount.set(amounts[k]);
    show();
  } });
  const other = kit.button("Show the second-best", () => {
    state.shown = state.shown === "best" ? "second" : "best";
    show();
  });
  let saving = false;
  const save = kit.button("Save the aligned picture", async () => {
    if (saving) return;
    saving = true;
    kit.say("Writing aligned.png.");
    try {
      const { template: T, reference: R } = state;
      const { file } = await call("write", T.key, [R.width, R.height], onto(found().map));
      const link = el("a", { href: URL.createObjectURL(file), download: "aligned.png" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      kit.say(`Saved as aligned.png: the template in colour, on the ${sized(R)} of the reference.`);
    } catch {
      tell("full");
      say();
    } finally {
      saving = false;
    }
  });
  const copies = Object.keys(CONVENTIONS).map((name) => kit.button(name, () => { convention = name; report(); }));
  const copy = kit.button("Copy the matrix", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      kit.say(`Copied: the matrix for ${convention}.`);
    } catch {  // a browser may refuse it
      getSelection().selectAllChildren(code);
      kit.say("The matrix is selected: copy it with Ctrl+C.");
    }
  });
  const css = `.ws-slots{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:0 14px}
    .rk .ws-slot{padding:6px;border:1px dashed var(--rk-line);border-radius:8px}
    .rk .ws-small{display:block;width:100%;height:auto;margin:0;background:var(--rk-soft);border-radius:4px}
    .rk .ws-line{overflow:hidden;white-space:nowrap}.rk .ws-size{font-size:.85em;color:var(--rk-muted)}
    .ws-row{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem;margin:.4rem 0}
    .rk .ws-file{position:relative;display:inline-flex;align-items:center;min-height:40px;padding:0 .8rem;margin:0}
    .rk .ws-file{white-space:pre;border:1px solid var(--rk-line);border-radius:8px}
    .rk .ws-file{background:var(--rk-card);cursor:pointer}
    .rk .ws-file:hover{background:var(--rk-soft)}
    .rk .ws-file input{position:absolute;inset:0;opacity:0;width:100%;cursor:pointer;font-size:0}
    .rk .ws-file:focus-within{outline:3px solid var(--rk-accent);outline-offset:2px}
    .rk .ws-camera{display:none}@media(pointer:coarse){.rk .ws-camera{display:inline-flex}}
    .rk .ws-view{width:100%;background:var(--rk-soft);border-radius:6px}
    .ws-row progress{flex:1 1 6rem;min-width:4rem;height:10px;accent-color:var(--rk-accent)}
    .rk .ws-verdict{margin:.35rem 0;font-weight:600}
    .ws-out{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.5rem 18px;margin-top:.5rem}
    @media(max-width:620px){.ws-out{grid-template-columns:minmax(0,1fr)}.ws-more{display:none}}
    .rk .ws-out table{margin:0;width:100%;border-collapse:collapse;font-size:.9em;font-variant-numeric:tabular-nums}
    .rk .ws-out :is(td,th){padding:.1rem .8rem .1rem 0;text-align:left;white-space:nowrap;border:0}
    .rk .ws-out pre{height:12.5em;margin:0;padding:.5em;overflow-x:hidden;overflow-y:auto;white-space:pre-wrap}
    .rk .ws-out pre{border:1px solid var(--rk-line);border-radius:8px;background:var(--rk-soft);color:var(--rk-text)}
    .rk .ws-out pre{font-size:min(.78em,2.6vw);line-height:1.4}
    .rk .ws-out pre:focus-visible{outline:3px solid var(--rk-accent);outline-offset:2px}
    .rk .ws-out [aria-pressed=true]{border-color:var(--rk-accent);box-shadow:inset 0 0 0 1px var(--rk-accent)}`;
  const sample = { correlation: 0.888, share: 0.88, evidence: 88.8,
    map: { A: [-0.766, -0.643, 0.643, -0.766], b: [88, 88] } };
  const texts = () => [says.two(sample, sample), says.aligned(sample, sample), says.no(sample), says.turns(),
    says.heic(), says.large(88888, 88888), says.broken(),
    ...data.pairs.map((pair) => `${pair.says} Press “Align the pictures”.`)];
  const head = ["", "best", "second-best"].map((words) =>
    (words ? el("th", { scope: "col" }, words) : el("td", {}, "")));
  // sizes are not known yet: the longest of the sentences need some
  Object.assign(state, { template: { width: 400, height: 400 }, reference: { width: 400, height: 400 } });
  const room = texts();
  Object.assign(state, { template: null, reference: null });
  root.append(el("style", {}, css), el("div", {}, examples.row), el("div", { class: "ws-slots" }, ...slots),
    el("p", { class: "ws-size" }, "Drop or paste pictures here. Nothing leaves this page."),
    el("div", { class: "ws-row" }, align, stop, bar),
    kit.reserve(verdict, ...room.map((words) => el("p", { class: "ws-verdict" }, words))),
    el("div", {}, view, kit.controls(list.row, amount.row)), el("div", { class: "ws-row" }, other, save),
    el("div", { class: "ws-out" }, el("table", {}, el("thead", {}, el("tr", {}, ...head)), results), el("div", {},
      el("div", { class: "ws-row", role: "group", "aria-label": "The matrix for" }, ...copies, copy), code)));
  const off = "Difference, 10 times: blue where the template is too bright, orange where it is too dark";
  kit.longest("Saved as aligned.png: the template in colour, on the 8,888 × 8,888 pixels of the reference.",
    "Not laid over each other: reference on the left, template on the right.",
    "The second-best answer. Checkerboard, 16 squares a side: do lines run on across their sides?",
    `The second-best answer. ${off}, its brightness fitted.`,
    ...data.pairs.map(({ name }) => `Not aligned yet: ${name}. ${off}.`));
  SLOTS.forEach((slot) => preview(slot));
  report();
  say();
  example(0);
}
