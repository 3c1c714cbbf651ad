// Step generator: walk through a generation, one token at a time.
llmbook.register("step_generator", function (app, data, t) {
  const { h, fine } = llmbook;
  const n = data.steps.length;
  const share = (units) => units / 10000;
  let at = 0, timer = null;

  const prompt = h("span", { class: "sg-prompt", text: data.prompt });
  // The tokens written so far; each leads back to its own step.
  const written = data.steps.map((step, i) => h("button", { type: "button", class: "sg-token",
    onclick: () => { stop(); go(i); } }, step.text.trim() ? step.text : step.chosen));
  const point = llmbook.roving(written, () => n, (i) => { stop(); go(i); });
  const text = h("div", { class: "sg-text", role: "group", "aria-label": t("text") },
    prompt, ...written);
  const status = h("p", { class: "sg-status", role: "status" });
  const bars = llmbook.bars(t("bars"));

  const back = llmbook.button("◀ " + t("previous"), () => { stop(); go(at - 1); });
  const next = llmbook.button(t("next") + " ▶", () => { stop(); go(at + 1); },
    { class: "lb-button lb-primary" });
  const play = llmbook.button(t("play"), () => (timer ? stop() : start()));
  const slider = llmbook.slider(t("slider"), { min: 1, max: n, step: 1 }, 1,
    (v) => `${v} / ${n}`, (v) => { stop(); go(v - 1); });

  function start() {
    if (at === n - 1) go(0);
    play.textContent = t("pause");
    timer = setInterval(() => (at < n - 1 ? go(at + 1) : stop()), 1100);
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = t("play");
  }

  function go(i) {
    at = Math.min(n - 1, Math.max(0, i));
    const step = data.steps[at], place = step.tokens.indexOf(step.chosen);
    written.forEach((node, k) => {
      node.hidden = node.disabled = k > at;
      node.classList.toggle("sg-now", k === at);
      node.setAttribute("aria-pressed", k === at);
    });
    point(at);
    const items = step.tokens.map((token, k) => ({ label: token, value: share(step.probs[k]),
      text: fine(share(step.probs[k])),
      state: k === place ? "lb-chosen" : "" }));
    const sum = step.probs.reduce((a, b) => a + b, 0);
    items.push({ label: t("rest"), value: share(10000 - sum), text: fine(share(10000 - sum)),
      state: "lb-rest" + (place < 0 ? " lb-chosen" : "") });
    bars.update(items);
    slider.set(at + 1);
    back.disabled = at === 0;
    next.disabled = at === n - 1;
    const words = { step: at + 1, n, token: step.chosen, percent: fine(share(step.prob)) };
    const chosen = t(place < 0 ? "chosen_low" : "chosen", words);
    const parts = { step: t("step", words), chosen, done: t("done", words) };
    status.textContent = t(at === n - 1 ? "says_last" : "says", parts);
  }

  app.append(text, h("div", { class: "lb-row sg-controls" }, back, play, next, slider.node),
    status, h("p", { class: "sg-title", text: t("bars") }), bars.node);
  go(0);
});
