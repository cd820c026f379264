// A table, a formula or code that is wider than the page scrolls; its edge fades where it goes on.
document.addEventListener("DOMContentLoaded", () => {
  const wide = ".bd-article :is(pre, .pst-scrollable-table-container, .cell_output .output, table.table)";
  const look = (node) => {
    const before = node.scrollLeft > 1, after = node.scrollLeft + node.clientWidth < node.scrollWidth - 1;
    node.classList.toggle("goes-on-left", before);
    node.classList.toggle("goes-on-right", after);
  };
  const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => look(target)));
  const watch = (node) => {
    node.addEventListener("scroll", () => look(node), { passive: true });
    sizes.observe(node);
  };
  document.querySelectorAll(wide).forEach(watch);
  // formulas are set after the page has been read, and may make a table wider than it was
  window.MathJax?.startup?.promise?.then(() => {
    document.querySelectorAll(".bd-article mjx-container[display=true]").forEach(watch);
    document.querySelectorAll(wide).forEach(look);
  });
});
