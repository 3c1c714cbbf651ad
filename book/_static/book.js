// Three things that style sheets cannot do: open closed boxes for print, let the keyboard reach a
// box that scrolls, and change the language where one reads.
(function () {
  "use strict";
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("article details:not([open])")];
    opened.forEach((box) => { box.open = true; });
  });
  window.addEventListener("afterprint", () => {
    opened.forEach((box) => { box.open = false; });
    opened = [];
  });

  const words = JSON.parse(document.querySelector('meta[name="book-words"]')?.content || "{}");
  const SCROLLING = {
    ".pst-scrollable-table-container": "Table",
    "div.math": "Formula",
    'mjx-container[display="true"]': "Formula",
    "article pre": "Code",
    ".cell_output > .output": "Output",
  };
  function reach() {
    for (const [selector, name] of Object.entries(SCROLLING)) {
      for (const box of document.querySelectorAll(selector)) {
        const scrolls = box.scrollWidth > box.clientWidth + 1;
        if (scrolls && !box.hasAttribute("tabindex")) {
          box.tabIndex = 0;
          box.dataset.scrolls = "";
          if (!box.hasAttribute("role")) box.setAttribute("role", "group");
          if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", words[name] || name);
        } else if (!scrolls && "scrolls" in box.dataset) {
          for (const name of ["tabindex", "data-scrolls"]) box.removeAttribute(name);
        }
      }
    }
  }
  window.addEventListener("resize", reach);
  window.addEventListener("load", () => {
    reach();
    const drawn = window.MathJax && MathJax.startup && MathJax.startup.promise;
    if (drawn) drawn.then(reach);
  });

  // Sections have the same names in every language: lead to the one being read.
  function sectionInView() {
    const headings = [...document.querySelectorAll("article section[id] > :is(h1, h2, h3)")];
    const passed = headings.filter((heading) => heading.getBoundingClientRect().top < 160);
    return passed.length > 1 ? passed.pop().parentElement.id : "";
  }
  for (const link of document.querySelectorAll("a.book-language")) {
    const lead = () => { link.hash = sectionInView() || location.hash; };
    for (const event of ["pointerdown", "focus", "click"]) link.addEventListener(event, lead);
  }
})();
