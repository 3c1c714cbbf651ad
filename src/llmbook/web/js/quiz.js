// Quiz: each choice answers at once, with the reason why it is right or what misleads.
llmbook.register("quiz", function (app, data, t) {
  const { h, rich } = llmbook;
  const n = data.questions.length;
  let first = [];
  const score = h("p", { class: "qz-score", role: "status" });

  function ask(question, i) {
    const title = h("p", { class: "qz-text", id: llmbook.uid() });
    title.append(h("span", { class: "lb-hidden", text: t("question", { i: i + 1, n }) + ": " }),
      ...rich(question.text));
    const verdict = h("div", { class: "qz-why", role: "status" });
    const choices = question.choices.map((choice, k) => {
      const mark = h("span", { class: "qz-mark", "aria-hidden": "true", text: "ABCDEFGH"[k] });
      const node = h("button", { type: "button", class: "qz-choice", "aria-pressed": "false",
        onclick: () => answer(k) }, mark, h("span", null, ...rich(choice)));
      return { node, mark };
    });
    llmbook.roving(choices.map((c) => c.node), () => 1, () => {})(0);

    function answer(k) {
      const right = k === question.answer;
      choices.forEach(({ node, mark }, j) => {
        node.setAttribute("aria-pressed", j === k);
        node.classList.toggle("qz-right", j === k && right);
        node.classList.toggle("qz-wrong", j === k && !right);
        mark.textContent = j !== k ? "ABCDEFGH"[j] : right ? "✓" : "✗";
      });
      verdict.className = "qz-why " + (right ? "qz-right" : "qz-wrong");
      verdict.replaceChildren(h("strong", { text: t(right ? "right" : "wrong") + " " }),
        ...rich(question.why[k]));
      if (first[i] === undefined) first[i] = right;
      tally();
    }
    return h("li", { class: "qz-item" }, title,
      h("div", { role: "group", class: "qz-choices", "aria-labelledby": title.id },
        ...choices.map((c) => c.node)), verdict);
  }

  const again = llmbook.button(t("again"), () => { start(); list.querySelector("button").focus(); });
  function tally() {
    const done = first.filter((x) => x !== undefined).length;
    score.textContent = done ? t("score", { right: first.filter(Boolean).length, n }) : "";
    again.hidden = !done;
  }
  const list = h("ol", { class: "qz-list" });
  function start() {
    first = [];
    list.replaceChildren(...data.questions.map(ask));
    tally();
  }
  app.append(h("p", { class: "qz-title", text: data.title }), list,
    h("div", { class: "lb-row" }, score, again));
  start();
});
