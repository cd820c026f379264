// Below each page that the search has found: its sections with the words, and where the words stand.
// bookSections (sections.js): for each section [page, anchor, title, text]; the rest is Sphinx's own.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const MOST = 5; // sections of a page
  const AROUND = 90; // letters before and after a word

  const query = (new URLSearchParams(location.search).get("q") ?? "").toLowerCase().trim();
  const stemmer = new Stemmer();
  const asked = splitQuery(query);
  const telling = asked.filter((word) => !stopwords.includes(word));
  const stems = (telling.length ? telling : asked).map((word) => stemmer.stemWord(word));
  const wanted = stems.map((stem) => new RegExp(`(?<![\\p{L}\\p{N}])${stem}`, "giu"));

  /** How much a section says of the words: 0 unless it has all of them; a word in the title counts ten times. */
  const weight = ([, , title, text]) => {
    const counts = wanted.map((word) => 10 * (title.match(word) ?? []).length + (text.match(word) ?? []).length);
    return counts.every(Boolean) ? counts.reduce((a, b) => a + b, 0) : 0;
  };

  /** The surroundings of the first word that was asked for, with all such words marked. */
  const excerpt = (text) => {
    const node = document.createElement("p");
    const at = text.search(wanted[0]);
    if (at < 0) return null;
    const from = at < AROUND ? 0 : text.indexOf(" ", at - AROUND) + 1;
    const until = at + AROUND < text.length ? text.lastIndexOf(" ", at + AROUND) : text.length;
    const part = text.slice(from, Math.max(until, at));
    const marks = new RegExp(`(?<![\\p{L}\\p{N}])(?:${stems.join("|")})[\\p{L}\\p{N}]*`, "giu");
    let last = 0;
    node.className = "context";
    node.append(from > 0 ? "… " : "");
    for (const found of part.matchAll(marks)) {
      const mark = document.createElement("mark");
      mark.textContent = found[0];
      node.append(part.slice(last, found.index), mark);
      last = found.index + found[0].length;
    }
    node.append(part.slice(last), until < text.length ? " …" : "");
    return node;
  };

  const show = (item) => {
    const link = item.querySelector(":scope > a");
    if (!link || item.querySelector(":scope > ul") || link.getAttribute("href").includes("#")) return;
    const page = link.getAttribute("href").replace(/\.html$/, "");
    const found = bookSections
      .filter(([name]) => name === page)
      .map((section) => [weight(section), section])
      .filter(([much]) => much > 0)
      .sort(([a], [b]) => b - a)
      .slice(0, MOST);
    if (!found.length) return;
    const list = document.createElement("ul");
    for (const [, [, anchor, title, text]] of found) {
      const entry = document.createElement("li");
      const to = document.createElement("a");
      to.href = `${link.getAttribute("href")}#${anchor}`;
      to.textContent = title;
      entry.append(to, excerpt(text) ?? "");
      list.append(entry);
    }
    item.append(list);
  };

  const results = document.getElementById("search-results");
  if (!query || !results) return;
  const look = () => results.querySelectorAll("ul.search > li").forEach(show);
  new MutationObserver(look).observe(results, { childList: true, subtree: true });
  look();
});
