// Time machine: slide through the checkpoints of a training run.
llmbook.register("time_machine", function (app, data, t) {
  const { h, s } = llmbook;
  const records = data.records, n = records.length, T = data.sentence.length;
  const maps = records.map((record) => llmbook.bytes(record.attention));
  const whole = (v) => v.toLocaleString("en").replace(/,/g, "\u2009");
  const loss = (v) => (v / 1000).toFixed(2);
  let at = n - 1, timer = null;

  // ---- controls
  const slider = llmbook.slider(t("slider"), { min: 0, max: n - 1, step: 1 }, at,
    (i) => whole(records[i].step), (i) => { stop(); go(i); });
  const play = llmbook.button(t("play"), () => (timer ? stop() : start()),
    { class: "lb-button lb-primary" });
  const back = llmbook.button("◀ " + t("previous"), () => { stop(); go(at - 1); });
  const next = llmbook.button(t("next") + " ▶", () => { stop(); go(at + 1); });
  const status = h("p", { class: "tm-status", role: "status" });
  function start() {
    if (at === n - 1) go(0);
    play.textContent = t("pause");
    timer = setInterval(() => (at < n - 1 ? go(at + 1) : stop()), 1300);
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = t("play");
  }

  // ---- the loss
  const held = records.some((record) => record.val >= 0);
  const curve = data.curve.length ? data.curve : records.map((r) => [r.step, r.train]);
  const series = [{ kind: "a", points: curve.map((p) => [p[0], p[1] / 1000]) }];
  if (held) series.push({ kind: "b", points: records.filter((r) => r.val >= 0)
    .map((r) => [r.step, r.val / 1000]) });
  const chart = llmbook.lines(t("loss_alt"), series, { x: t("step_axis"), y: t("loss_axis"),
    log: records[n - 1].step > 30 * (records[0].step + 1) || records[0].step === 0 });
  const key = (kind, text) => h("span", { class: "tm-key tm-" + kind }, text);
  const keys = h("p", { class: "tm-keys" }, key("a", t("train")), held ? key("b", t("val")) : null);

  // ---- the samples: those of all checkpoints lie upon each other, and one is seen, so that
  // nothing below moves when a longer one comes
  const samples = data.prompts.map((prompt, k) => h("li", null, ...records.map((record) =>
    h("p", { class: "tm-sample" }, h("b", { text: prompt }), record.samples[k]))));

  // ---- one head
  const plot = h("div", { class: "lb-plot" });
  let map = null;
  llmbook.fit(plot, (width) => {
    map = llmbook.heatMap(data.sentence, data.causal, Math.min(width, 420));
    plot.replaceChildren(map.svg);
    paintMap();
  });
  function paintMap() {
    if (!map) return;
    const row = (q) => (data.causal ? (q * (q + 1)) / 2 : q * T);
    map.paint((q, k) => maps[at][row(q) + k] / 255, llmbook.isDark(app));
    map.svg.setAttribute("aria-label", t("attention_alt", { step: records[at].step }));
  }

  // ---- the words: all dots first, then all labels, so that no dot covers a label
  const field = h("div", { class: "lb-plot tm-field" });
  let words = [], size = null, lit = -1;
  llmbook.fit(field, (width) => {
    size = [width, Math.round(Math.min(480, Math.max(340, width * 0.64)))];
    const svg = s("svg", { width: size[0], height: size[1], role: "img" });
    words = data.words.map((word, i) => ({
      dot: s("circle", { class: "tm-dot tm-g" + data.groups[i], r: 4 }, s("title", { text: word })),
      label: s("text", { class: "tm-label", text: word }), length: word.length * 6.6 + 2 }));
    svg.append(...words.map((word) => word.dot), ...words.map((word) => word.label));
    field.replaceChildren(svg);
    paintWords();
  });
  // A label for which there is no room is left out; those of a chosen group go first.
  function paintWords() {
    if (!size) return;
    const points = records[at].points;
    const order = words.map((_, i) => i).sort((a, b) =>
      (data.groups[b] === lit) - (data.groups[a] === lit));
    const items = order.map((i) => ({ r: 4, length: words[i].length,
      x: 14 + (points[2 * i] / 1000) * (size[0] - 28),
      y: 14 + (1 - points[2 * i + 1] / 1000) * (size[1] - 28) }));
    const move = (x, y) => `translate(${x.toFixed(1)}px,${y.toFixed(1)}px)`;
    llmbook.arrange(items, size).forEach((place, k) => {
      const { dot, label } = words[order[k]], { x, y } = items[k];
      const dim = lit >= 0 && data.groups[order[k]] !== lit;
      dot.style.transform = move(x, y);
      dot.classList.toggle("tm-dim", dim);
      label.setAttribute("text-anchor", place ? place.anchor : "start");
      label.style.transform = place ? move(place.x, place.y) : move(x + 6, y + 4);
      label.style.opacity = !place ? 0 : dim ? 0.35 : 1;
    });
    field.firstChild.setAttribute("aria-label",
      t("map_alt", { n: data.words.length, step: records[at].step }));
  }
  const legend = data.group_names.map((name, g) => llmbook.button(name, () => {
    lit = lit === g ? -1 : g;
    legend.forEach((node, k) => node.setAttribute("aria-pressed", k === lit));
    paintWords();
  }, { class: "tm-group tm-g" + g, "aria-pressed": "false" }));

  function go(i) {
    at = Math.min(n - 1, Math.max(0, i));
    const record = records[at];
    slider.set(at);
    back.disabled = at === 0;
    next.disabled = at === n - 1;
    chart.marker(record.step, [record.train / 1000, record.val < 0 ? null : record.val / 1000]);
    samples.forEach((one) => [...one.children].forEach((text, k) =>
      text.classList.toggle("tm-seen", k === at)));
    status.textContent = t(record.val < 0 ? "now_train" : "now", { step: whole(record.step),
      tokens: whole(record.tokens), train: loss(record.train), val: loss(record.val) });
    paintMap();
    paintWords();
  }

  const part = (label, ...content) => h("div", { class: "tm-part" },
    h("p", { class: "tm-title", text: label }), ...content);
  app.append(
    h("div", { class: "tm-controls" }, slider.node, h("div", { class: "lb-row" }, back, play, next)),
    status,
    h("div", { class: "tm-panels" }, part(t("loss"), chart.node, keys), part(t("attention"), plot)),
    part(t("samples"), h("ul", { class: "tm-samples" }, ...samples)),
    part(t("map"), field, h("div", { class: "lb-row tm-legend" }, ...legend)));
  llmbook.onTheme(paintMap);
  go(n - 1);
});
