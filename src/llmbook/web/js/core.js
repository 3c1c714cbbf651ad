// The runtime that all interactive components share: no framework, no network.
// A component file calls llmbook.register(name, mount); mount(app, data, t, root) draws into app.
(function () {
  "use strict";
  if (window.llmbook && window.llmbook.version === "@VERSION@") return;
  const mounts = {}, words = {};
  const SVG = "http://www.w3.org/2000/svg";
  let serial = 0;

  // ---- elements -------------------------------------------------------------------------
  function fill(node, attributes, children) {
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (key === "text") node.textContent = value;
      else node.setAttribute(key, value === true ? "" : value);
    }
    for (const child of children) if (child !== null) node.append(child);
    return node;
  }
  const h = (tag, attributes, ...children) =>
    fill(document.createElement(tag), attributes, children);
  const s = (tag, attributes, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);
  const uid = () => "llmbook-" + ++serial;

  // A token's text; the mark of a leading space is drawn by the style sheet, faintly.
  function token(text, tag) {
    const space = text.length > 1 && text[0] === "␣";
    return h(tag || "span", { class: "lb-token" + (space ? " lb-space" : ""),
      text: space ? text.slice(1) : text });
  }

  // ---- numbers --------------------------------------------------------------------------
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  // 41 %, and "< 1 %" rather than a zero that is none.
  const signed = (text) => String(text).replace("-", "\u2212");
  function percent(p, digits) {
    if (p > 0 && p < 0.01 && !digits) return "<\u200a1\u202f%";
    return (100 * p).toFixed(digits || 0) + "\u202f%";
  }
  // The same with one decimal below ten per cent.
  const fine = (p) => (p > 0 && p < 0.0005 ? "<\u200a0.1\u202f%" : percent(p, p < 0.0995 && p > 0 ? 1 : 0));
  // mulberry32: a seeded generator, so that "draw" repeats after "reset".
  function rng(seed) {
    let a = seed >>> 0;
    return function () {
      a = (a + 0x6d2b79f5) | 0;
      let x = Math.imul(a ^ (a >>> 15), 1 | a);
      x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
      return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
    };
  }

  // ---- themes and colours ---------------------------------------------------------------
  const LIGHT = [[0, "#fbfcfe"], [0.04, "#e4eef9"], [0.15, "#b5d2ee"], [0.35, "#68a6da"],
    [0.65, "#2a71b6"], [1, "#0a2f63"]];
  const DARK = [[0, "#1a1f28"], [0.04, "#1d2f45"], [0.15, "#1f4c78"], [0.35, "#2f7fc0"],
    [0.65, "#82c0f0"], [1, "#edf7ff"]];
  const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const isDark = (node) => getComputedStyle(node).getPropertyValue("--lb-dark").trim() === "1";
  // The colour of a weight in [0, 1], and black or white, whichever is legible upon it.
  function sequential(weight, dark) {
    const stops = dark ? DARK : LIGHT;
    let i = 1;
    while (i < stops.length - 1 && weight > stops[i][0]) i++;
    const [low, a] = stops[i - 1], [high, b] = stops[i];
    const t = Math.min(1, Math.max(0, (weight - low) / (high - low)));
    const from = rgb(a), to = rgb(b);
    const colour = from.map((x, k) => Math.round(x + (to[k] - x) * t));
    const linear = colour.map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    return { fill: "rgb(" + colour.join(",") + ")", ink: luminance > 0.179 ? "#000" : "#fff" };
  }
  const themed = new Set();
  function onTheme(redraw) { themed.add(redraw); }
  const watch = new MutationObserver(() => themed.forEach((redraw) => redraw()));
  watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  if (document.body)
    watch.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  // Draw now and whenever the width changes, with the width in CSS pixels.
  function fit(node, draw) {
    let last = 0;
    new ResizeObserver(() => {
      const width = Math.floor(node.clientWidth);
      if (width && width !== last) draw((last = width));
    }).observe(node);
  }

  // ---- controls -------------------------------------------------------------------------
  const button = (label, onclick, more) =>
    h("button", { type: "button", class: "lb-button", onclick, ...more }, label);

  // A labelled slider; format(value) is what is shown and read out.
  function slider(label, range, value, format, oninput) {
    const id = uid();
    const shown = h("output", { for: id, class: "lb-value" });
    const input = h("input", { id, type: "range", ...range });
    const refresh = () => {
      shown.textContent = format(+input.value);
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    input.addEventListener("input", () => { refresh(); oninput(+input.value); });
    const node = h("div", { class: "lb-slider" }, h("label", { for: id }, label), input, shown);
    const set = (v) => { input.value = v; refresh(); };
    set(value);
    return { node, input, set, refresh };
  }

  function select(label, options, value, onchange) {
    const id = uid();
    const input = h("select", { id, class: "lb-select" },
      ...options.map((text, i) => h("option", { value: i, selected: i === value }, text)));
    input.addEventListener("change", () => onchange(+input.value));
    return { node: h("div", { class: "lb-field" }, h("label", { for: id }, label), input), input };
  }

  // Buttons of which one is pressed.
  function choice(label, options, value, onchange) {
    const buttons = options.map((text, i) => button(text, () => { set(i); onchange(i); }));
    const set = (v) => buttons.forEach((b, i) => b.setAttribute("aria-pressed", i === v));
    set(value);
    return { node: h("div", { class: "lb-choice", role: "group", "aria-label": label },
      ...buttons), set };
  }

  // One tab stop for a set of items; arrows move in a grid of so many columns.
  function roving(items, columns, onmove) {
    const point = (i) => items.forEach((item, k) => (item.tabIndex = k === i ? 0 : -1));
    items.forEach((item, i) => item.addEventListener("keydown", (event) => {
      const wide = columns();
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: wide, ArrowUp: -wide }[event.key];
      let to = step === undefined ? null : i + step;
      if (event.key === "Home") to = 0;
      if (event.key === "End") to = items.length - 1;
      if (to === null) return;
      event.preventDefault();
      if (to < 0 || to >= items.length || items[to].disabled) return;
      point(to);
      items[to].focus();
      onmove(to);
    }));
    return point;
  }

  // ---- starting -------------------------------------------------------------------------
  function style(sheets) {
    for (const [name, css] of Object.entries(sheets)) {
      const id = "llmbook-style-" + name;
      const node = document.getElementById(id) || document.head.appendChild(h("style", { id }));
      if (node.textContent !== css) node.textContent = css;
    }
  }

  function mount(root) {
    const name = root.dataset.component;
    // JupyterLab's shortcuts ("d d" deletes a cell) leave the keys of a marked element alone.
    const app = h("div", { class: "llmbook-app", onfocusin: (event) =>
      event.target.setAttribute("data-lm-suppress-shortcuts", "true") });
    root.querySelector(".llmbook-static").after(app);
    try {
      const own = JSON.parse(root.dataset.labels || "{}");
      const labels = { ...words[name], ...own };
      const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
      const t = (key, values) => (labels[key] || key).replace(/\{(\w+)\}/g,
        (all, word) => (values && word in values ? values[word] : all));
      mounts[name](app, data, t, root);
      root.classList.add("llmbook-live");
      root.dataset.llmbookReady = "true";
    } catch (error) {
      app.remove();
      root.dataset.llmbookReady = "failed";
      console.error("llmbook: " + name, error);
    }
  }

  function start() {
    for (const root of document.querySelectorAll("[data-component]:not([data-llmbook-ready])"))
      if (mounts[root.dataset.component]) mount(root);
  }

  function soon() {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
    else setTimeout(start);
  }

  window.llmbook = { version: "@VERSION@", h, s, uid, token, bytes, percent, fine, signed, rng, isDark, sequential,
    onTheme, still, fit, button, slider, select, choice, roving, style, start,
    label: (more) => Object.assign(words, more),
    // Component files may arrive long after this one: each starts what waits for it.
    register: (name, fn) => { mounts[name] = fn; soon(); } };
})();
