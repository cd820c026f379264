// Reads the pictures of a reader, draws two of them and writes the moved one, for beside.js. What cannot be read is an
// Error whose message is one of: broken, heic, small, or "large width height".
() => {
  const WORK = 512, SHOWN = 1024, LARGEST = 60e6, SMALLEST = 32, SLIMMEST = 16;  // pixels: sides, in all, a side; times
  const PLAIN = 10;  // grey values by which a drawing of one grey may differ
  const PART = 1 << 17;  // pixels that are worked on in one go, where there is no worker and the page waits
  const kept = new Map(), upright = { imageOrientation: "from-image" };
  const apart = typeof document === "undefined";
  let count = 0;
  const rest = () => (apart ? null : new Promise((resolve) => setTimeout(resolve)));
  const parts = function* (width, height) {  // rows of as many pixels: first row, how many
    const tall = Math.max(1, Math.floor(PART / width));
    for (let top = 0; top < height; top += tall) yield [top, Math.min(tall, height - top)];
  };
  const sheet = (width, height) => (typeof OffscreenCanvas === "undefined"
    ? Object.assign(document.createElement("canvas"), { width, height }) : new OffscreenCanvas(width, height));

  // Width and height as the file's first bytes say, so that no picture is unpacked that memory has no room for.
  const announced = (bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const text = (from, length) => String.fromCharCode(...bytes.subarray(from, from + length));
    if (bytes.length < 32) return null;
    if (text(1, 3) === "PNG") return [view.getUint32(16), view.getUint32(20)];
    if (text(0, 3) === "GIF") return [view.getUint16(6, true), view.getUint16(8, true)];
    if (text(0, 2) === "BM") return [Math.abs(view.getInt32(18, true)), Math.abs(view.getInt32(22, true))];
    if (text(8, 8) === "WEBPVP8X") return [23, 26].map((at) => 1 + (view.getUint32(at, true) >>> 8));
    if (text(8, 8) === "WEBPVP8L") return [0, 14].map((from) => 1 + ((view.getUint32(21, true) >>> from) & 0x3fff));
    if (text(8, 8) === "WEBPVP8 ") return [26, 28].map((at) => view.getUint16(at, true) & 0x3fff);
    if (view.getUint16(0) !== 0xffd8) return null;
    for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; at += 2 + view.getUint16(at + 2)) {
      const kind = bytes[at + 1];  // JPEG: the frame's header is one of C0 to CF, but for C4, C8 and CC
      const frame = kind >= 0xc0 && kind <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(kind);
      if (frame) return [view.getUint16(at + 7), view.getUint16(at + 5)];
    }
    return null;
  };
  const tooLarge = ([width, height]) => {
    if (width * height > LARGEST) throw new Error(`large ${width} ${height}`);
  };

  // Luminance, as means over cells, the longer side of which has at most WORK of them; rows from the top. What is
  // transparent is paper: white, or the mean of a picture that shows more than one grey, which then has no edge there.
  const reduced = async (bitmap) => {
    const { width, height } = bitmap, ratio = Math.max(1, Math.max(width, height) / WORK);
    const [m, n] = [height, width].map((all) => Math.max(1, Math.round(all / ratio)));
    const [[, tall]] = parts(width, height);
    const [grey, solid] = [0, 1].map(() => new Float64Array(m * n)), lines = [0, 1].map(() => new Float64Array(n));
    const pen = sheet(width, tall).getContext("2d", { willReadFrequently: true });
    for (const [top, rows] of parts(width, height)) {
      await rest();
      pen.clearRect(0, 0, width, tall);
      pen.drawImage(bitmap, 0, -top);
      const { data } = pen.getImageData(0, 0, width, rows), [line, cover] = lines;
      for (let r = 0; r < rows; r++) {
        for (const each of lines) each.fill(0);
        for (let c = 0, at = 4 * r * width; c < width; c++, at += 4) {
          const alpha = data[at + 3] / 255;
          const value = alpha * (0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]);
          const from = (c * n) / width, to = ((c + 1) * n) / width, j = Math.floor(from), edge = Math.min(to, j + 1);
          line[j] += (edge - from) * value;
          cover[j] += (edge - from) * alpha;
          if (to > edge && j + 1 < n) {
            line[j + 1] += (to - edge) * value;
            cover[j + 1] += (to - edge) * alpha;
          }
        }
        const from = ((top + r) * m) / height, to = ((top + r + 1) * m) / height, i = Math.floor(from);
        const edge = Math.min(to, i + 1), beyond = to > edge && i + 1 < m ? to - edge : 0;
        [grey, solid].forEach((image, k) => {
          for (let j = 0; j < n; j++) image[i * n + j] += (edge - from) * lines[k][j];
          if (beyond) for (let j = 0; j < n; j++) image[(i + 1) * n + j] += beyond * lines[k][j];
        });
      }
    }
    const add = (value) => grey.reduce((all, _, k) => all + value(k), 0), area = Math.max(1e-9, add((k) => solid[k]));
    const mean = add((k) => grey[k]) / area;
    const off = (k) => (solid[k] > 0 ? (grey[k] - mean * solid[k]) ** 2 / solid[k] : 0);
    const paper = Math.sqrt(add(off) / area) < PLAIN ? 255 : mean;
    const out = Float32Array.from(grey, (value, k) => value + (1 - solid[k]) * paper);
    const all = add((k) => out[k]) / (m * n);
    const deviation = Math.sqrt(add((k) => (out[k] - all) ** 2) / (m * n));
    return { grey: out, shape: [m, n], deviation, paper };
  };

  // ------------------------------------------------------------------ drawing
  const given = (canvas) => (canvas.transferToImageBitmap ? canvas.transferToImageBitmap() : createImageBitmap(canvas));
  const frame = ({ width, height }, [left, top, right, bottom]) => {  // the largest rectangle of this shape
    const k = Math.min((right - left) / width, (bottom - top) / height);
    return { k, x: (left + right - k * width) / 2, y: (top + bottom - k * height) / 2, w: k * width, h: k * height };
  };
  const place = (to, picture, box, map) => {  // in a box; map, as setTransform takes it: onto the reference's pixels
    to.save();
    to.translate(box.x, box.y);
    to.scale(box.k, box.k);
    if (map) to.transform(...map);
    to.drawImage(picture.shown, 0, 0, picture.width, picture.height);
    to.restore();
  };
  const difference = async (pen, [template, reference], box, { map, times, gain, shift, table }) => {
    const w = Math.round(box.w), h = Math.round(box.h), one = { ...box, x: 0, y: 0 };
    const [moved, still] = [0, 1].map(() => sheet(w, h).getContext("2d", { willReadFrequently: true }));
    place(moved, template, one, map);
    place(still, reference, one);
    const grey = (d, k) => 0.299 * d[k] + 0.587 * d[k + 1] + 0.114 * d[k + 2];
    for (const [top, rows] of parts(2 * w, h)) {  // of two
      await rest();
      const t = moved.getImageData(0, top, w, rows), s = still.getImageData(0, top, w, rows).data;
      for (let k = 0; k < s.length; k += 4) {
        const off = t.data[k + 3] < 250 ? 0 : times * (gain * grey(t.data, k) + shift - grey(s, k));
        const at = 3 * (255 + Math.round(Math.max(-255, Math.min(255, off))));
        for (let q = 0; q < 3; q++) t.data[k + q] = table[at + q];
        t.data[k + 3] = 255;
      }
      still.putImageData(t, 0, top);
    }
    pen.drawImage(still.canvas, box.x, box.y);
  };

  return {
    // blob: a file, or one in base64. key: by which the other functions know it; small: to look at.
    async read(blob, small) {
      if (typeof blob === "string") {
        const text = atob(blob), bytes = new Uint8Array(text.length);
        for (let k = 0; k < bytes.length; k++) bytes[k] = text.charCodeAt(k);
        blob = new Blob([bytes]);
      }
      const head = new Uint8Array(await blob.slice(0, 262144).arrayBuffer()), size = announced(head);
      if (size) tooLarge(size);
      let bitmap;
      try {
        bitmap = await createImageBitmap(blob, upright);
      } catch {
        const brand = String.fromCharCode(...head.subarray(4, 12));
        throw new Error(/^ftyp(hei|hev|mif1|msf1)/.test(brand) ? "heic" : "broken");
      }
      const { width, height } = bitmap, [less, more] = [width, height].sort((a, b) => a - b);
      tooLarge([width, height]);
      if (less < SMALLEST || more > SLIMMEST * less) throw new Error("small");
      const ratio = Math.min(1, SHOWN / more);
      const [resizeWidth, resizeHeight] = [width, height].map((side) => Math.round(ratio * side));
      const smaller = ratio < 1 ? { resizeWidth, resizeHeight, resizeQuality: "high" } : {};
      const shown = sheet(resizeWidth, resizeHeight), pen = shown.getContext("2d"), image = await reduced(bitmap);
      pen.fillStyle = `rgb(${image.paper} ${image.paper} ${image.paper})`;
      pen.fillRect(0, 0, resizeWidth, resizeHeight);
      pen.drawImage(await createImageBitmap(bitmap, smaller), 0, 0);
      const picture = { blob, width, height, shown, ...image }, key = ++count;
      bitmap.close();  // four bytes a pixel, twice: the file is less, and is read once more where it is written
      kept.set(key, picture);
      const preview = sheet(...small);
      place(preview.getContext("2d"), picture, frame(picture, [0, 0, ...small]));
      const { grey, shape, deviation } = picture;
      return { key, width, height, grey, shape, deviation, preview: await given(preview) };
    },
    drop(key) { kept.delete(key); },
    // Both pictures in one of width × height pixels. mode: "beside", "blend", "checkerboard" or "difference".
    async draw([width, height], keys, mode, scene) {
      const canvas = sheet(width, height), pen = canvas.getContext("2d"), all = keys.map((key) => kept.get(key));
      const [T, R] = all;
      if (mode === "beside") {
        [R, T].forEach((picture, k) => {
          const side = [8 + (k * width) / 2, 8, ((k + 1) * width) / 2 - 8, height - 8];
          if (picture) place(pen, picture, frame(picture, side));
        });
        return { view: await given(canvas) };
      }
      const box = frame(R, [0, 0, width, height]);
      pen.beginPath();
      pen.rect(box.x, box.y, box.w, box.h);
      pen.clip();
      if (mode === "difference") await difference(pen, all, box, scene);
      else {
        place(pen, R, box);
        if (mode === "blend") pen.globalAlpha = scene.amount;
        else {
          const side = Math.max(box.w, box.h) / scene.squares;
          pen.beginPath();
          for (let i = 0; i < scene.squares; i++) for (let j = i % 2; j < scene.squares; j += 2) {
            pen.rect(box.x + i * side, box.y + j * side, side, side);
          }
          pen.clip();
        }
        place(pen, T, box, scene.map);
      }
      return { view: await given(canvas) };
    },
    // The template on the pixels of the reference, in full size, as a PNG.
    async write(key, [width, height], map) {
      const { blob } = kept.get(key), out = sheet(width, height), pen = out.getContext("2d");
      const bitmap = await createImageBitmap(blob, upright);
      pen.imageSmoothingQuality = "high";
      for (const [top, rows] of apart ? [[0, height]] : parts(width, height)) {
        await rest();
        pen.save();
        pen.beginPath();
        pen.rect(0, top, width, rows);
        pen.clip();
        pen.setTransform(...map);
        pen.drawImage(bitmap, 0, 0);
        pen.restore();
      }
      bitmap.close();
      const made = (resolve, reject) => out.toBlob((file) => (file ? resolve(file) : reject(new Error("full"))));
      return { file: await (out.convertToBlob ? out.convertToBlob({ type: "image/png" }) : new Promise(made)) };
    },
  };
}
