// Chart player: CKY on a sentence of the reader's choice, one cell at a time, and its trees.
llmbook.register("chart_player", function (app, data, t) {
  const { h, s } = llmbook;
  let words, rules, order, filled, chosen, tree, strength, playing = null, buttons = [];

  // ---- the parser ---------------------------------------------------------------------------
  function grammar(spec) {
    const own = spec.rules.map(([symbols, num, den]) => ({ symbols, p: num / den }));
    const knob = own[spec.knob];
    if (knob && strength !== null) {
      const rest = 1 - knob.p;
      for (const rule of own)
        if (rule !== knob && rule.symbols[0] === knob.symbols[0]) rule.p *= (1 - strength) / rest;
      knob.p = strength;
    }
    return own;
  }
  // A cell: symbol → { inside, ways: [{ rule, k }] }.
  function parse() {
    const n = words.length, chart = {};
    for (const [i, j] of order) {
      const cell = (chart[i + "," + j] = {});
      const add = (rule, k, p) => {
        const entry = (cell[rule.symbols[0]] = cell[rule.symbols[0]] || { inside: 0, ways: [] });
        entry.inside += p;
        entry.ways.push({ rule, k, p });
      };
      for (const rule of rules) {
        const [, left, right] = rule.symbols;
        if (right === undefined) {
          if (j === i + 1 && left === words[i]) add(rule, i, rule.p);
          continue;
        }
        for (let k = i + 1; k < j; k++) {
          const a = chart[i + "," + k][left], b = chart[k + "," + j][right];
          if (a && b) add(rule, k, rule.p * a.inside * b.inside);
        }
      }
    }
    return { n, chart };
  }
  function trees(chart, symbol, i, j) {
    return chart[i + "," + j][symbol].ways.flatMap(({ rule, k }) => {
      const [, left, right] = rule.symbols;
      if (right === undefined) return [{ label: symbol, word: left, p: rule.p }];
      const rights = trees(chart, right, k, j);
      return trees(chart, left, i, k).flatMap((a) => rights.map((b) =>
        ({ label: symbol, children: [a, b], p: rule.p * a.p * b.p })));
    });
  }
  const power = (p) => {
    const e = Math.round(Math.log2(p));
    return Math.abs(p - 2 ** e) < 1e-12 * p ? "2" + superscript(e) : p.toExponential(2).replace(
      /e(.+)/, (all, x) => " × 10" + superscript(+x));
  };
  const superscript = (e) => String(e).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] || "⁻");
  const brackets = (node) => node.word !== undefined ? `(${node.label} ${node.word})`
    : `(${node.label} ${node.children.map(brackets).join(" ")})`;

  // ---- the page -----------------------------------------------------------------------------
  const titles = data.sentences.map(([, text]) => text);
  const pick = llmbook.select(t("sentence"), titles, 0, open);
  const back = llmbook.button(t("previous"), () => go(filled - 1));
  const next = llmbook.button(t("next"), () => go(filled + 1));
  const play = llmbook.button(t("play"), toggle);
  const all = llmbook.button(t("all"), () => go(order.length));
  const status = h("p", { class: "cp-status", role: "status" });
  const table = h("div", { class: "cp-chart", role: "group", "aria-label": t("chart") });
  const detail = h("div", { class: "cp-detail" });
  const knobPlace = h("div");
  const list = h("div", { class: "cp-trees", role: "group", "aria-label": t("trees") });
  const picture = h("div", { class: "cp-picture" });
  let knobShown = null, result = null, found = [];

  function open(index) {
    stop();
    const [g, text] = data.sentences[index], spec = data.grammars[g];
    words = text.split(" ");
    order = [];
    for (let n = 1; n <= words.length; n++)
      for (let i = 0; i + n <= words.length; i++) order.push([i, i + n]);
    strength = null;
    knobPlace.replaceChildren();
    if (spec.knob >= 0) {
      const [symbols, num, den] = spec.rules[spec.knob];
      knobShown = llmbook.slider(symbols[0] + " → " + symbols.slice(1).join(" "),
        { min: 2, max: 90, step: 1 }, Math.round((100 * num) / den * 10) / 10,
        (v) => llmbook.percent(v / 100), (v) => { strength = v / 100; compute(); });
      knobPlace.append(knobShown.node);
    }
    filled = order.length;
    chosen = order.length - 1;
    tree = 0;
    build();
    compute(spec);
  }
  function build() {
    buttons = order.map((span, at) => llmbook.button("", () => { chosen = at; show(); },
      { class: "cp-cell" }));
    const n = words.length, rows = [];
    table.style.gridTemplateColumns = `repeat(${n}, minmax(0, 1fr))`;
    for (let i = 0; i < n; i++)
      for (let j = 1; j <= n; j++)
        rows.push(j <= i ? h("span", { class: "cp-void" }) : buttons[at(i, j)]);
    table.replaceChildren(...words.map((w) => h("span", { class: "cp-word", text: w })), ...rows);
    // Arrow keys move in the order of filling.
    llmbook.roving(buttons, () => words.length, (to) => { chosen = to; show(); })(chosen);
  }
  const at = (i, j) => order.findIndex(([a, b]) => a === i && b === j);

  function compute() {
    const [g] = data.sentences[+pick.input.value];
    rules = grammar(data.grammars[g]);
    result = parse();
    const top = result.chart["0," + words.length][data.start];
    found = top ? trees(result.chart, data.start, 0, words.length) : [];
    found.sort((a, b) => b.p - a.p || (brackets(a) < brackets(b) ? -1 : 1));
    show();
  }
  function show() {
    order.forEach(([i, j], k) => {
      const cell = result.chart[i + "," + j], names = k < filled ? Object.keys(cell) : [];
      const node = buttons[k], text = names.map((x) =>
        x + (cell[x].ways.length > 1 ? "·" + cell[x].ways.length : ""));
      node.replaceChildren(...text.map((x) => h("span", { text: x })));
      node.setAttribute("aria-pressed", k === chosen);
      node.setAttribute("aria-label", t("cell", { words: words.slice(i, j).join(" "),
        symbols: k < filled ? names.join(", ") || t("empty") : t("open") }));
      node.classList.toggle("cp-now", k === filled - 1 && filled < order.length);
    });
    back.disabled = filled === 0;
    next.disabled = all.disabled = filled === order.length;
    showDetail();
    showTrees();
  }
  function showDetail() {
    const [i, j] = order[chosen], cell = result.chart[i + "," + j];
    const heading = h("p", { class: "cp-name", text: words.slice(i, j).join(" ") });
    const rows = chosen >= filled ? [] : Object.values(cell).flatMap((entry) =>
      entry.ways.map(({ rule, k, p }) => {
        const [left, ...right] = rule.symbols;
        const cut = right.length === 1 ? "" : " :  " + words.slice(i, k).join(" ") + " | "
          + words.slice(k, j).join(" ");
        return h("li", null, h("span", { text: `${left} → ${right.join(" ")}${cut}` }),
          h("span", { class: "cp-p", text: power(p) }));
      }));
    const nothing = h("p", { class: "cp-quiet", text: chosen >= filled ? t("open") : t("empty") });
    const sums = chosen >= filled ? "" : Object.entries(cell).filter(([, e]) => e.ways.length > 1)
      .map(([name, e]) => t("inside", { name, p: power(e.inside) })).join("  ");
    detail.replaceChildren(heading, rows.length ? h("ul", null, ...rows) : nothing,
      h("p", { class: "cp-quiet", text: sums }));
  }
  function showTrees() {
    const ready = filled === order.length;
    const total = found.reduce((sum, one) => sum + one.p, 0);
    tree = Math.min(tree, Math.max(0, found.length - 1));
    status.textContent = ready
      ? t(found.length === 1 ? "one" : "done", { n: found.length, p: power(total) })
      : t("filled", { k: filled, n: order.length });
    list.replaceChildren(...(ready ? found : []).map((one, k) => llmbook.button(
      t("tree", { k: k + 1, share: llmbook.percent(one.p / total) }),
      () => { tree = k; showTrees(); list.children[k].focus(); }, { "aria-pressed": String(k === tree) })));
    draw(ready ? found[tree] : null);
  }
  let drawn = null;
  function draw(node) {
    drawn = node;
    const width = picture.clientWidth;
    if (!node || !width) return picture.replaceChildren();
    const n = words.length, column = Math.min(96, (width - 16) / n), leaves = [];
    const depth = (one) => one.word !== undefined ? 1 : 1 + Math.max(...one.children.map(depth));
    const row = 40, levels = depth(node), height = (levels + 1) * row;
    const font = column < 56 ? 11 : 13;
    const svg = s("svg", { width: column * n + 14, height, role: "img", "aria-label": brackets(node) });
    const word = (x, y, text, kind) => svg.append(s("text", { x, y, "text-anchor": "middle",
      class: kind, style: `font-size:${font}px`, text }));
    function place(one, level) {
      const y = level * row + 18;
      let x;
      if (one.word !== undefined) {
        x = (leaves.length + 0.5) * column;
        leaves.push(one);
        svg.append(s("line", { class: "cp-edge", x1: x, y1: y + 5, x2: x, y2: height - 22 }));
        word(x, height - 8, one.word, "cp-leaf");
      } else {
        const below = one.children.map((child) => place(child, level + 1));
        x = (below[0] + below[1]) / 2;
        for (const to of below) svg.append(s("line", { class: "cp-edge", x1: x, y1: y + 5, x2: to,
          y2: y + row - 13 }));
      }
      word(x, y, one.label, "cp-label");
      return x;
    }
    place(node, 0);
    picture.replaceChildren(svg, h("p", { class: "cp-quiet", text: power(node.p) }));
  }
  function go(to) {
    filled = Math.max(0, Math.min(order.length, to));
    if (filled) chosen = filled - 1;
    if (filled === order.length) stop();
    show();
  }
  function stop() {
    clearInterval(playing);
    playing = null;
    play.textContent = t("play");
  }
  function toggle() {
    if (playing) return stop();
    if (filled === order.length) go(0);
    play.textContent = t("pause");
    playing = setInterval(() => go(filled + 1), 500);
  }
  app.append(h("div", { class: "lb-row cp-top" }, pick.node),
    h("div", { class: "lb-row" }, back, next, play, all), status, table, detail, knobPlace, list,
    picture);
  open(0);
  llmbook.fit(picture, () => draw(drawn));
});
