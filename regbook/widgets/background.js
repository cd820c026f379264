// Runs a computation beside the page: in a worker, or in slices between two frames where a worker is refused.
// job: a function that makes of the data `given` a generator function of a setting, and uses no names from outside;
// what it yields is told, unless it is undefined. Gives a function of a setting, which ends what ran before.
(job, given, tell) => {
  const pump = (run, tell) => {
    let newest = 0;
    return ([number, setting]) => {
      const steps = run(setting);
      newest = number;
      const slice = () => {
        const end = performance.now() + 12;
        for (let step; newest === number && performance.now() < end;) {
          step = steps.next();
          if (step.value !== undefined) tell([number, step.value]);
          if (step.done) return;
        }
        if (newest === number) setTimeout(slice);
      };
      slice();
    };
  };

  let asked = [0, null], post;
  const told = ([number, value]) => { if (number === asked[0]) tell(value); };
  const slices = () => { post = pump(job(given), told); };
  try {
    const source = `onmessage = ({ data: given }) => {
      const ask = (${pump})((${job})(given), (message) => postMessage(message));
      onmessage = ({ data }) => ask(data);
    };`;
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const worker = new Worker(address);
    worker.onmessage = ({ data }) => told(data);
    worker.onerror = (event) => {
      event.preventDefault();
      worker.terminate();
      slices();
      if (asked[0]) post(asked);
    };
    post = (message) => worker.postMessage(message);
    post(given);
  } catch {
    slices();
  }
  return (setting) => {
    asked = [asked[0] + 1, setting];
    post(asked);
  };
}
