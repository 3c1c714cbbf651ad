// Two things that the search page lacks: summaries where pages cannot be fetched (opened from a
// folder, without a server), and the query's words marked as they were written.
(function () {
  "use strict";
  const root = document.documentElement.dataset.content_root;

  if (location.protocol === "file:") {
    const texts = new Map(); // page -> promise of its text
    const arrived = new Map(); // page -> what to call with it
    window.bookText = (page, html) => arrived.get(page)?.(html);
    const load = (page) => new Promise((resolve, reject) => {
      arrived.set(page, resolve);
      const script = document.createElement("script");
      script.onerror = () => reject(new Error(`no text of ${page}`));
      script.src = `${root}_texts/${page}.js`;
      document.head.append(script);
    });
    window.fetch = async (address) => {
      const page = address.slice(root.length).replace(/\.html$/, "");
      if (!texts.has(page)) texts.set(page, load(page));
      const html = await texts.get(page);
      return { text: () => `<div role="main">${html}</div>` };
    };
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
