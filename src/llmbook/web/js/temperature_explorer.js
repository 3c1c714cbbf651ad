// Temperature explorer: reshape a next-token distribution, and draw from it.
llmbook.register("temperature_explorer", function (app, data, t) {
  const { h, fine } = llmbook;
  const SHOWN = 12;
  const setting = { context: 0, temperature: data.temperature / 100, topK: Infinity, topP: 1 };
  let random = llmbook.rng(data.seed), drawn = [], draws = 0, last = "";

  const sum = (list) => list.reduce((a, b) => a + b, 0);
  const context = () => data.contexts[setting.context];

  // Groups of equally likely tokens, best first: each named token, then the bins of the others.
  function groups() {
    const c = context();
    return c.logits.map((z) => ({ z: z / 1000, count: 1 }))
      .concat(c.rest_counts.map((count, i) => ({ z: c.rest_logits[i] / 1000, count })));
  }

  // How many tokens of each group can be drawn, and the probability of one of them:
  // temperature first, then top-k, then top-p, as Hugging Face's generate applies them.
  function distribution() {
    const list = groups(), T = setting.temperature;
    let room = T === 0 ? 1 : setting.topK;
    const kept = list.map((g) => {
      const take = Math.min(g.count, room);
      room -= take;
      return take;
    });
    const mass = list.map((g) => (T === 0 ? 1 : Math.exp(g.z / T)));
    const total = sum(mass.map((m, i) => m * kept[i]));
    let before = 0;
    kept.forEach((take, i) => {
      const one = mass[i] / total;
      // A token stays while the tokens before it hold less than p.
      const need = setting.topP >= 1 ? take : Math.ceil((setting.topP - before) / one - 1e-9);
      before += one * take;
      kept[i] = Math.max(i === 0 ? 1 : 0, Math.min(take, need));
    });
    const norm = sum(mass.map((m, i) => m * kept[i]));
    return mass.map((m, i) => ({ p: m / norm, count: kept[i] }));
  }

  const entropy = (groups) => sum(groups.filter((g) => g.count && g.p > 0)
    .map((g) => -g.count * g.p * Math.log2(g.p)));

  // ---- controls
  const reshape = (key) => (value) => { setting[key] = value; clear(); };
  const two = (v) => v.toFixed(2);
  const most = () => context().tokens.length + 1;
  const temperature = llmbook.slider(t("temperature"), { min: 0, max: 2, step: 0.05 },
    setting.temperature, (v) => (v === 0 ? t("greedy") : two(v)), reshape("temperature"));
  const topK = llmbook.slider(t("top_k"), { min: 1, max: most(), step: 1 }, most(),
    (v) => (v >= most() ? t("all") : String(v)),
    (v) => reshape("topK")(v >= most() ? Infinity : v));
  const topP = llmbook.slider(t("top_p"), { min: 0.05, max: 1, step: 0.01 }, 1,
    (v) => (v >= 1 ? t("all") : two(v)), reshape("topP"));
  const chooser = data.contexts.length > 1
    ? llmbook.select(t("prompt"), data.contexts.map((c) => c.prompt), 0, (i) => {
      setting.context = i;
      topK.input.max = most();
      topK.set(most());
      setting.topK = Infinity;
      clear();
    }) : null;

  const prompt = h("p", { class: "te-prompt" });
  const bars = llmbook.bars(t("bars"));
  const figures = ["entropy", "choices", "kept"].map((key) => {
    const value = h("b");
    return { value, node: h("p", { class: "te-figure" }, t(key), h("br"), value) };
  });
  const status = h("p", { class: "te-status", role: "status" });
  const legend = h("p", { class: "te-legend", text: t("tally_title") });
  const draw = llmbook.button(t("draw"), () => drawSome(1), { class: "lb-button lb-primary" });
  const many = llmbook.button(t("draw_many"), () => drawSome(100));
  const reset = llmbook.button(t("reset"), clear);

  // ---- draws
  function clear() {
    random = llmbook.rng(data.seed);
    drawn = [];
    draws = 0;
    last = "";
    paint();
  }

  function drawSome(n) {
    const list = distribution();
    for (let k = 0; k < n; k++) {
      let u = random(), i = 0;
      while (i < list.length - 1 && (u -= list[i].p * list[i].count) >= 0) i++;
      while (!list[i].count) i--;
      drawn[i] = (drawn[i] || 0) + 1;
      last = context().tokens[i] === undefined ? t("other") : context().tokens[i];
    }
    draws += n;
    paint();
    status.textContent = n === 1 ? `${t("drawn", { token: last })} · ${t("drawn_many", { n: draws })}`
      : t("drawn_many", { n: draws });
  }

  function paint() {
    const c = context(), list = distribution();
    const shown = Math.min(SHOWN, c.tokens.length);
    const row = (label, p, count, state) => ({ label, value: p, state,
      mark: draws ? count / draws : undefined,
      text: fine(p) + (draws ? ` · ${count}×` : "") });
    const items = c.tokens.slice(0, shown).map((token, i) =>
      row(token, list[i].count * list[i].p, drawn[i] || 0, list[i].count ? "" : "lb-out"));
    const others = list.slice(shown);
    if (others.length) {
      const n = sum(others.map((g) => g.count));
      items.push(row(n ? t("rest", { n }) : t("rest_out"), sum(others.map((g) => g.count * g.p)),
        sum(drawn.slice(shown).map((d) => d || 0)), "lb-rest" + (n ? "" : " lb-out")));
    }
    bars.update(items);
    const bits = Math.max(0, entropy(list));
    figures[0].value.textContent = t("bits", { bits: two(bits) });
    figures[1].value.textContent = (2 ** bits).toFixed(1);
    figures[2].value.textContent = String(sum(list.map((g) => g.count)));
    prompt.replaceChildren(h("span", { class: "lb-token", text: c.prompt }),
      h("span", { class: "te-gap", text: " ▁" }));
    legend.hidden = !draws;
    reset.disabled = !draws;
    if (!draws) status.textContent = t("no_draws");
  }

  app.append(...(chooser ? [chooser.node] : []), prompt,
    h("div", { class: "te-panels" },
      h("div", { class: "te-controls" }, temperature.node, topK.node, topP.node,
        h("div", { class: "te-figures" }, ...figures.map((f) => f.node))),
      h("div", null, bars.node, legend)),
    h("div", { class: "lb-row te-draws" }, draw, many, reset, status));
  paint();
});
