// FlashAttention's tiles, step by step: what is read, what fast memory holds, what is forgotten.
llmbook.register("tiling_player", function (app, data, t) {
  const { h, signed } = llmbook;
  const [q, k, v] = ["q", "k", "v"].map((name) => data[name].map((row) => row.map((x) => x / 100)));
  const T = q.length, S = k.length, D = q[0].length;
  const tile = data.tile.slice();
  let events = [], at = 0;
  const three = (x) => x === -Infinity ? "\u2212∞" : signed((Math.abs(x) < 5e-4 ? 0 : x).toFixed(3));
  const two = (x) => x === -Infinity ? "\u2212∞" : signed((Math.abs(x) < 5e-3 ? 0 : x).toFixed(2));
  const count = (numbers) => (numbers * data.bytes).toLocaleString("en");
  const upTo = (n) => Array.from({ length: n }, (_, i) => i);
  const span = (list) => list.length > 1 ? `${list[0]}–${list[list.length - 1]}` : `${list[0]}`;
  const hidden = (i, j) => data.causal && j > i;
  const score = (i, j) => hidden(i, j) ? -Infinity
    : q[i].reduce((sum, x, d) => sum + x * k[j][d], 0) / Math.sqrt(D);
  const mix = (weights, keys) => upTo(D).map((d) =>
    keys.reduce((sum, j, n) => sum + weights[n] * v[j][d], 0));

  // The softmax of a whole row, for comparison.
  function inOneGo(i) {
    const row = upTo(S).map((j) => score(i, j)), top = Math.max(...row);
    const powers = row.map((s) => Math.exp(s - top)), all = powers.reduce((a, b) => a + b);
    return mix(powers.map((p) => p / all), upTo(S));
  }

  // Everything that happens, in order, with the state after it.
  function script() {
    const list = [], done = [];
    let moved = 0;
    for (let top = 0; top < T; top += tile[0]) {
      const rows = upTo(T).slice(top, top + tile[0]), n = rows.length, first = rows[0];
      let m = rows.map(() => -Infinity), l = rows.map(() => 0), acc = rows.map(() => Array(D).fill(0));
      const note = (kind, words, more) => list.push({ kind, rows, m, l, acc, moved, old: null,
        factor: null, keys: [], cells: null, done: done.slice(), text: t(kind, words), ...more });
      moved += n * D;
      note("begin", { rows: span(rows) });
      for (let left = 0; left < S; left += tile[1]) {
        const keys = upTo(S).slice(left, left + tile[1]);
        if (hidden(rows[n - 1], left)) continue;
        const scores = rows.map((i) => keys.map((j) => score(i, j))), old = m;
        moved += 2 * keys.length * D;
        note("scores", { keys: span(keys), d: D }, { keys, cells: scores });
        m = rows.map((_, r) => Math.max(old[r], ...scores[r]));
        const factor = rows.map((_, r) => Math.exp(old[r] - m[r]));
        note("maximum", { i: first, old: three(old[0]), here: three(Math.max(...scores[0])),
          m: three(m[0]), factor: three(factor[0]) }, { keys, cells: scores, old, factor });
        const weights = scores.map((row, r) => row.map((s) => Math.exp(s - m[r])));
        const added = weights.map((row) => row.reduce((a, b) => a + b)), before = l[0];
        l = l.map((x, r) => x * factor[r] + added[r]);
        acc = acc.map((row, r) => mix(weights[r], keys).map((x, d) => row[d] * factor[r] + x));
        note("sum", { i: first, before: three(before), factor: three(factor[0]),
          added: three(added[0]), l: three(l[0]) }, { keys, cells: weights, old, factor });
      }
      moved += n * (D + 1);
      rows.forEach((i, r) => { done[i] = acc[r].map((x) => x / l[r]); });
      note("end", { rows: span(rows), i: first, out: done[first].map(three).join(", "),
        whole: inOneGo(first).map(three).join(", ") });
    }
    return list;
  }

  // ---- what is shown
  const says = h("p", { class: "tp-says", role: "status" });
  const counter = h("span", { class: "tp-count" });
  const step = (key, to, more) => llmbook.button(t(key), () => go(to()), more);
  const nextTile = () => {
    const later = events.findIndex((e, i) => i > at && (e.kind === "sum" || e.kind === "end"));
    return later < 0 ? events.length - 1 : later;
  };
  const again = step("again", () => 0), back = step("back", () => at - 1);
  const next = step("next", () => at + 1, { class: "lb-button lb-primary" });
  const skip = step("tile", nextTile), last = step("last", () => events.length - 1);
  const forwards = [next, skip, last], backwards = [back, again];
  const table = (name) => h("table", { class: "tp-table " + name });
  const matrix = table("tp-matrix"), holds = table("tp-holds"), running = table("tp-running");
  const output = table("tp-output");
  const fast = h("p", { class: "tp-title" });
  const bars = llmbook.bars(t("bars"));
  const cell = (text, kind) => h("td", { class: kind, text });
  const head = (text, scope, kind) => h("th", { scope, text, class: kind });
  const build = (node, top, rows) => node.replaceChildren(
    h("thead", null, h("tr", null, h("td"), ...top)), h("tbody", null, ...rows));

  function drawMatrix(now) {
    const past = now.keys.length ? now.keys[0] : now.kind === "end" ? S : 0;
    build(matrix, upTo(S).map((j) => head("k" + j, "col", now.keys.includes(j) ? "tp-on" : null)),
      upTo(T).map((i) => {
        const r = now.rows.indexOf(i);
        return h("tr", null, head("q" + i, "row", r < 0 ? null : "tp-on"), ...upTo(S).map((j) => {
          const c = now.keys.indexOf(j);
          if (r >= 0 && c >= 0) return cell(two(now.cells[r][c]), "tp-now tp-" + now.kind);
          if (hidden(i, j)) return cell("", "tp-masked");
          return i < now.rows[0] || (r >= 0 && j < past) ? cell("·", "tp-past") : cell("", "tp-cell");
        }));
      }));
  }
  function drawMemory(now) {
    const n = now.rows.length, c = now.keys.length;
    fast.textContent = t("fast", { n: n * (2 * D + 2) + c * (2 * D + n),
      bytes: count(n * (2 * D + 2) + c * (2 * D + n)) });
    const line = (name, row, kind) => h("tr", { class: kind }, head(name, "row"),
      ...row.map((x) => cell(two(x))));
    build(holds, upTo(D).map((d) => head(String(d), "col")), [
      ...now.rows.map((i) => line("q" + i, q[i])),
      ...now.keys.map((j) => line("k" + j, k[j], "tp-key")),
      ...now.keys.map((j) => line("v" + j, v[j], "tp-value"))]);
    const state = (key, row, kind) => h("tr", { class: kind }, head(key, "row"),
      ...row.map((x) => cell(three(x))));
    const blank = now.rows.map(() => NaN);
    const rows = [["row_old", now.old, "maximum"], ["row_m", now.m, "maximum"],
      ["row_factor", now.factor, "maximum"], ["row_l", now.l, "sum"]].map(([key, row, kind]) =>
      state(t(key), row || blank, now.kind === kind ? "tp-" + kind : null));
    upTo(D).forEach((d) => rows.push(state(t("row_acc", { d }), now.acc.map((x) => x[d]),
      now.kind === "sum" ? "tp-sum" : null)));
    rows.forEach((row) => row.querySelectorAll("td").forEach((x) => {
      if (x.textContent === "NaN") x.textContent = "–";
    }));
    build(running, now.rows.map((i) => head("q" + i, "col")), rows);
  }
  function drawOutput(now) {
    build(output, [...upTo(D).map((d) => head(String(d), "col")), head(t("difference"), "col")],
      upTo(T).map((i) => {
        const row = now.done[i], whole = row && inOneGo(i);
        const gap = row && Math.max(...row.map((x, d) => Math.abs(x - whole[d])));
        return h("tr", null, head("q" + i, "row"), ...upTo(D).map((d) => cell(row ? three(row[d]) : "", "tp-cell")),
          cell(row ? gap.toFixed(9) : "", "tp-cell"));
      }));
    const all = events[events.length - 1].moved, naive = 2 * D * (T + S) + 4 * T * S;
    const most = Math.max(all, naive);
    bars.update([["so_far", now.moved], ["tiled", all], ["naive", naive]].map(([key, n]) =>
      ({ label: t(key), value: n / most, text: count(n), state: key === "so_far" ? "lb-chosen" : "" })));
  }
  function draw() {
    const now = events[at];
    drawMatrix(now);
    drawMemory(now);
    drawOutput(now);
    says.className = "tp-says tp-" + now.kind;
    if (says.textContent !== now.text) says.textContent = now.text;
    counter.textContent = t("count", { i: at, n: events.length - 1 });
    backwards.forEach((b) => { b.disabled = at === 0; });
    forwards.forEach((b) => { b.disabled = at === events.length - 1; });
  }
  function go(to) {
    const focused = document.activeElement;
    at = Math.max(0, Math.min(events.length - 1, to));
    draw();
    if (forwards.includes(focused) && focused.disabled) back.focus();
    if (backwards.includes(focused) && focused.disabled) next.focus();
  }
  function restart() {
    events = script();
    go(0);
  }
  const sizes = [[t("rows"), T, 0], [t("columns"), S, 1]].map(([label, n, side]) =>
    llmbook.select(label, upTo(n).map((i) => String(i + 1)), tile[side] - 1, (i) => {
      tile[side] = i + 1;
      restart();
    }).node);
  app.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move || event.target.tagName === "SELECT") return;
    event.preventDefault();
    go(at + move);
  });
  const title = (key) => h("p", { class: "tp-title", text: t(key) });
  app.append(h("div", { class: "lb-row" }, ...sizes),
    h("div", { class: "lb-row tp-buttons" }, again, back, next, skip, last, counter), says,
    h("div", { class: "tp-panels" },
      h("div", null, title("matrix"), matrix, h("p", { class: "tp-note", text: t("gone") })),
      h("div", { class: "tp-fast" }, fast, h("div", { class: "tp-pair" }, running, holds)),
      h("div", null, title("output"), output)),
    h("p", { class: "tp-title tp-moved", text: t("bars") }), h("div", { class: "tp-bars" }, bars.node));
  restart();
});
