// Self-check: each first answer decides whether its section belongs to the reader's route.
llmbook.register("self_check", function (app, data, t) {
  const { h, rich } = llmbook;
  const n = data.questions.length;
  let first = [];
  // A link where the page holds the section (JupyterLab may not), else its title.
  const link = (section) => document.getElementById(section.target)
    ? h("a", { href: "#" + section.target, text: section.title })
    : h("b", { text: section.title });
  const sum = (sections) => sections.reduce((minutes, s) => minutes + s.minutes, 0);

  function ask(question, i) {
    const title = h("p", { class: "qz-text", id: llmbook.uid() });
    title.append(h("span", { class: "lb-hidden", text: t("question", { i: i + 1, n }) + ": " }),
      ...rich(question.text));
    const verdict = h("div", { class: "qz-why", role: "status" });
    const texts = [...question.choices, t("unsure")];
    const choices = texts.map((choice, k) => {
      const mark = h("span", { class: "qz-mark", "aria-hidden": "true",
        text: k === question.choices.length ? "?" : "ABCDEFGH"[k] });
      return { mark, node: h("button", { type: "button", class: "qz-choice",
        "aria-pressed": "false", onclick: () => answer(k) }, mark, h("span", null, ...rich(choice))) };
    });
    llmbook.roving(choices.map((c) => c.node), () => 1, () => {})(0);

    function answer(k) {
      const right = k === question.answer, unsure = k === question.choices.length;
      const kind = right ? "qz-right" : unsure ? "sc-unsure" : "qz-wrong";
      choices.forEach(({ node, mark }, j) => {
        node.setAttribute("aria-pressed", j === k);
        node.className = "qz-choice" + (j === k ? " " + kind : "");
        mark.textContent = j === texts.length - 1 ? "?" : j !== k ? "ABCDEFGH"[j] : right ? "✓" : "✗";
      });
      if (first[i] === undefined) first[i] = right;
      const s = question.section;
      verdict.className = "qz-why " + kind;
      verdict.replaceChildren(
        h("strong", { text: t(right ? "right" : unsure ? "fine" : "wrong") + " " }),
        ...(unsure ? [] : [...rich(question.why[k]), " "]),
        t(first[i] ? "skip" : "read", { minutes: s.minutes }) + " ", link(s), ".");
      route();
    }
    return h("li", { class: "qz-item" }, title,
      h("div", { role: "group", class: "qz-choices", "aria-labelledby": title.id },
        ...choices.map((c) => c.node)), verdict);
  }

  const says = h("p", { class: "sc-says", role: "status" });
  const stops = h("ol", { class: "sc-route" });
  const again = llmbook.button(t("again"), () => { start(); list.querySelector("button").focus(); });
  const panel = h("div", { class: "sc-panel" }, h("p", { class: "qz-title", text: t("route") }),
    says, stops, again);

  function route() {
    const done = first.filter((x) => x !== undefined).length;
    const sections = data.questions.filter((_, i) => first[i] === false).map((q) => q.section);
    if (data.everybody && done) sections.push(data.everybody);
    again.hidden = !done;
    says.textContent = !done ? t("start", { n })
      : t(done < n ? "so_far" : "complete", { done, n, minutes: sum(sections),
        right: first.filter(Boolean).length });
    stops.replaceChildren(...sections.map((s) =>
      h("li", null, link(s), " " + t("minutes", { minutes: s.minutes }))));
  }
  const list = h("ol", { class: "qz-list" });
  function start() {
    first = [];
    list.replaceChildren(...data.questions.map(ask));
    route();
  }
  app.append(h("p", { class: "qz-title", text: data.title }), list, panel);
  start();
});
