// Reads the two pictures of a reader, and writes the moved one, for beside.js. What cannot be read is an Error whose
// message is one of: broken, heic, small, late, or "large width height".
() => {
  const WORK = 512, SHOWN = 1024, LARGEST = 60e6, SMALLEST = 32;  // pixels: a side, a side, in all, a side
  const kept = {}, turn = {};
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

  // Luminance, as means over cells, the longer side of which has at most WORK of them; rows from the top.
  const reduced = (bitmap) => {
    const { width, height } = bitmap, ratio = Math.max(1, Math.max(width, height) / WORK);
    const [m, n] = [height, width].map((all) => Math.max(1, Math.round(all / ratio)));
    const grey = new Float64Array(m * n), row = new Float64Array(n), tall = Math.min(height, 256);
    const strip = sheet(width, tall), pen = strip.getContext("2d", { willReadFrequently: true });
    for (let top = 0; top < height; top += tall) {
      const rows = Math.min(tall, height - top);
      pen.fillStyle = "#fff";  // behind what is transparent
      pen.fillRect(0, 0, width, tall);
      pen.drawImage(bitmap, 0, -top);
      const { data } = pen.getImageData(0, 0, width, rows);
      for (let r = 0; r < rows; r++) {
        row.fill(0);
        for (let c = 0, at = 4 * r * width; c < width; c++, at += 4) {
          const value = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
          const from = (c * n) / width, to = ((c + 1) * n) / width, j = Math.floor(from), edge = Math.min(to, j + 1);
          row[j] += (edge - from) * value;
          if (to > edge && j + 1 < n) row[j + 1] += (to - edge) * value;
        }
        const from = ((top + r) * m) / height, to = ((top + r + 1) * m) / height, i = Math.floor(from);
        const edge = Math.min(to, i + 1);
        for (let j = 0; j < n; j++) grey[i * n + j] += (edge - from) * row[j];
        if (to > edge && i + 1 < m) for (let j = 0; j < n; j++) grey[(i + 1) * n + j] += (to - edge) * row[j];
      }
    }
    return { grey: Float32Array.from(grey), shape: [m, n] };
  };

  return {
    async read(slot, blob) {
      const mine = turn[slot] = (turn[slot] ?? 0) + 1;
      const head = new Uint8Array(await blob.slice(0, 262144).arrayBuffer()), size = announced(head);
      if (size) tooLarge(size);
      let bitmap;
      try {
        bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
      } catch {
        const brand = String.fromCharCode(...head.subarray(4, 12));
        throw new Error(/^ftyp(hei|hev|mif1|msf1)/.test(brand) ? "heic" : "broken");
      }
      const { width, height } = bitmap;
      tooLarge([width, height]);
      if (Math.min(width, height) < SMALLEST) throw new Error("small");
      if (turn[slot] !== mine) throw new Error("late");  // another was chosen meanwhile
      kept[slot]?.close();
      kept[slot] = bitmap;
      const less = Math.min(1, SHOWN / Math.max(width, height));
      const [resizeWidth, resizeHeight] = [width, height].map((side) => Math.round(less * side));
      const smaller = less < 1 ? { resizeWidth, resizeHeight, resizeQuality: "high" } : {};
      const shown = await createImageBitmap(bitmap, smaller);
      return { width, height, shown, ...reduced(bitmap) };
    },
    // The template on the pixels of the reference, as a PNG; [a, b, c, d, e, f]: as setTransform takes them.
    async write(slot, [width, height], matrix) {
      const out = sheet(width, height), pen = out.getContext("2d");
      pen.imageSmoothingQuality = "high";
      pen.setTransform(...matrix);
      pen.drawImage(kept[slot], 0, 0);
      return out.convertToBlob ? { file: await out.convertToBlob({ type: "image/png" }) }
        : { file: await new Promise((resolve) => out.toBlob(resolve, "image/png")) };
    },
  };
}
