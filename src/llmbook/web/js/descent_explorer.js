// Gradient descent on a quadratic loss: a learning rate to turn, a start to drag.
llmbook.register("descent_explorer", function (app, data, t) {
  const { h, s, signed } = llmbook;
  const START = data.start.map((v) => v / 1000), LEVELS = data.levels.map((v) => v / 1000);
  const surfaces = data.surfaces.map((one) => {
    const [a, b, , d] = one.hessian.map((v) => v / 1000);
    // Curvatures of a symmetric 2 × 2 matrix, and the angle of the flat direction.
    const middle = (a + d) / 2, half = Math.hypot((a - d) / 2, b);
    return { a, b, d, minimum: one.minimum.map((v) => v / 1000), least: one.least / 1000,
      flat: middle - half, steep: middle + half, angle: Math.atan2(middle - half - a, b) };
  });
  surfaces.forEach((one) => { if (one.b === 0) one.angle = one.a <= one.d ? 0 : Math.PI / 2; });
  let which = 0, rate = data.rate / 1000, shown = data.steps, start = [...START], reach = 1;

  const above = (f, x) => {
    const u = x[0] - f.minimum[0], v = x[1] - f.minimum[1];
    return (f.a * u * u + 2 * f.b * u * v + f.d * v * v) / 2;
  };
  function walk(f) {
    const path = [start];
    for (let k = 0; k < shown; k++) {
      const [x, y] = path[k], u = x - f.minimum[0], v = y - f.minimum[1];
      path.push([x - rate * (f.a * u + f.b * v), y - rate * (f.b * u + f.d * v)]);
    }
    return path;
  }
  function show(value) {
    if (value >= 1e6) return value.toExponential(1).replace(/e\+(\d+)/, (_, power) =>
      "\u202f×\u202f10" + power.replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]));
    return signed(value >= 100 ? value.toFixed(0) : value.toPrecision(3));
  }

  // ---- the map
  const plot = h("div", { class: "lb-plot de-map" });
  const knob = s("g", { class: "de-knob", tabindex: "0", role: "slider", "aria-label": t("start"),
    "aria-valuemin": -100, "aria-valuemax": 100, "aria-roledescription": "2-D" },
    s("circle", { class: "de-halo", r: 17 }), s("circle", { class: "de-dot", r: 8 }));
  const line = s("polyline", { class: "de-path" }), dots = s("g", { class: "de-steps" });
  const rings = s("g", null), cross = s("path", { class: "de-cross" });
  let side = 300;
  const px = (p) => {
    const m = surfaces[which].minimum, limit = (v) => Math.max(-4 * side, Math.min(4 * side, v));
    return [side / 2 + limit(((p[0] - m[0]) * side) / 2 / reach),
      side / 2 - limit(((p[1] - m[1]) * side) / 2 / reach)];
  };

  function drawMap(width) {
    side = Math.min(width, 380);
    const svg = s("svg", { width: side, height: side, role: "group", "aria-label": t("map") });
    const half = side / 2;
    cross.setAttribute("d", `M${half - 6} ${half}h12M${half} ${half - 6}v12`);
    svg.append(rings, line, dots, cross,
      s("text", { x: side - 8, y: side - 8, "text-anchor": "end", text: data.axes[0] + " →" }),
      s("text", { x: 8, y: 17, text: "↑ " + data.axes[1] }), knob);
    const move = (event) => {
      const box = svg.getBoundingClientRect(), m = surfaces[which].minimum;
      setStart(m[0] + ((event.clientX - box.left) / half - 1) * reach,
        m[1] + (1 - (event.clientY - box.top) / half) * reach);
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
    contours();
    paint();
  }
  function contours() {
    const f = surfaces[which], scale = side / 2 / reach, top = above(f, START);
    const cos = Math.cos(f.angle), sin = Math.sin(f.angle);
    // Each contour is drawn where it lies inside the map, in pieces.
    rings.replaceChildren(...LEVELS.map((level) => {
      const rx = Math.sqrt((2 * level * top) / f.flat) * scale;
      const ry = Math.sqrt((2 * level * top) / f.steep) * scale;
      let d = "", pen = "M";
      for (let k = 0; k <= 240; k++) {
        const u = rx * Math.cos((k * Math.PI) / 120), v = ry * Math.sin((k * Math.PI) / 120);
        const x = side / 2 + u * cos - v * sin, y = side / 2 - u * sin - v * cos;
        if (x < 0 || y < 0 || x > side || y > side) { pen = "M"; continue; }
        d += pen + x.toFixed(1) + " " + y.toFixed(1);
        pen = "L";
      }
      return s("path", { class: "de-ring", d });
    }));
  }
  function setStart(x, y) {
    const m = surfaces[which].minimum;
    start = [x, y].map((v, i) => Math.max(m[i] - reach, Math.min(m[i] + reach, v)));
    paint();
  }
  knob.addEventListener("keydown", (event) => {
    const step = (event.shiftKey ? 0.2 : 0.05) * reach;
    const go = { ArrowRight: [step, 0], ArrowLeft: [-step, 0], ArrowUp: [0, step],
      ArrowDown: [0, -step] }[event.key];
    if (!go) return;
    event.preventDefault();
    setStart(start[0] + go[0], start[1] + go[1]);
  });

  // ---- the loss against the step, on a logarithmic axis
  const chart = h("div", { class: "lb-plot de-chart" });
  let wide = 300;
  function drawChart(width) { wide = width; paint(); }
  function curve(losses) {
    const top = 14, bottom = 120, left = 44, right = wide - 8;
    const powers = losses.map((v) => Math.max(-9, Math.min(15, Math.log10(v + 1e-12))));
    const low = Math.floor(Math.min(...powers)), high = Math.max(low + 1, Math.ceil(Math.max(...powers)));
    const x = (k) => left + (k / data.steps) * (right - left);
    const y = (p) => bottom - ((p - low) / (high - low)) * (bottom - top);
    const svg = s("svg", { width: wide, height: 150, role: "img", "aria-label": t("curve") });
    const gap = Math.ceil((high - low) / 5);
    for (let p = low; p <= high; p += gap)
      svg.append(s("line", { class: "lb-rule", x1: left, x2: right, y1: y(p), y2: y(p) }),
        s("text", { x: left - 6, y: y(p) + 4, "text-anchor": "end", text: "10" },
          s("tspan", { dy: -4, "font-size": "9px", text: signed(p) })));
    svg.append(s("polyline", { class: "lb-line lb-b",
      points: powers.map((p, k) => x(k).toFixed(1) + "," + y(p).toFixed(1)).join(" ") }),
      s("text", { class: "lb-axis", x: right, y: 143, "text-anchor": "end", text: t("steps") + " →" }));
    chart.replaceChildren(svg);
  }

  const verdict = h("p", { class: "de-verdict", role: "status" });
  const cells = ["loss", "limit", "steep", "flat"].map((key) => {
    const value = h("td", { class: "de-number" });
    return { value, node: h("tr", null, h("th", { scope: "row", text: t(key) }), value) };
  });
  const number = (v) => signed(v.toFixed(3));

  function paint() {
    const f = surfaces[which], path = walk(f);
    const places = path.map(px);
    const [x, y] = places[0];
    knob.setAttribute("transform", `translate(${x} ${y})`);
    knob.setAttribute("aria-valuenow", Math.round((100 * (start[0] - f.minimum[0])) / reach));
    knob.setAttribute("aria-valuetext", t("start_is", { a: data.axes[0], b: data.axes[1],
      x: signed(start[0].toFixed(2)), y: signed(start[1].toFixed(2)) }));
    line.setAttribute("points", places.map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" "));
    dots.replaceChildren(...places.slice(1).map((p) => s("circle", { cx: p[0], cy: p[1], r: 2.6 })));
    const losses = path.map((p) => above(f, p));
    curve(losses);
    const factors = [1 - rate * f.steep, 1 - rate * f.flat];
    const values = [show(f.least + losses[losses.length - 1]), number(2 / f.steep), ...factors.map(number)];
    cells.forEach((cell, i) => { cell.value.textContent = values[i]; });
    const worst = Math.max(...factors.map(Math.abs));
    const kind = worst > 1.0005 ? "diverges" : worst > 0.9995 ? "edge" : factors[0] < 0 ? "zigzags"
      : "descends";
    const text = t(kind) + (worst < 0.9995 && losses[losses.length - 1] > 0.01 * losses[0] ? " " + t("slow") : "");
    verdict.className = "de-verdict de-" + kind;
    if (verdict.textContent !== text) verdict.textContent = text;
  }

  function choose(i) {
    which = i;
    const m = surfaces[which].minimum;
    reach = 1.35 * Math.max(...START.map((v, k) => Math.abs(v - m[k])));
    start = [...START];
    // The slider ends beyond the limit of this surface.
    rates.input.max = Math.ceil(280 / surfaces[which].steep) / 100;
    rate = Math.min(rate, +rates.input.max);
    rates.set(rate);
    contours();
    paint();
  }
  const switcher = llmbook.choice(t("surface"), data.surfaces.map((one) => one.name), 0, choose);
  const rates = llmbook.slider(t("rate"), { min: 0, max: 1, step: 0.001 }, rate,
    (v) => v.toFixed(3), (v) => { rate = v; paint(); });
  const steps = llmbook.slider(t("steps"), { min: 1, max: data.steps, step: 1 }, shown, String,
    (v) => { shown = v; paint(); });
  app.append(
    data.surfaces.length > 1 ? h("div", { class: "lb-row de-top" }, switcher.node) : null,
    h("div", { class: "de-panels" },
      h("div", null, plot, h("p", { class: "de-note", text: t("drag") })),
      h("div", null, rates.node, steps.node, verdict,
        h("table", { class: "de-table" }, h("tbody", null, ...cells.map((cell) => cell.node))),
        h("p", { class: "de-note", text: t("curve") }), chart)));
  choose(0);
  llmbook.fit(plot, drawMap);
  llmbook.fit(chart, drawChart);
});
