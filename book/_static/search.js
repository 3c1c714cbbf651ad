// Two things that the search page lacks: summaries where pages cannot be fetched (opened from a
// folder, without a server), and the query's words marked as they were written.
(function () {
  "use strict";
  const root = document.documentElement.dataset.content_root;

  if (location.protocol === "file:") {
    const waiting = new Map();
    window.bookText = (page, html) => waiting.get(page)?.(html);
    window.fetch = (address) => new Promise((resolve, reject) => {
      const page = address.slice(root.length).replace(/\.html$/, "");
      waiting.set(page, (html) => {
        resolve({ text: () => `<div role="main">${html}</div>` });
      });
      const script = document.createElement("script");
      script.onerror = () => reject(new Error(`no text of ${page}`));
      script.src = `${root}_texts/${page}.js`;
      document.head.append(script);
    });
  }

  // Chinese is searched by pairs of characters; it is marked by the words of the query.
  let asked = [];
  const parse = Search._parseQuery;
  Search._parseQuery = (query) => {
    const parsed = parse(query);
    const words = query.toLowerCase().match(/[\p{L}\p{N}_]+/gu) || [];
    if (words.some((word) => /\p{Script=Han}/u.test(word))) {
      asked = words;
      parsed[3] = new Set(words);
      localStorage.setItem("sphinx_highlight_terms", words.join(" "));
    }
    return parsed;
  };
  // A summary shows the place of the last term that it finds.
  const summary = Search.makeSearchSummary;
  Search.makeSearchSummary = (html, terms, anchor) =>
    summary(html, new Set([...terms, ...asked]), anchor);
})();
