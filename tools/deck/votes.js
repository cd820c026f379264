// Two counts for each choice, before and after the discussion, become bars. They are kept nowhere.
for (const vote of document.querySelectorAll(".vote")) {
  const draw = () => {
    for (const when of ["0", "1"]) {
      const inputs = [...vote.querySelectorAll(`input[data-when="${when}"]`)];
      const counts = inputs.map((input) => Math.max(0, Math.floor(Number(input.value)) || 0));
      const sum = counts.reduce((a, b) => a + b, 0);
      for (const [k, bar] of vote.querySelectorAll(`.bar[data-when="${when}"]`).entries()) {
        const part = sum ? counts[k] / sum : 0;
        bar.classList.toggle("counted", sum > 0);
        bar.style.setProperty("--part", part);
        bar.querySelector("output").textContent = sum ? `${Math.round(100 * part)} %` : "";
      }
    }
  };
  vote.addEventListener("input", draw);
}
