// Calls functions beside the page: in a worker, or here where a worker is refused. make gives an object of functions,
// async or not, and uses no names from outside. Gives call(name, …arguments), a promise; pictures are handed over.
(make) => {
  const here = () => {
    const made = make();
    return async (name, ...given) => made[name](...given);
  };
  const serve = (make) => {
    const made = make(), bitmap = (value) => typeof ImageBitmap !== "undefined" && value instanceof ImageBitmap;
    onmessage = async ({ data: [number, name, given] }) => {
      try {
        const value = await made[name](...given);
        postMessage([number, true, value], Object.values(value ?? {}).filter(bitmap));
      } catch (error) {
        postMessage([number, false, error.message]);
      }
    };
  };
  if (typeof OffscreenCanvas === "undefined") return here();
  let worker;
  try {
    const source = `(${serve})(${make})`;
    worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  } catch {
    return here();
  }
  const waiting = new Map();
  let count = 0, instead = null;
  worker.onmessage = ({ data: [number, fine, value] }) => {
    const { resolve, reject } = waiting.get(number);
    waiting.delete(number);
    if (fine) resolve(value); else reject(new Error(value));
  };
  worker.onerror = (event) => {  // the worker itself is refused: what was asked is asked here
    event.preventDefault();
    instead = instead ?? here();
    for (const { resolve, call } of waiting.values()) resolve(instead(...call));
    waiting.clear();
  };
  return (...call) => {
    if (instead) return instead(...call);
    const number = ++count;
    return new Promise((resolve, reject) => {
      waiting.set(number, { resolve, reject, call });
      worker.postMessage([number, call[0], call.slice(1)]);
    });
  };
}
