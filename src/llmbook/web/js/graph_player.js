// A computation graph: step forwards through the values, backwards through the derivatives.
llmbook.register("graph_player", function (app, data, t) {
  const { h, s, signed } = llmbook;
  const SIGNS = { add: "+", mul: "×", tanh: "tanh" };
  const show = (v) => signed((Math.abs(v) < 0.0005 ? 0 : v).toFixed(3));
  let which = 0, at = 0, events = [], width = 600;

  // Everything that happens, in order, with the state after it.
  function script(graph) {
    const n = graph.leaves.length, total = graph.names.length;
    const values = graph.leaves.map((v) => v / 1000), slopes = Array(total).fill(null);
    const list = [];
    const note = (kind, focus, from, text) => list.push({ kind, focus, from, text,
      values: values.slice(), slopes: slopes.slice() });
    note("start", -1, [], t("begin"));
    graph.steps.forEach(([kind, ...parents], k) => {
      const x = parents.map((p) => values[p]), i = n + k;
      values[i] = kind === "add" ? x[0] + x[1] : kind === "mul" ? x[0] * x[1] : Math.tanh(x[0]);
      const name = (p) => graph.names[p];
      const formula = kind === "tanh" ? `tanh(${show(x[0])})` : `${show(x[0])} ${SIGNS[kind]} ${show(x[1])}`;
      note("forward", i, parents, t("forward", { name: name(i), formula, value: show(values[i]) }));
    });
    const last = total - 1, final = graph.names[last];
    slopes.fill(0);
    slopes[last] = 1;
    note("backward", last, [], t("seed", { last: final }));
    for (let k = graph.steps.length - 1; k >= 0; k--) {
      const [kind, ...parents] = graph.steps[k], i = n + k;
      const local = kind === "add" ? [1, 1] : kind === "tanh" ? [1 - values[i] ** 2]
        : [values[parents[1]], values[parents[0]]];
      parents.forEach((p, j) => {
        const before = slopes[p];
        slopes[p] += slopes[i] * local[j];
        note("backward", p, [i], t("backward", { name: graph.names[i], parent: graph.names[p],
          up: show(slopes[i]), local: show(local[j]), add: show(slopes[i] * local[j]),
          before: show(before), after: show(slopes[p]) }));
      });
    }
    note("end", -1, [], t("end", { last: final }));
    return list;
  }

  const plot = h("div", { class: "lb-plot gp-plot" });
  const says = h("p", { class: "gp-says", role: "status" });
  const counter = h("span", { class: "gp-count" });
  const back = llmbook.button(t("back"), () => go(at - 1));
  const next = llmbook.button(t("next"), () => go(at + 1), { class: "lb-button lb-primary" });
  const end = llmbook.button(t("last"), () => go(events.length - 1));
  const again = llmbook.button(t("again"), () => go(0));
  const body = h("tbody");
  const table = h("table", { class: "gp-table" }, h("thead", null, h("tr", null,
    ...["number", "value", "slope"].map((key) => h("th", { scope: "col", text: t(key) })))), body);

  function draw() {
    const graph = data.graphs[which], now = events[at], n = graph.leaves.length;
    const columns = Math.max(...graph.columns), rows = Math.max(...graph.rows);
    const r = width < 480 ? 22 : 30, gap = width < 480 ? 62 : 76;
    const wide = Math.min(width, 640);
    // Too many columns for the width: draw from top to bottom instead.
    const upright = (wide - 2 * r - 12) / Math.max(1, columns) < 2 * r + 14;
    const tall = 2 * r + 24 + (upright ? columns * (gap + 2) : (rows * gap) / 2);
    const along = (i) => r + 6 + (graph.columns[i] * (wide - 2 * r - 12)) / Math.max(1, columns);
    const across = (i) => wide / 2 + ((graph.rows[i] - rows / 2) * Math.min(110, (wide - 2 * r - 60) / Math.max(1, rows / 2))) / 2;
    const x = upright ? across : along;
    const y = (i) => r + 12 + (upright ? graph.columns[i] * (gap + 2) : (graph.rows[i] * gap) / 2);
    const svg = s("svg", { width: wide, height: tall, role: "img", "aria-label": t("picture", { title: graph.title }) });
    graph.steps.forEach(([, ...parents], k) => parents.forEach((p, j) => {
      const i = n + k, same = parents.length === 2 && parents[0] === parents[1];
      const lit = now.kind === "forward" ? now.focus === i
        : now.kind === "backward" && now.focus === p && now.from[0] === i;
      const far = graph.columns[i] - graph.columns[p] > 1;
      const side = upright ? x(p) < x(i) || (x(p) === x(i) && k % 2) : y(p) <= y(i);
      const bend = (same ? (j ? 16 : -16) : 0) + (far ? (side ? -1 : 1) * (upright ? 62 : 34) : 0);
      const mx = (x(p) + x(i)) / 2 + (upright ? bend : 0), my = (y(p) + y(i)) / 2 + (upright ? 0 : bend);
      svg.append(s("path", { class: "gp-edge" + (lit ? " gp-" + now.kind : ""),
        d: `M${x(p)} ${y(p)}Q${mx} ${my} ${x(i)} ${y(i)}` }));
    }));
    graph.names.forEach((name, i) => {
      const known = now.values[i] !== undefined, slope = now.slopes[i];
      const sign = i < n ? "" : SIGNS[graph.steps[i - n][0]];
      const lit = now.focus === i;
      svg.append(s("g", { class: "gp-node" + (lit ? " gp-on gp-" + now.kind : "") + (known ? "" : " gp-later"),
        transform: `translate(${x(i)} ${y(i)})` },
      s("circle", { r }),
      s("text", { class: "gp-name", y: width < 480 ? -6 : -9, "text-anchor": "middle", text: sign ? `${name} ${sign}` : name }),
      s("text", { class: "gp-value", y: width < 480 ? 6 : 6, "text-anchor": "middle", text: known ? show(now.values[i]) : "?" }),
      s("text", { class: "gp-slope", y: width < 480 ? 17 : 21, "text-anchor": "middle", text: slope === null ? "" : show(slope) })));
    });
    plot.replaceChildren(svg);
    body.replaceChildren(...graph.names.map((name, i) => h("tr", { class: now.focus === i ? "gp-on" : null },
      h("th", { scope: "row", text: name }),
      h("td", { text: now.values[i] === undefined ? "?" : show(now.values[i]) }),
      h("td", { text: now.slopes[i] === null ? "–" : show(now.slopes[i]) }))));
    says.className = "gp-says gp-" + now.kind;
    if (says.textContent !== now.text) says.textContent = now.text;
    counter.textContent = t("count", { i: at, n: events.length - 1 });
    back.disabled = again.disabled = at === 0;
    next.disabled = end.disabled = at === events.length - 1;
  }
  function go(to) {
    const focused = document.activeElement;
    at = Math.max(0, Math.min(events.length - 1, to));
    draw();
    if (focused === next && next.disabled) back.focus();
    if ((focused === back || focused === again) && back.disabled) next.focus();
    if (focused === end && end.disabled) again.focus();
  }
  function choose(i) {
    which = i;
    events = script(data.graphs[i]);
    at = 0;
    draw();
  }
  const picker = llmbook.select(t("expression"), data.graphs.map((g) => g.title), 0, choose);
  app.addEventListener("keydown", (event) => {
    if (event.target.tagName === "SELECT") return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    go(at + step);
  });
  app.append(
    h("div", { class: "lb-row" }, data.graphs.length > 1 ? picker.node : null),
    h("div", { class: "lb-row gp-buttons" }, again, back, next, end, counter),
    says, plot,
    h("p", { class: "gp-key" }, h("span", { class: "gp-value", text: t("value") }), " · ",
      h("span", { class: "gp-slope", text: t("slope_of") })),
    h("details", { class: "gp-details" }, h("summary", { text: t("as_table") }), table));
  choose(0);
  llmbook.fit(plot, (w) => { width = w; draw(); });
});
