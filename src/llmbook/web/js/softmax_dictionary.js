// A soft dictionary: drag the query, change the sharpness, watch the weights and the mixed value.
llmbook.register("softmax_dictionary", function (app, data, t) {
  const { h, s, percent } = llmbook;
  const n = data.names.length, reach = data.reach / 1000;
  const keys = data.names.map((_, i) => [data.keys[2 * i] / 1000, data.keys[2 * i + 1] / 1000]);
  const values = data.values.map((v) => v / 1000);
  const query = data.query.map((v) => v / 1000);
  let beta = data.sharpness / 1000;
  const low = Math.min(...values), high = Math.max(...values);
  const digits = high - low < 20 ? 2 : 1;
  const withUnit = (v) => `${llmbook.signed(v.toFixed(digits))}${data.unit ? "\u202f" + data.unit : ""}`;
  const plain = (v) => `${llmbook.signed(+v.toFixed(3))}${data.unit ? "\u202f" + data.unit : ""}`;

  function look() {
    const scores = keys.map((k) => k[0] * query[0] + k[1] * query[1]);
    const top = Math.max(...scores);
    const powers = scores.map((x) => Math.exp(beta * (x - top)));
    const total = powers.reduce((a, b) => a + b, 0);
    const weights = powers.map((p) => p / total);
    const mixed = weights.reduce((sum, w, i) => sum + w * values[i], 0);
    return { scores, weights, mixed, best: scores.indexOf(top) };
  }

  // ---- the plane
  const plot = h("div", { class: "lb-plot sd-plane" });
  const knob = s("g", { class: "sd-knob", tabindex: "0", role: "slider", "aria-label": t("query"),
    "aria-valuemin": -100, "aria-valuemax": 100, "aria-roledescription": "2-D" },
    s("circle", { class: "sd-halo", r: 20 }), s("circle", { class: "sd-dot", r: 9 }),
    s("text", { y: 4.5, "text-anchor": "middle", text: "q" }));
  const links = [], dots = [], tags = [];
  let side = 300;
  const px = (p) => [(side / 2) * (1 + p[0] / reach), (side / 2) * (1 - p[1] / reach)];

  function drawPlane(width) {
    side = Math.min(width, 380);
    links.length = dots.length = tags.length = 0;
    const svg = s("svg", { width: side, height: side, role: "group", "aria-label": t("plane") });
    const half = side / 2;
    svg.append(s("path", { class: "lb-rule", d: `M0 ${half}H${side}M${half} 0V${side}` }));
    const arrow = s("line", { class: "sd-arrow", x1: half, y1: half });
    keys.forEach((key, i) => {
      const [x, y] = px(key);
      links.push(s("line", { class: "sd-link", x1: x, y1: y }));
      dots.push(s("circle", { class: "sd-key", cx: x, cy: y }));
      tags.push(s("text", { class: "sd-name", text: data.names[i] },
        s("tspan", { class: "sd-worth", dx: 5, text: plain(values[i]) })));
    });
    svg.append(arrow, ...links, ...dots, ...tags, knob);
    svg.arrow = arrow;
    const move = (event) => {
      const box = svg.getBoundingClientRect();
      setQuery(((event.clientX - box.left) / half - 1) * reach,
        (1 - (event.clientY - box.top) / half) * reach);
    };
    svg.addEventListener("pointerdown", (event) => {
      svg.setPointerCapture(event.pointerId);
      knob.focus({ preventScroll: true });
      move(event);
    });
    svg.addEventListener("pointermove", (event) => {
      if (svg.hasPointerCapture(event.pointerId)) move(event);
    });
    plot.replaceChildren(svg);
    paint();
  }

  function setQuery(x, y) {
    const limit = (v) => Math.min(reach, Math.max(-reach, Math.round(v * 1000) / 1000));
    query[0] = limit(x);
    query[1] = limit(y);
    paint();
  }
  knob.addEventListener("keydown", (event) => {
    const step = (event.shiftKey ? 0.2 : 0.05) * reach;
    const go = { ArrowRight: [step, 0], ArrowLeft: [-step, 0], ArrowUp: [0, step],
      ArrowDown: [0, -step] }[event.key];
    if (!go) return;
    event.preventDefault();
    setQuery(query[0] + go[0], query[1] + go[1]);
  });

  // ---- the table
  const cells = data.names.map((name, i) => {
    const row = { score: h("td", { class: "sd-number" }), text: h("span"),
      fill: h("span", { class: "lb-bar-fill" }) };
    row.node = h("tr", null, h("th", { scope: "row", text: name }), row.score,
      h("td", null, h("div", { class: "sd-weight" },
        h("span", { class: "lb-bar-track" }, row.fill), row.text)),
      h("td", { class: "sd-number", text: plain(values[i]) }));
    return row;
  });
  const head = ["key", "score", "weight", "value"].map((key) => h("th", { scope: "col", text: t(key) }));
  const table = h("table", { class: "sd-table" }, h("thead", null, h("tr", null, ...head)),
    h("tbody", null, ...cells.map((row) => row.node)));

  // ---- the number line of values
  const scale = h("div", { class: "lb-plot sd-scale" });
  let marks = null;
  function drawScale(width) {
    const at = (v) => 16 + ((v - low) / (high - low || 1)) * (width - 32);
    const svg = s("svg", { width, height: 52, "aria-hidden": "true" });
    svg.append(s("line", { class: "sd-axis", x1: 16, x2: width - 16, y1: 22, y2: 22 }));
    values.forEach((v) => svg.append(s("line", { class: "sd-tick", x1: at(v), x2: at(v), y1: 15, y2: 29 })));
    for (const v of new Set([low, high]))
      svg.append(s("text", { x: at(v), y: 47, "text-anchor": v === low ? "start" : "end", dx: v === low ? -12 : 12, text: plain(v) }));
    const hard = s("circle", { class: "sd-hard", r: 9 }), soft = s("circle", { class: "sd-soft", r: 7 });
    svg.append(hard, soft);
    marks = { hard, soft, at };
    scale.replaceChildren(svg);
    paint();
  }

  const soft = h("b", { class: "sd-big" }), hard = h("b", { class: "sd-big sd-orange" });
  const says = h("p", { class: "lb-hidden", role: "status" });
  const sharp = llmbook.slider(t("sharpness"), { min: 0, max: data.max_sharpness / 1000, step: 0.1 },
    beta, (v) => v.toFixed(1), (v) => { beta = v; paint(); });

  function paint() {
    const { scores, weights, mixed, best } = look();
    const dark = llmbook.isDark(app);
    const svg = plot.firstChild;
    if (svg) {
      const [qx, qy] = px(query);
      knob.setAttribute("transform", `translate(${qx} ${qy})`);
      svg.arrow.setAttribute("x2", qx);
      svg.arrow.setAttribute("y2", qy);
      weights.forEach((w, i) => {
        const radius = 6 + 14 * Math.sqrt(w);
        links[i].setAttribute("x2", qx);
        links[i].setAttribute("y2", qy);
        links[i].style.strokeWidth = 0.4 + 8 * w;
        dots[i].setAttribute("r", radius);
        dots[i].style.fill = llmbook.sequential(w, dark).fill;
      });
      const items = keys.map((key, i) => ({ x: px(key)[0], y: px(key)[1],
        r: 6 + 14 * Math.sqrt(weights[i]), length: tags[i].getComputedTextLength() }));
      llmbook.arrange(items, [side, side], [[qx - 10, qy - 10, qx + 10, qy + 10]])
        .forEach((place, i) => {
          const { x, y } = place || { x: items[i].x, y: items[i].y - items[i].r - 4 };
          tags[i].setAttribute("text-anchor", place ? place.anchor : "middle");
          tags[i].setAttribute("x", x);
          tags[i].setAttribute("y", y);
        });
    }
    cells.forEach((row, i) => {
      row.score.textContent = llmbook.signed(scores[i].toFixed(2));
      row.text.textContent = percent(weights[i]);
      row.fill.style.width = 100 * weights[i] + "%";
      row.node.className = i === best ? "sd-best" : "";
    });
    soft.textContent = withUnit(mixed);
    hard.textContent = withUnit(values[best]);
    if (marks) {
      marks.soft.style.transform = `translate(${marks.at(mixed)}px,22px)`;
      marks.hard.style.transform = `translate(${marks.at(values[best])}px,22px)`;
    }
    const where = t("query_is", { x: llmbook.signed(query[0].toFixed(2)),
      y: llmbook.signed(query[1].toFixed(2)) });
    knob.setAttribute("aria-valuenow", Math.round((100 * query[0]) / reach));
    knob.setAttribute("aria-valuetext", where);
    says.textContent = t("says", { soft: withUnit(mixed), hard: withUnit(values[best]),
      key: data.names[best] });
  }

  app.append(
    h("div", { class: "sd-panels" },
      h("div", null, plot, h("p", { class: "sd-note", text: t("drag") })),
      h("div", null, sharp.node, table,
        h("div", { class: "sd-results" },
          h("p", null, t("soft"), h("br"), soft), h("p", null, t("hard"), h("br"), hard)),
        scale)),
    says);
  llmbook.onTheme(paint);
  llmbook.fit(plot, drawPlane);
  llmbook.fit(scale, drawScale);
  paint();
});
