// Bets on claims, one at a time: whoever has bet sees the numbers, the verdict and why.
// data: see regbook.widgets.bets.
(root, data, kit) => {
  const { claims, words, headings } = data;
  const made = claims.map(() => null);
  let now = 0;

  const answer = (claim) => {
    const facts = headings.map((heading, k) =>
      kit.el("div", {}, kit.el("dt", { style: "font-weight:600" }, heading), kit.el("dd", { style: "margin:0" },
        claim.numbers[k])));
    const columns = "display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:6px 16px;margin:0";
    return kit.el("div", {},
      kit.el("p", { style: "margin:.2em 0 .5em" }, kit.el("b", {}, `It ${claim.verdict}. `), claim.why),
      kit.el("dl", { style: columns }, ...facts));
  };
  const question = (claim) => kit.el("p", { style: "margin:.2em 0;min-height:2.6em" }, kit.el("b", {}, claim.says),
    kit.el("span", { style: `color:${kit.colors.muted}` }, ` (${claim.place})`));

  const asked = kit.el("div"), shown = kit.el("div");
  const marks = claims.map((_, k) => kit.el("button", { type: "button", "aria-label": `Claim ${k + 1}`,
    style: "min-width:30px;min-height:30px;padding:0", onclick: () => go(k) }));
  const bet = (k) => { if (made[now] === null) { made[now] = k; draw(); } };
  const bets = words.map((word, k) => kit.button(word, () => bet(k)));
  const waiting = () => kit.el("p", { style: `margin:.2em 0;color:${kit.colors.muted}` },
    "The numbers, the verdict and the reason appear here after your bet.");
  const right = (k) => words[made[k]] === claims[k].verdict;

  const draw = () => {
    const claim = claims[now], mine = made[now], count = made.filter((b) => b !== null).length;
    asked.replaceChildren(question(claim));
    shown.replaceChildren(mine === null ? waiting() : answer(claim));
    bets.forEach((button, k) => {
      button.setAttribute("aria-disabled", String(mine !== null));  // "disabled" would lose the keyboard's place
      button.style.opacity = mine === null || mine === k ? 1 : 0.45;
      button.setAttribute("aria-pressed", String(mine === k));
    });
    marks.forEach((button, k) => {
      button.textContent = made[k] === null ? String(k + 1) : right(k) ? "✓" : "✗";
      button.setAttribute("aria-current", String(k === now));
      const state = made[k] === null ? "no bet yet" : right(k) ? "bet right" : "bet wrong";
      button.setAttribute("aria-label", `Claim ${k + 1}: ${state}`);
      button.style.outline = k === now ? `2px solid ${kit.colors.blue}` : "none";
    });
    const won = claims.filter((_, k) => made[k] !== null && right(k)).length;
    const score = `${won} of ${kit.counted(count, "bet")} right.`;
    const end = mine === null ? "What do you bet?" : `You bet: ${words[mine]}. It ${claim.verdict}.`;
    kit.say(`Claim ${now + 1} of ${claims.length}. ${end} ${score}`);
  };
  const go = (k) => { now = (k + claims.length) % claims.length; draw(); };

  const longest = words.reduce((a, b) => (a.length > b.length ? a : b));
  kit.longest(`Claim ${claims.length} of ${claims.length}. You bet: ${longest}. It ${longest}. `
    + `${claims.length} of ${claims.length} bets right.`);
  root.append(kit.reserve(asked, ...claims.map(question)), kit.row(...bets),
    kit.row(kit.button("Previous claim", () => go(now - 1)), kit.button("Next claim", () => go(now + 1))),
    kit.el("div", { role: "group", "aria-label": "All claims",
      style: "display:flex;flex-wrap:wrap;gap:6px;margin:.25rem 0 .6rem" }, ...marks),
    kit.reserve(shown, ...claims.map(answer)));
  draw();
}
