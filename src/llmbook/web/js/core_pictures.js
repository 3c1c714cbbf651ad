// Pictures that several components share: bars, attention maps, line charts.
(function () {
  "use strict";
  const { h, s, fit, sequential } = llmbook;

  // Text in which `code` becomes code and *stress* stress; everything else stays text.
  const rich = (text) => text.split(/(`[^`]+`|\*[^*\s][^*]*\*)/).map((part, i) =>
    i % 2 ? h(part[0] === "`" ? "code" : "em", { text: part.slice(1, -1) })
      : document.createTextNode(part));

  // Horizontal bars. update([{ label, value, text, mark, state, title }]) with values in [0, 1].
  function bars(name) {
    const list = h("ol", { class: "lb-bars", "aria-label": name });
    const rows = [];
    function row() {
      const parts = { label: h("span", { class: "lb-bar-label" }),
        fill: h("span", { class: "lb-bar-fill" }), mark: h("span", { class: "lb-bar-mark" }),
        text: h("span", { class: "lb-bar-text" }) };
      parts.node = h("li", null, parts.label, h("span", { class: "lb-bar-track",
        "aria-hidden": "true" }, parts.fill, parts.mark), parts.text);
      list.append(parts.node);
      rows.push(parts);
      return parts;
    }
    function update(items) {
      items.forEach((item, i) => {
        const parts = rows[i] || row();
        parts.node.className = item.state || "";
        parts.label.textContent = item.label;
        parts.text.textContent = item.text;
        parts.fill.style.width = 100 * Math.min(1, item.value) + "%";
        parts.mark.hidden = item.mark === undefined;
        parts.mark.style.left = 100 * Math.min(1, item.mark || 0) + "%";
      });
      rows.splice(items.length).forEach((parts) => parts.node.remove());
    }
    return { node: list, update };
  }

  // An attention map (T, T) with its tokens on both axes; paint(weight) colours it, weight(q, k)
  // in [0, 1]; the cells know their place.
  function heatMap(tokens, causal, width) {
    const n = tokens.length, font = width / n < 17 ? 9.5 : 12, letter = font * 0.61;
    const longest = Math.max(...tokens.map((text) => text.length));
    const margin = Math.min(0.3 * width, 10 + longest * letter);
    const cell = Math.min(30, (width - margin - 6) / n), side = cell * n;
    const room = Math.floor((margin - 8) / letter);
    const short = (text) => (text.length > room ? text.slice(0, room - 1) + "…" : text);
    const svg = s("svg", { width, height: margin + side + 4, role: "img" },
      s("rect", { class: "lb-back", x: margin, y: margin, width: side, height: side }));
    const cells = [], rows = [], columns = [];
    const name = (text, place) => s("text", { class: "lb-token", style: `font-size:${font}px`,
      text: short(text), ...place });
    tokens.forEach((text, q) => {
      const middle = margin + (q + 0.5) * cell + font / 3;
      rows.push(name(text, { x: margin - 6, y: middle, "text-anchor": "end" }));
      columns.push(name(text, { transform: `translate(${middle} ${margin - 6}) rotate(-90)` }));
      for (let k = 0; k < (causal ? q + 1 : n); k++) {
        const rect = s("rect", { class: "lb-cell", x: margin + k * cell, y: margin + q * cell,
          width: cell + 0.3, height: cell + 0.3 });
        rect.place = [q, k];
        cells.push(rect);
      }
    });
    svg.append(...cells, ...rows, ...columns);
    // Colours fade from the second painting on: the first one is there at once.
    const paint = (weight, dark) => {
      cells.forEach((rect) => {
        rect.style.fill = sequential(weight(...rect.place), dark).fill;
      });
      setTimeout(() => svg.classList.add("lb-fades"), 100);
    };
    return { svg, cells, rows, columns, margin, cell, side, paint };
  }

  // Places for labels beside points: right, left, above or below, wherever they cover no other
  // label and no point. items: [{ x, y, r, length }] in order of importance; each answer is
  // { anchor, x, y } or null where there is no room. Other boxes to keep clear may be given.
  function arrange(items, size, boxes) {
    const taken = items.map(({ x, y, r }) => [x - r + 1, y - r + 1, x + r - 1, y + r - 1])
      .concat(boxes || []);
    const free = (box) => box[0] >= 0 && box[2] <= size[0] && box[1] >= 0 && box[3] <= size[1]
      && taken.every((b) => box[0] > b[2] || box[2] < b[0] || box[1] > b[3] || box[3] < b[1]);
    return items.map(({ x, y, r, length }) => {
      const places = [["start", x + r + 3, y - 6, 0], ["end", x - r - 3, y - 6, length],
        ["middle", x, y - r - 14, length / 2], ["middle", x, y + r + 2, length / 2]];
      for (const [anchor, a, b, back] of places) {
        const box = [a - back, b, a - back + length, b + 12];
        if (!free(box)) continue;
        taken.push(box);
        return { anchor, x: a, y: b + 10 };
      }
      return null;
    });
  }

  // Round axis marks that span a range.
  function ticks(low, high, about) {
    const raw = (high - low) / about;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find((m) => m * power >= raw);
    const marks = [];
    for (let v = Math.ceil(low / step) * step; v <= high + step / 1e6; v += step)
      marks.push(+v.toPrecision(12));
    return marks;
  }

  // A line chart. series: [{ points: [[x, y]], kind }]; axes: { x, y, log, formatX, formatY }.
  function lines(alt, series, axes) {
    const node = h("div", { class: "lb-lines" });
    const all = series.flatMap((one) => one.points);
    const span = (k) => [Math.min(...all.map((p) => p[k])), Math.max(...all.map((p) => p[k]))];
    const [x0, x1] = span(0), [y0, y1] = span(1);
    let at = null, place = () => {};
    fit(node, (width) => {
      const height = Math.round(Math.min(300, Math.max(220, width * 0.5)));
      const box = { left: 44, right: width - 14, top: 28, bottom: height - 38 };
      const warp = axes.log ? (x) => Math.log10(x + 1) : (x) => x;
      const part = (x) => (warp(x) - warp(x0)) / (warp(x1) - warp(x0) || 1);
      const px = (x) => box.left + part(x) * (box.right - box.left);
      const py = (y) => box.bottom - ((y - y0) / (y1 - y0 || 1)) * (box.bottom - box.top);
      const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
        "aria-label": alt });
      for (const v of ticks(y0, y1, 5))
        svg.append(s("line", { class: "lb-rule", x1: box.left, x2: box.right, y1: py(v),
          y2: py(v) }), s("text", { x: box.left - 6, y: py(v) + 4, "text-anchor": "end",
          text: axes.formatY ? axes.formatY(v) : v }));
      const powers = [0, 1, 10, 100, 1000, 10000, 100000, 1000000];
      for (const v of axes.log ? powers.filter((p) => p >= x0 && p <= x1) : ticks(x0, x1, width / 110))
        svg.append(s("text", { x: px(v), y: box.bottom + 16, "text-anchor": "middle",
          text: axes.formatX ? axes.formatX(v) : v }));
      svg.append(s("text", { class: "lb-axis", x: box.right, y: height - 5,
        "text-anchor": "end", text: axes.x }));
      svg.append(s("text", { class: "lb-axis", x: 4, y: 14, text: axes.y }));
      series.forEach((one) => svg.append(s("polyline", { class: "lb-line lb-" + one.kind,
        points: one.points.map((p) => px(p[0]).toFixed(1) + "," + py(p[1]).toFixed(1)).join(" "),
      })));
      const dots = series.map((one) => s("circle", { class: "lb-dot lb-" + one.kind, r: 6 }));
      svg.append(...dots);
      place = () => dots.forEach((dot, i) => {
        const y = at && at[1][i];
        dot.style.display = y === null || y === undefined ? "none" : "";
        if (at && y !== null && y !== undefined)
          dot.style.transform = `translate(${px(at[0])}px,${py(y)}px)`;
      });
      place();
      node.replaceChildren(svg);
    });
    // One dot on each series: the place x, and a y (or null) for each.
    return { node, marker: (x, ys) => { at = [x, ys]; place(); } };
  }

  Object.assign(llmbook, { arrange, bars, heatMap, rich, ticks, lines });
})();
