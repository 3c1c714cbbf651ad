// Error museum: name the fault of a training run from its curves and its sample.
llmbook.register("error_museum", function (app, data, t) {
  const { h, rich } = llmbook;
  const n = data.exhibits.length;
  let at = 0, first = [], solved = [], chosen = [];

  const tabs = data.exhibits.map((_, i) => llmbook.button(String(i + 1), () => show(i),
    { class: "lb-button em-tab", "aria-pressed": "false" }));
  const point = llmbook.roving(tabs, () => 1, () => {});
  const score = h("p", { class: "qz-score", role: "status" });
  const stage = h("div", { class: "em-stage" });
  const again = llmbook.button(t("again"), () => { start(); tabs[0].focus(); });
  const next = llmbook.button(t("next") + " ▶", () => { show((at + 1) % n); tabs[at].focus(); },
    { class: "lb-button lb-primary" });

  const scaled = (curve) => curve.map(([x, y]) => [x, y / 1000]);
  const power = (v) => String(+(10 ** v).toPrecision(1));
  function charts(exhibit) {
    const alt = t("loss_alt", { i: at + 1, first: (exhibit.train[0][1] / 1000).toFixed(2),
      last: (exhibit.train[exhibit.train.length - 1][1] / 1000).toFixed(2),
      val: (exhibit.val[exhibit.val.length - 1][1] / 1000).toFixed(2) });
    const loss = llmbook.lines(alt, [
      { kind: "sound", points: scaled(data.sound.train) },
      { kind: "sound em-held", points: scaled(data.sound.val) },
      { kind: "a", points: scaled(exhibit.train) },
      { kind: "b", points: scaled(exhibit.val) }],
      { x: t("step_axis"), y: t("loss_axis"), log: true });
    const norm = llmbook.lines(t("norm_alt", { i: at + 1 }), [
      { kind: "sound", points: scaled(data.sound.norm) },
      { kind: "a", points: scaled(exhibit.norm) }],
      { x: t("step_axis"), y: t("norm_axis"), log: true, formatY: power });
    const key = (kind, words) => h("span", { class: "em-key em-" + kind }, words);
    return h("div", { class: "em-panels" },
      h("div", null, loss.node, h("p", { class: "em-keys" }, key("a", t("train")),
        key("b", t("val")), key("sound", t("sound_train")), key("dash", t("sound_val")))),
      h("div", null, norm.node, h("p", { class: "em-keys" }, key("a", t("norm")),
        key("sound", t("sound_norm")))));
  }
  const quote = (label, text) => h("div", { class: "em-quote" },
    h("p", { class: "em-label", text: label }), h("p", { class: "em-sample lb-token", text }));

  function show(i) {
    at = i;
    const exhibit = data.exhibits[i];
    tabs.forEach((tab, k) => tab.setAttribute("aria-pressed", k === i));
    point(i);
    const title = h("p", { class: "qz-title", id: llmbook.uid(), text: t("title", { i: i + 1, n }) });
    const verdict = h("div", { class: "qz-why", role: "status" });
    const answer = h("div", { class: "em-answer" });
    const choices = exhibit.choices.map((text, k) => {
      const mark = h("span", { class: "qz-mark", "aria-hidden": "true" });
      return { mark, node: h("button", { type: "button", class: "qz-choice",
        onclick: () => choose(k) }, mark, h("span", null, ...rich(text))) };
    });
    llmbook.roving(choices.map((c) => c.node), () => 1, () => {})(0);
    function choose(k) {
      const right = k === exhibit.answer;
      if (first[i] === undefined) first[i] = right;
      chosen[i] = k;
      solved[i] = solved[i] || right;
      draw();
      tally();
    }
    function draw() {
      const k = chosen[i], right = k === exhibit.answer;
      choices.forEach(({ node, mark }, j) => {
        node.setAttribute("aria-pressed", j === k);
        node.classList.toggle("qz-right", j === k && right);
        node.classList.toggle("qz-wrong", j === k && !right);
        mark.textContent = j !== k ? "ABCDEFGH"[j] : right ? "✓" : "✗";
      });
      verdict.className = "qz-why" + (k === undefined ? "" : right ? " qz-right" : " qz-wrong");
      verdict.replaceChildren(...(k === undefined ? [] : [
        h("strong", { text: t(right ? "right" : "wrong") + " " }), ...rich(exhibit.why[k])]));
      answer.replaceChildren(...(!solved[i] ? [] : [
        h("p", null, h("strong", { text: t("sign") + " " }), ...rich(exhibit.sign)),
        h("p", null, h("strong", { text: t("test") + " " }), ...rich(exhibit.test)),
        exhibit.code ? h("pre", { tabindex: "0" }, h("code", { text: exhibit.code })) : ""]));
    }
    stage.replaceChildren(title, charts(exhibit),
      h("div", { class: "em-panels" }, quote(t("writes"), exhibit.sample),
        quote(t("sound_writes"), data.sound.sample)),
      exhibit.evidence ? h("p", { class: "em-evidence" }, h("strong", { text: t("evidence") + " " }),
        exhibit.evidence) : "",
      h("p", { class: "em-label", text: t("ask") }),
      h("div", { role: "group", class: "qz-choices", "aria-labelledby": title.id },
        ...choices.map((c) => c.node)), verdict, answer);
    draw();
  }

  function tally() {
    const done = first.filter((x) => x !== undefined).length;
    const right = first.filter(Boolean).length;
    score.textContent = done ? t("score", { right, done, n }) : t("start", { n });
    again.hidden = !done;
    tabs.forEach((tab, i) => {
      const open = first[i] === undefined;
      tab.classList.toggle("em-hit", first[i] === true);
      tab.classList.toggle("em-miss", first[i] === false);
      tab.textContent = i + 1 + (open ? "" : first[i] ? " ✓" : " ✗");
      tab.setAttribute("aria-label", open ? t("tab_open", { i: i + 1 })
        : first[i] ? t("tab_hit", { i: i + 1 }) : t("tab_miss", { i: i + 1 }));
    });
  }
  function start() {
    first = [];
    solved = [];
    chosen = [];
    show(0);
    tally();
  }
  app.append(h("div", { class: "em-tabs", role: "group", "aria-label": t("exhibits") }, ...tabs),
    stage, h("div", { class: "lb-row em-foot" }, score, next, again));
  start();
});
