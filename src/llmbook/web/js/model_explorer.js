// Model explorer: open a stage, choose a tensor, see its shape, its origin and its numbers.
llmbook.register("model_explorer", function (app, data, t) {
  const { h } = llmbook;
  const MASKED = -32768;
  const chosen = { stage: data.stage, tensor: 0, head: 0 };
  const shape = (tensor) => tensor.shape.map((n) => n.toLocaleString("en")).join(", ");
  const axis = { T: t("tokens"), S: t("looked_at"), H: t("heads"), D: t("d_head"), C: t("d_model"),
    F: t("d_ff"), V: t("vocabulary") };
  const here = () => data.stages[chosen.stage].tensors[chosen.tensor];

  // ---- the stages, from the ids down to the probabilities
  const stages = data.stages.map((stage, i) => {
    const last = stage.tensors[stage.tensors.length - 1];
    return h("button", { type: "button", class: "me-stage", onclick: () => open(i) },
      h("span", { class: "me-name", text: stage.title }),
      h("span", { class: "me-shape", text: "(" + shape(last) + ")" }));
  });
  const pointStage = llmbook.roving(stages, () => 1, open);
  const flow = h("div", { class: "me-flow", role: "group", "aria-label": t("stages") }, ...stages);

  // ---- the tensors of the open stage
  const list = h("div", { class: "me-list", role: "group", "aria-label": t("tensors") });
  let buttons = [], pointTensor = null;

  // ---- one tensor
  const title = h("p", { class: "me-title", role: "status" });
  const axes = h("p", { class: "me-axes" });
  const how = h("p", { class: "me-how" });
  const heads = h("div", { class: "me-heads" });
  const table = h("table", { class: "me-table" });
  const note = h("p", { class: "me-note" });

  function open(i) {
    chosen.stage = i;
    stages.forEach((button, k) => button.setAttribute("aria-expanded", k === i));
    pointStage(i);
    const tensors = data.stages[i].tensors;
    buttons = tensors.map((tensor, k) => h("button", { type: "button", class: "me-tensor",
      onclick: () => choose(k) }, h("span", { class: "me-name", text: tensor.name }),
      h("span", { class: "me-shape", text: "(" + shape(tensor) + ")" })));
    pointTensor = llmbook.roving(buttons, () => 1, choose);
    list.replaceChildren(...buttons);
    choose(Math.min(chosen.tensor, tensors.length - 1));
  }

  function choose(k) {
    chosen.tensor = k;
    buttons.forEach((button, j) => button.setAttribute("aria-pressed", j === k));
    pointTensor(k);
    const tensor = here(), n = tensor.heads || 1;
    chosen.head = Math.min(chosen.head, n - 1);
    heads.replaceChildren();
    if (n > 1) heads.append(h("span", { text: t("head") }), llmbook.choice(t("head"),
      Array.from({ length: n }, (_, i) => String(i)), chosen.head, (i) => { chosen.head = i; paint(); }).node);
    paint();
  }

  function paint() {
    const tensor = here();
    title.textContent = t("title", { stage: data.stages[chosen.stage].title, name: tensor.name });
    axes.textContent = tensor.axes.map((a, i) =>
      t("axis", { letter: a, word: axis[a], n: tensor.shape[i].toLocaleString("en") })).join(" · ");
    how.textContent = tensor.how;
    table.replaceChildren(...(tensor.top ? best(tensor) : numbers(tensor)));
    const width = tensor.shape[tensor.shape.length - 1];
    note.textContent = tensor.top ? t("note_top") : tensor.columns < width && !tensor.whole
      ? t("note_cut", { n: tensor.columns, all: width.toLocaleString("en") }) : "";
  }

  const rowHead = (i) => h("th", { scope: "row" }, llmbook.token(data.tokens[i]));

  function best(tensor) {
    return [h("tbody", {}, ...tensor.top.map((row, i) => h("tr", {}, rowHead(i),
      ...row.map(([token, units]) => h("td", { class: "me-best",
        style: `--me-part: ${Math.round(units / 100)}%` }, llmbook.token(token),
        h("span", { class: "me-percent", text: llmbook.fine(units / 1e4) }))))))];
  }

  function numbers(tensor) {
    const raw = new DataView(llmbook.bytes(tensor.values).buffer);
    const rows = data.tokens.length, columns = tensor.columns;
    const value = (i, j) => raw.getInt16(2 * ((chosen.head * rows + i) * columns + j), true);
    let top = 1;
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++)
        if (value(i, j) !== MASKED) top = Math.max(top, Math.abs(value(i, j)));
    const digits = top >= 1000 ? 1 : 2;
    const show = (v) => v === MASKED ? "\u2212∞"
      : llmbook.signed(tensor.whole ? v : (v / 100).toFixed(digits));
    const overKeys = tensor.axes[tensor.axes.length - 1] === "S";
    const head = tensor.whole ? null : h("thead", {}, h("tr", {}, h("td", {}),
      ...Array.from({ length: columns }, (_, j) => h("th", { scope: "col",
        class: overKeys ? "me-up" : "" }, overKeys ? llmbook.token(data.tokens[j]) : String(j)))));
    const body = h("tbody", {}, ...data.tokens.map((_, i) => h("tr", {}, rowHead(i),
      ...Array.from({ length: columns }, (_, j) => {
        const v = value(i, j), shade = v === MASKED || tensor.whole ? 0 : Math.abs(v) / top;
        return h("td", { class: v < 0 ? "me-minus" : "me-plus",
          style: `--me-shade: ${Math.round(40 * shade)}%`, text: show(v) });
      }))));
    return head ? [head, body] : [body];
  }

  app.append(h("div", { class: "me-panels" },
    h("div", {}, h("p", { class: "me-title", text: t("stages") }), flow),
    h("div", {}, h("p", { class: "me-title", text: t("tensors") }), list),
    h("div", { class: "me-one" }, title, axes, how, heads, table, note)));
  open(chosen.stage);
});
