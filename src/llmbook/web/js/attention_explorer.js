// Attention explorer: choose a head and a token, see where the token looks.
llmbook.register("attention_explorer", function (app, data, t) {
  const { h, s, percent } = llmbook;
  const T = data.tokens.length, L = data.layers, H = data.heads;
  const packed = llmbook.bytes(data.weights);
  const size = data.causal ? (T * (T + 1)) / 2 : T * T;
  const chosen = { layer: data.layer, head: data.head, token: data.query, seen: 0 };
  let hover = null;

  // The weight with which token q looks at token k.
  function weight(layer, head, q, k) {
    if (data.causal && k > q) return 0;
    const cell = data.causal ? (q * (q + 1)) / 2 + k : q * T + k;
    return packed[(layer * H + head) * size + cell] / 255;
  }
  const here = (q, k) => weight(chosen.layer, chosen.head, q, k);
  const focus = () => (hover === null ? chosen.token : hover);
  // The weight between the token in focus and another, in the chosen direction.
  const link = (k) => (chosen.seen ? here(k, focus()) : here(focus(), k));

  // ---- controls
  const numbers = (n) => Array.from({ length: n }, (_, i) => String(i));
  const direction = llmbook.choice(t("mode"), [t("looks"), t("seen")], 0,
    (i) => { chosen.seen = i; paint(); });
  const layerBox = llmbook.select(t("layer"), numbers(L), chosen.layer,
    (i) => { chosen.layer = i; paintHead(); });
  const headBox = llmbook.select(t("head"), numbers(H), chosen.head,
    (i) => { chosen.head = i; paintHead(); });

  // ---- the sentence
  const chips = data.tokens.map((token, i) => h("button", {
    type: "button", class: "ax-chip",
    onclick: () => choose(i), onfocus: () => choose(i),
    onpointerenter: (event) => { if (event.pointerType === "mouse") { hover = i; paint(); } },
    onpointerleave: () => { if (hover !== null) { hover = null; paint(); } },
  }, llmbook.token(token), h("span", { class: "ax-percent" })));
  const arcs = s("svg", { class: "ax-arcs", "aria-hidden": "true" });
  const sentence = h("div", { class: "ax-sentence", role: "group", "aria-label": t("sentence") },
    arcs, ...chips);
  const pointChip = llmbook.roving(chips, () => T, choose);
  const readout = h("p", { class: "ax-readout", role: "status" });

  function choose(i) {
    hover = null;
    chosen.token = i;
    pointChip(i);
    paint();
  }

  // ---- all heads, small
  const thumbs = [];
  const grid = h("div", { class: "ax-grid", role: "group", "aria-label": t("heads"),
    style: `grid-template-columns: auto repeat(${H}, minmax(24px, 64px))` });
  for (let layer = 0; layer < L; layer++) {
    grid.append(h("span", { class: "ax-layer", "aria-hidden": "true", text: layer }));
    for (let head = 0; head < H; head++) {
      const name = t("head_name", { layer, head });
      const thumb = h("button", { type: "button", class: "ax-thumb", "aria-label": name,
        title: name, onclick: () => chooseHead(layer * H + head) },
        h("canvas", { width: T, height: T, "aria-hidden": "true" }));
      thumbs.push(thumb);
      grid.append(thumb);
    }
  }
  const pointThumb = llmbook.roving(thumbs, () => H, chooseHead);
  function chooseHead(i) {
    chosen.layer = Math.floor(i / H);
    chosen.head = i % H;
    pointThumb(i);
    paintHead();
  }

  function paintThumbs() {
    const dark = llmbook.isDark(app);
    const shades = Array.from({ length: 256 }, (_, v) =>
      llmbook.sequential(v / 255, dark).fill.match(/\d+/g).map(Number));
    thumbs.forEach((thumb, i) => {
      const context = thumb.firstChild.getContext("2d");
      const image = context.createImageData(T, T);
      for (let q = 0; q < T; q++)
        for (let k = 0; k < T; k++)
          image.data.set([...shades[Math.round(255 * weight(Math.floor(i / H), i % H, q, k))],
            255], 4 * (q * T + k));
      context.putImageData(image, 0, 0);
    });
  }

  // ---- one head, large
  const title = h("p", { class: "ax-title" });
  const plot = h("div", { class: "lb-plot ax-map" });
  const legend = h("div", { class: "ax-legend", "aria-hidden": "true" });
  let map = null;

  function drawMap(width) {
    map = llmbook.heatMap(data.tokens, data.causal, width);
    map.frame = s("rect", { class: "ax-frame", rx: 3 });
    const svg = map.svg;
    svg.append(map.frame);
    const at = (event) => event.target.place || null;
    svg.addEventListener("pointermove", (event) => {
      const place = at(event);
      const next = place && event.pointerType === "mouse" ? place[chosen.seen] : null;
      if (next !== hover) { hover = next; paint(); }
    });
    svg.addEventListener("pointerleave", () => { hover = null; paint(); });
    svg.addEventListener("click", (event) => {
      const place = at(event);
      if (place) choose(place[chosen.seen]);
    });
    plot.replaceChildren(svg);
    paintMap();
    paint();
  }

  function paintMap() {
    if (!map) return;
    map.paint(here, llmbook.isDark(app));
    map.svg.setAttribute("aria-label", t("map", chosen));
  }

  // ---- painting
  function paintHead() {
    layerBox.input.value = chosen.layer;
    headBox.input.value = chosen.head;
    title.textContent = t("map_title", chosen);
    thumbs.forEach((thumb, i) => {
      const on = i === chosen.layer * H + chosen.head;
      thumb.setAttribute("aria-pressed", on);
      if (on) pointThumb(i);
    });
    paintMap();
    paint();
  }

  function paint() {
    const dark = llmbook.isDark(app), f = focus();
    chips.forEach((chip, k) => {
      const w = link(k);
      const colour = llmbook.sequential(w, dark);
      const future = data.causal && (chosen.seen ? k < f : k > f);
      chip.className = "ax-chip" + (k === f ? " ax-on" : "") + (future ? " ax-future" : "");
      chip.style.backgroundColor = future ? "" : colour.fill;
      chip.style.color = future ? "" : colour.ink;
      chip.lastChild.textContent = future ? "" : w ? percent(w) : "–";
      chip.setAttribute("aria-pressed", k === f);
    });
    paintReadout(f);
    paintArcs(f);
    if (!map) return;
    const { margin, cell, side, frame } = map;
    const along = margin + f * cell - 1.5, across = margin - 1.5;
    const box = chosen.seen ? [along, across, cell, side] : [across, along, side, cell];
    ["x", "y", "width", "height"].forEach((key, i) =>
      frame.setAttribute(key, box[i] + (i > 1 ? 3 : 0)));
    map.rows.forEach((row, i) => row.classList.toggle("ax-bold", !chosen.seen && i === f));
    map.columns.forEach((column, i) => column.classList.toggle("ax-bold", !!chosen.seen && i === f));
  }

  function paintReadout(f) {
    const found = data.tokens.map((_, k) => [k, link(k)]).filter((pair) => pair[1] > 0)
      .sort((a, b) => b[1] - a[1]);
    const name = (token) => llmbook.token(token, "b");
    const words = { head: t("head_name", chosen), verb: t(chosen.seen ? "seen_by" : "looks_at") };
    readout.replaceChildren(name(data.tokens[f]), t("readout", words));
    if (!found.length) readout.append(t("nobody"));
    found.slice(0, 4).forEach(([k, w], i) => readout.append(i ? t("separator") : "",
      k === f ? t("itself") : name(data.tokens[k]), "\u00a0" + percent(w)));
    const left = found.slice(4).reduce((sum, pair) => sum + pair[1], 0);
    if (!chosen.seen && left > 0) readout.append(`${t("separator")}${t("rest")}\u00a0${percent(left)}`);
  }

  // Curves from the token in focus to the tokens it is linked with, thicker for more.
  function paintArcs(f) {
    const frame = sentence.getBoundingClientRect();
    if (!frame.width) return;
    arcs.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    const spots = chips.map((chip) => {
      const box = chip.getBoundingClientRect();
      return { x: box.left - frame.left + box.width / 2, top: box.top - frame.top,
        bottom: box.bottom - frame.top };
    });
    const from = spots[f];
    const paths = data.tokens.map((_, k) => [k, link(k)]).filter(([k, w]) => w >= 0.03 && k !== f)
      .sort((a, b) => a[1] - b[1]).map(([k, w]) => {
        const to = spots[k];
        let d;
        if (Math.abs(to.top - from.top) < 4) {
          const rise = Math.min(26, 8 + Math.abs(to.x - from.x) / 8);
          d = `M${from.x} ${from.top}C${from.x} ${from.top - rise} ${to.x} ${to.top - rise} ${to.x} ${to.top}`;
        } else {
          const above = to.top < from.top;
          const y1 = above ? from.top : from.bottom, y2 = above ? to.bottom : to.top;
          const bend = (y2 - y1) / 2;
          d = `M${from.x} ${y1}C${from.x} ${y1 + bend} ${to.x} ${y2 - bend} ${to.x} ${y2}`;
        }
        return s("path", { d, "stroke-width": (1 + 7 * w).toFixed(1),
          "stroke-opacity": (0.25 + 0.65 * Math.sqrt(w)).toFixed(2) });
      });
    arcs.replaceChildren(...paths);
  }

  function paintLegend() {
    const dark = llmbook.isDark(app);
    const stops = Array.from({ length: 21 }, (_, i) => llmbook.sequential(i / 20, dark).fill);
    legend.replaceChildren(h("span", { text: "0" }), h("span", { class: "ax-ramp",
      style: `background: linear-gradient(90deg, ${stops.join(",")})` }),
      h("span", { text: "100\u202f%" }), h("span", { class: "ax-note", text: t("scale") }));
  }

  app.append(
    h("div", { class: "lb-row" }, direction.node, layerBox.node, headBox.node),
    sentence, readout,
    h("div", { class: "ax-panels" },
      h("div", { class: "ax-heads" }, h("p", { class: "ax-title", text: t("heads") }), grid,
        h("p", { class: "ax-note", text: t("heads_axes") })),
      h("div", { class: "ax-large" }, title, plot,
        h("p", { class: "ax-note", text: t("map_axes") }), legend)));
  const repaint = () => { paintThumbs(); paintLegend(); paintHead(); };
  pointChip(chosen.token);
  llmbook.onTheme(repaint);
  llmbook.fit(plot, drawMap);
  llmbook.fit(sentence, () => paint());
  repaint();
});
