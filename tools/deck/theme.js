// Light or dark as the lecturer's system is, until the key T is used.
document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
