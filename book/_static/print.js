// On paper everything is light, and nothing is folded: nobody can click there.
(() => {
  const root = document.documentElement;
  let opened = [], theme;
  addEventListener("beforeprint", () => {
    theme = root.dataset.theme;
    root.dataset.theme = "light";
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
    opened = [];
    if (theme) root.dataset.theme = theme;
  });
})();
