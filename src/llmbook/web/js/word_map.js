// A map of words: pan, zoom, search, hop to neighbours, draw the arrows of a relation.
llmbook.register("word_map", function (app, data, t) {
  const { h, s } = llmbook;
  const n = data.words.length, K = data.near, number = new Map(data.words.map((w, i) => [w, i]));
  let map = data.maps[data.maps.length > 1 ? 1 : 0], chosen = data.word, relation = 0;
  let width = 320, height = 320, zoom = 1, left = 0, top = 0; // left, top: the view's corner, 0..1
  const MARGIN = 28, MOST = 16;

  const x = (i) => MARGIN + ((map.xy[2 * i] / data.reach - left) * zoom) * (width - 2 * MARGIN);
  const y = (i) => height - MARGIN - ((map.xy[2 * i + 1] / data.reach - top) * zoom) * (height - 2 * MARGIN);
  const nearOf = (i) => map.near.slice(K * i, K * i + K);

  // ---- the picture
  const plot = h("div", { class: "lb-plot wm-plot" });
  const arrows = s("g"), dots = s("g"), names = s("g");
  const svg = s("svg", { class: "wm-map", tabindex: "0", role: "group", "aria-label": t("map") },
    s("rect", { class: "wm-sea", width: "100%", height: "100%" }), dots, arrows, names);
  plot.append(svg);

  function paint() {
    const near = new Set(nearOf(chosen));
    const pairs = relation ? data.relations[relation - 1].pairs : [];
    const ends = new Set(pairs);
    const state = (i) => (i === chosen ? "wm-chosen" : near.has(i) ? "wm-near" : ends.has(i) ? "wm-end" : "");
    const inside = (i) => x(i) > -4 && x(i) < width + 4 && y(i) > -4 && y(i) < height + 4;
    dots.replaceChildren(); names.replaceChildren(); arrows.replaceChildren();
    const order = [...new Set([chosen, ...pairs, ...near, ...data.words.keys()])].filter(inside);
    const taken = [], size = 12.5;
    for (const i of order) {
      dots.append(s("circle", { class: "wm-dot " + state(i), cx: x(i), cy: y(i), r: state(i) ? 4 : 2.5, "data-word": i }));
      const wide = data.words[i].length * size * 0.56 + 4;
      const at = Math.min(Math.max(x(i), wide / 2 + 1), width - wide / 2 - 1);
      const up = y(i) < size + 8 ? size + 8 : -6;
      const box = [at - wide / 2, y(i) + up - size, at + wide / 2, y(i) + up + 3];
      const free = taken.every((b) => box[2] < b[0] || b[2] < box[0] || box[3] < b[1] || b[3] < box[1]);
      if (!free && i !== chosen) continue;
      taken.push(box);
      names.append(s("text", { class: "wm-name " + state(i), x: at, y: y(i) + up, "text-anchor": "middle",
        text: data.words[i], "data-word": i }));
    }
    for (let k = 0; k < pairs.length; k += 2) {
      const [x1, y1, x2, y2] = [x(pairs[k]), y(pairs[k]), x(pairs[k + 1]), y(pairs[k + 1])];
      const turn = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI;
      arrows.append(s("line", { class: "wm-arrow", x1, y1, x2, y2 }),
        s("path", { class: "wm-head", d: "M0 0L-9 -4L-9 4z", transform: `translate(${x2} ${y2}) rotate(${turn})` }));
    }
    const cosines = map.cosine.slice(K * chosen, K * chosen + K);
    list.replaceChildren(...nearOf(chosen).map((i, k) => h("li", null,
      llmbook.button(data.words[i], () => choose(i, true), { class: "lb-button wm-hop" }),
      h("span", { class: "lb-bar-track", "aria-hidden": "true" },
        h("span", { class: "lb-bar-fill", style: `width:${Math.max(0, cosines[k])}%` })),
      h("span", { class: "wm-number", text: llmbook.signed((cosines[k] / 100).toFixed(2)) }))));
    title.textContent = t("near", { word: data.words[chosen], model: map.name });
  }

  // ---- moving
  function look(newZoom, newLeft, newTop) {
    zoom = Math.min(MOST, Math.max(1, newZoom));
    const most = 1 - 1 / zoom;
    left = Math.min(most, Math.max(0, newLeft));
    top = Math.min(most, Math.max(0, newTop));
    for (const [b, off] of [[closer, zoom >= MOST], [farther, zoom <= 1]]) b.setAttribute("aria-disabled", off);
    paint();
  }
  function zoomAt(factor, px, py) { // the point (px, py) of the view, 0..1, stays where it is
    const to = Math.min(MOST, Math.max(1, zoom * factor));
    look(to, left + px / zoom - px / to, top + py / zoom - py / to);
  }
  function choose(i, centre) {
    chosen = i;
    status.textContent = t("chosen", { word: data.words[i], near: nearOf(i).slice(0, 3).map((j) => data.words[j]).join(", ") });
    if (centre && zoom > 1)
      look(zoom, map.xy[2 * i] / data.reach - 0.5 / zoom, map.xy[2 * i + 1] / data.reach - 0.5 / zoom);
    else paint();
  }
  svg.addEventListener("keydown", (event) => {
    const step = 0.15 / zoom;
    const go = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    if (go) look(zoom, left + go[0], top + go[1]);
    else if (event.key === "+" || event.key === "=") zoomAt(1.5, 0.5, 0.5);
    else if (event.key === "-") zoomAt(1 / 1.5, 0.5, 0.5);
    else if (event.key === "Home") look(1, 0, 0);
    else return;
    event.preventDefault();
  });
  let from = null, moved = false;
  svg.addEventListener("pointerdown", (event) => {
    from = [event.clientX, event.clientY, left, top];
    moved = false;
  });
  svg.addEventListener("pointermove", (event) => {
    if (!from || !event.buttons) return;
    const dx = event.clientX - from[0], dy = event.clientY - from[1];
    if (!moved && Math.hypot(dx, dy) < 5) return;
    moved = true;
    look(zoom, from[2] - dx / zoom / (width - 2 * MARGIN), from[3] + dy / zoom / (height - 2 * MARGIN));
  });
  svg.addEventListener("click", (event) => {
    if (moved) return;
    const box = svg.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
    const named = event.target.dataset && event.target.dataset.word;
    let best = named === undefined ? -1 : +named, least = 24;
    if (best < 0) for (let i = 0; i < n; i++) {
      const distance = Math.hypot(x(i) - px, y(i) - py);
      if (distance < least) [best, least] = [i, distance];
    }
    if (best >= 0) choose(best, false);
  });
  svg.addEventListener("wheel", (event) => { // only where the map has the focus: the page scrolls on
    if (document.activeElement !== svg) return;
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    zoomAt(event.deltaY < 0 ? 1.25 : 0.8, (event.clientX - box.left) / width, 1 - (event.clientY - box.top) / height);
  }, { passive: false });

  // ---- controls
  const models = llmbook.choice(t("model"), data.maps.map((m) => m.name), data.maps.indexOf(map), (k) => {
    map = data.maps[k];
    choose(chosen, true);
  });
  const field = llmbook.uid(), all = llmbook.uid();
  const input = h("input", { id: field, class: "wm-input", type: "text", list: all, autocomplete: "off",
    autocapitalize: "off", spellcheck: "false" });
  const form = h("form", { class: "wm-search", onsubmit: (event) => {
    event.preventDefault();
    const i = number.get(input.value.trim().toLowerCase());
    if (i === undefined) status.textContent = t("unknown", { word: input.value.trim(), n });
    else choose(i, true);
  } }, h("label", { for: field }, t("search")), input,
    h("button", { type: "submit", class: "lb-button" }, t("find")),
    h("datalist", { id: all }, ...[...data.words].sort().map((w) => h("option", { value: w }))));
  const closer = llmbook.button("+", () => zoomAt(1.5, 0.5, 0.5), { "aria-label": t("closer") });
  const farther = llmbook.button("\u2212", () => zoomAt(1 / 1.5, 0.5, 0.5), { "aria-label": t("farther") });
  const whole = llmbook.button(t("whole"), () => look(1, 0, 0));
  const lines = llmbook.select(t("relation"), [t("none"), ...data.relations.map((r) => r.name)], 0,
    (k) => { relation = k; paint(); });
  const status = h("p", { class: "wm-status", role: "status" });
  const title = h("p", { class: "wm-title" });
  const list = h("ol", { class: "wm-list" });
  app.append(models.node, h("div", { class: "wm-row" }, form, data.relations.length ? lines.node : null),
    h("div", { class: "wm-body" }, h("div", { class: "wm-left" }, plot,
      h("div", { class: "wm-row" }, closer, farther, whole), h("p", { class: "wm-note", text: t("keys") })),
    h("div", { class: "wm-side" }, title, list)), status);
  llmbook.fit(plot, (w) => {
    width = w;
    height = Math.round(Math.min(460, Math.max(300, w * 0.85)));
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    look(zoom, left, top);
  });
});
