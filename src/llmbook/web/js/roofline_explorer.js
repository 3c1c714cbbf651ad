// The roofline of a machine, with a model's decoding and prefill standing under it.
llmbook.register("roofline_explorer", function (app, data, t) {
  const { h, s } = llmbook;
  const WEIGHTS = [["float32", 4], ["bfloat16", 2], ["int8", 1], ["int4", 0.5]];
  const CACHE = WEIGHTS.slice(0, 3);
  const at = { ...data.start, bandwidth: 0, peak: 0, own: false };
  const here = () => data.models[at.model];

  // Three digits and a prefix, as llmbook.web.roofline.amount does it.
  function amount(value, unit) {
    let power = 0;
    while (Math.abs(value) >= 999.5 && power < 6) { value /= 1000; power++; }
    const digits = value < 0.9995 ? 3 : value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    return `${value.toFixed(digits)}\u00a0${["", "k", "M", "G", "T", "P", "E"][power]}${unit || ""}`.trim();
  }
  function time(seconds) {
    const [scale, unit] = seconds < 1e-3 ? [1e6, "µs"] : seconds < 1 ? [1e3, "ms"] : [1, "s"];
    return `${+(seconds * scale).toPrecision(3)}\u00a0${unit}`;
  }

  function bound(flops, bytes, tokens) {
    const byMemory = bytes / at.bandwidth, byArithmetic = flops / at.peak;
    const seconds = Math.max(byMemory, byArithmetic);
    return { flops, bytes, intensity: flops / bytes, seconds, rate: tokens / seconds,
      limit: byMemory >= byArithmetic ? "memory" : "arithmetic" };
  }
  function estimate() {
    const m = here(), batch = 2 ** at.batch, context = 2 ** at.context;
    const perKey = 2 * m.n_layer * m.d_model, read = m.n_read * WEIGHTS[at.weights][1];
    const one = context * 2 * m.n_layer * m.n_kv_head * m.d_head * CACHE[at.cache][1];
    const kv = batch * one;
    return { one, kv, lies: m.n_params * WEIGHTS[at.weights][1],
      decode: bound(batch * (2 * m.n_read + 2 * perKey * context), read + kv, batch),
      prefill: bound(batch * (2 * m.n_read * context + perKey * context * (context + 1)), read + kv,
        batch * context) };
  }

  // ---- the picture: FLOP/s against FLOP per byte, both in powers of ten
  const plot = h("div", { class: "lb-plot rf-plot" });
  let width = 600;
  function drawRoof(now) {
    const ridge = at.peak / at.bandwidth, points = ["decode", "prefill"].map((key) => [key, now[key]]);
    const xs = [ridge, ...points.map(([, p]) => p.intensity)].map(Math.log10);
    const x0 = Math.floor(Math.min(-1, ...xs)), x1 = Math.ceil(Math.max(...xs) + 0.5);
    const roof = (x) => Math.min(Math.log10(at.peak), Math.log10(at.bandwidth) + x);
    const y1 = Math.ceil(Math.log10(at.peak) + 0.15), y0 = Math.floor(roof(x0));
    const tall = Math.round(Math.min(340, Math.max(250, width * 0.55)));
    const box = { left: 46, right: width - 20, top: 26, bottom: tall - 38 };
    const px = (x) => box.left + ((x - x0) / (x1 - x0)) * (box.right - box.left);
    const py = (y) => box.bottom - ((y - y0) / (y1 - y0)) * (box.bottom - box.top);
    const svg = s("svg", { viewBox: `0 0 ${width} ${tall}`, width, height: tall, role: "img",
      "aria-label": t("picture", { peak: amount(at.peak, "FLOP/s"), ridge: amount(ridge),
        decode: amount(now.decode.intensity), prefill: amount(now.prefill.intensity) }) });
    const write = (x, y, text, more) => svg.append(s("text", { x, y, text, ...more }));
    for (let x = x0; x <= x1; x++) {
      svg.append(s("line", { class: "lb-rule", x1: px(x), x2: px(x), y1: box.top, y2: box.bottom }));
      const every = (x1 - x0) * 34 > box.right - box.left ? 2 : 1;
      if ((x - x0) % every === 0)
        write(px(x), box.bottom + 16, x < 0 ? String(10 ** x) : amount(10 ** x).replace(/\.0+/, ""), { "text-anchor": "middle" });
    }
    for (let y = y0; y <= y1; y++) {
      svg.append(s("line", { class: "lb-rule", x1: box.left, x2: box.right, y1: py(y), y2: py(y) }));
      write(box.left - 5, py(y) + 4, amount(10 ** y).replace(/\.0+/, ""), { "text-anchor": "end" });
    }
    write(4, 14, t("y_axis"));
    write(box.right, tall - 5, t("x_axis"), { "text-anchor": "end" });
    const line = [x0, Math.log10(ridge), x1].map((x) => `${px(x).toFixed(1)},${py(roof(x)).toFixed(1)}`);
    svg.append(s("polyline", { class: "rf-roof", points: line.join(" ") }));
    const rx = px(Math.log10(ridge));
    svg.append(s("line", { class: "rf-ridge", x1: rx, x2: rx, y1: py(Math.log10(at.peak)), y2: box.bottom }));
    const late = rx > width - 130;
    write(rx + (late ? -5 : 5), box.bottom - 6, t("ridge", { x: amount(ridge) }), { "text-anchor": late ? "end" : "start" });
    points.forEach(([key, p], i) => {
      const x = Math.log10(p.intensity), cx = px(x), cy = py(roof(x)), far = cx > width - 90;
      svg.append(s("line", { class: "rf-drop rf-" + key, x1: cx, x2: cx, y1: cy, y2: box.bottom }),
        s("circle", { class: "rf-dot rf-" + key, cx, cy, r: 6 }));
      write(cx + (far ? -10 : 10), cy + (i ? 32 : 17), t(key), { class: "rf-name rf-" + key,
        "text-anchor": far ? "end" : "start" });
    });
    plot.replaceChildren(svg);
  }

  // ---- the numbers
  const says = h("p", { class: "rf-says", role: "status" });
  const source = h("p", { class: "rf-note" });
  const table = h("table", { class: "rf-table" });
  function drawNumbers(now) {
    const machine = data.machines[at.machine];
    says.textContent = t("in_prose", { model: here().name, machine: machine.name,
      limit: t(now.decode.limit), rate: amount(now.decode.rate) });
    source.textContent = at.own ? t("own") : machine.source;
    const room = machine.memory_mb * 1e6, whole = amount(now.lies + now.kv, "B");
    const row = (key, show, kind) => h("tr", { class: kind }, h("th", { scope: "row", text: t(key) }),
      ...["prefill", "decode"].map((phase) => h("td", { text: show(now[phase]) })));
    const wide = (name, text, kind) => h("tr", { class: kind }, h("th", { scope: "row", text: name }),
      h("td", { colspan: 2, text }));
    table.replaceChildren(
      h("thead", null, h("tr", null, ...["quantity", "prefill", "decode"].map((key) =>
        h("th", { scope: "col", class: "rf-" + key, text: t(key) })))),
      h("tbody", null, row("flops", (p) => amount(p.flops)), row("bytes", (p) => amount(p.bytes, "B")),
        row("intensity", (p) => amount(p.intensity)), row("limit", (p) => t(p.limit)),
        row("seconds", (p) => time(p.seconds)), row("rate", (p) => amount(p.rate), "rf-strong"),
        wide(t("weights_are"), amount(now.lies, "B")),
        wide(t("cache_is"), amount(now.kv, "B") + (at.batch ? ` (${t("one")} ${amount(now.one, "B")})` : "")),
        room && !at.own ? wide(t("memory"), t(now.lies + now.kv > room ? "too_large" : "fits", { n: whole,
          room: amount(room, "B") }), now.lies + now.kv > room ? "rf-large" : null) : null));
  }
  function draw() {
    const now = estimate();
    drawRoof(now);
    drawNumbers(now);
  }

  // ---- the controls
  const change = (key) => (value) => { at[key] = value; draw(); };
  const names = (list) => list.map((one) => one.name || one[0]);
  const model = llmbook.select(t("model"), names(data.models), at.model, (i) => {
    at.model = i;
    limitContext();
    draw();
  });
  const machine = llmbook.select(t("machine"), names(data.machines), at.machine, take);
  const weights = llmbook.select(t("weights"), names(WEIGHTS), at.weights, change("weights"));
  const cache = llmbook.select(t("cache"), names(CACHE), at.cache, change("cache"));
  const power = (v) => (2 ** v).toLocaleString("en");
  const batch = llmbook.slider(t("batch"), { min: 0, max: 8, step: 1 }, at.batch, power, change("batch"));
  const context = llmbook.slider(t("context"), { min: 0, max: 20, step: 1 }, at.context, power, change("context"));
  // Speeds on a logarithmic scale: forty steps to a factor of ten.
  const speed = (key, low, high, unit) => llmbook.slider(t(key), { min: 0, max: 40 * (high - low), step: 1 },
    0, () => amount(at[key], unit), (v) => {
      at[key] = 10 ** (low + v / 40);
      at.own = true;
      draw();
    });
  const bandwidth = speed("bandwidth", 8, 14, "B/s"), peak = speed("peak", 8, 17, "FLOP/s");
  [bandwidth, peak].forEach((one) => one.input.addEventListener("input", one.refresh));
  function limitContext() {
    const most = Math.floor(Math.log2(here().context_length));
    context.input.max = most;
    at.context = Math.min(at.context, most);
    context.set(at.context);
  }
  function take(i) {
    const chosen = data.machines[i];
    Object.assign(at, { machine: i, own: false, bandwidth: chosen.mb_per_s * 1e6, peak: chosen.mflops * 1e6 });
    bandwidth.set(Math.round(40 * (Math.log10(at.bandwidth) - 8)));
    peak.set(Math.round(40 * (Math.log10(at.peak) - 8)));
    draw();
  }
  app.append(
    h("div", { class: "lb-row" }, model.node, weights.node, cache.node),
    h("div", { class: "rf-sliders" }, batch.node, context.node),
    h("div", { class: "lb-row rf-machine" }, machine.node), source,
    h("div", { class: "rf-sliders" }, bandwidth.node, peak.node), says,
    h("div", { class: "rf-panels" }, plot, table),
    h("p", { class: "rf-note", text: t("note") }));
  limitContext();
  take(at.machine);
  llmbook.fit(plot, (w) => { width = w; draw(); });
});
