// Shannon's guessing game: the reader guesses the next symbol until it is right.
llmbook.register("shannon_game", function (app, data, t) {
  const { h } = llmbook;
  const ALPHABET = "abcdefghijklmnopqrstuvwxyz ", N = ALPHABET.length;
  const RESAMPLES = 400, ENOUGH = 20;
  const shown = (c) => (c === " " ? "␣" : c);
  let passage, wanted, at, tried, ranks;

  const fold = (c) => (c === "\n" ? " " : c.toLowerCase());
  const counts = (c) => ALPHABET.includes(fold(c));

  // ---- numbers
  const weight = (i) => (i > 1 ? i * Math.log2(i) : 0);
  function bounds(list) {
    const q = new Array(N + 1).fill(0);
    for (const rank of list) q[rank] += 1 / list.length;
    let low = 0, high = 0;
    for (let i = 1; i <= N; i++) if (q[i]) {
      low += q[i] * (weight(i) - weight(i - 1));
      high -= q[i] * Math.log2(q[i]);
    }
    return [low, Math.max(0, high)];
  }

  // Whole words are drawn anew, since the letters of a word hang together.
  function intervals(list, random) {
    const words = [[]];
    list.forEach((rank, i) => {
      words[words.length - 1].push(rank);
      if (wanted[i] === " " && i + 1 < list.length) words.push([]);
    });
    const found = [];
    for (let k = 0; k < RESAMPLES; k++)
      found.push(bounds(words.flatMap(() => words[Math.floor(random() * words.length)])));
    return [0, 1].map((j) => {
      const sorted = found.map((pair) => pair[j]).sort((a, b) => a - b);
      return [sorted[Math.floor(0.025 * RESAMPLES)], sorted[Math.ceil(0.975 * RESAMPLES) - 1]];
    });
  }

  const order = (player, i) => passage.orders[player].slice(N * i, N * (i + 1));
  const rankOf = (player, i) => 1 + order(player, i).indexOf(wanted[i]);

  // ---- controls
  const chooser = llmbook.select(t("text"), data.passages.map((p) => p.title), 0, begin);
  const text = h("p", { class: "sh-text", lang: "en" });
  const status = h("p", { class: "sh-status", role: "status" });
  const id = llmbook.uid();
  const field = h("input", { id, class: "sh-input", type: "text", maxlength: 2, size: 3,
    autocomplete: "off", autocapitalize: "off", spellcheck: "false", oninput: () => {
      const typed = fold(field.value.slice(-1));
      field.value = "";
      if (typed) guess(typed);
    } });
  const keys = [...ALPHABET].map((c) => h("button", { type: "button", class: "sh-key",
    "aria-label": c === " " ? t("space") : c, text: shown(c), onclick: () => guess(c) }));
  const point = llmbook.roving(keys, () => Math.max(1, Math.round(
    board.clientWidth / keys[0].getBoundingClientRect().width)), () => {});
  const board = h("div", { class: "sh-keys", role: "group", "aria-label": t("keys") }, ...keys);
  point(0);
  const helper = llmbook.button(t("help", { player: data.players[0] }), finish);
  const again = llmbook.button(t("again"), () => begin(data.passages.indexOf(passage)));
  const bars = llmbook.bars(t("bars"));
  const legend = h("p", { class: "sh-note", text: t("legend",
    { player: data.players[data.players.length - 1] }) });
  const table = h("table", { class: "sh-table" });
  const note = h("p", { class: "sh-note" });

  // ---- the game
  function begin(i) {
    passage = data.passages[i];
    wanted = [...passage.hidden].map(fold).filter((c) => ALPHABET.includes(c));
    at = 0;
    tried = "";
    ranks = [];
    status.textContent = t("start", { n: wanted.length });
    paint();
  }

  function guess(c) {
    if (at >= wanted.length || !ALPHABET.includes(c)) return;
    if (tried.includes(c)) return void (status.textContent = t("twice", { c: shown(c) }));
    tried += c;
    if (c !== wanted[at]) {
      status.textContent = t("no", { c: shown(c), n: tried.length });
      return paintKeys();
    }
    ranks.push(tried.length);
    status.textContent = t("yes", { c: shown(c), n: tried.length,
      others: data.players.map((name, k) => `${name} ${rankOf(k, at)}`).join(", ") });
    at += 1;
    tried = "";
    if (at === wanted.length) status.textContent = t("done", { n: at });
    paint();
  }

  // The first player's order decides among the symbols not tried yet: still one fixed rule.
  function finish() {
    if (at >= wanted.length) return;
    for (const c of order(0, at)) {
      if (tried.includes(c)) continue;
      const place = at;
      guess(c);
      if (at !== place) return;
    }
  }

  // ---- pictures
  function paintText() {
    let seen = 0;
    const parts = [h("span", { class: "sh-given", text: passage.given })];
    for (const c of passage.hidden) {
      if (seen === at && (counts(c) || at === wanted.length)) break;
      const rank = counts(c) ? ranks[seen++] : 1;
      parts.push(h("span", { class: rank > 3 ? "sh-far" : rank > 1 ? "sh-near" : null,
        title: rank > 1 ? t("rank", { n: rank }) : null, text: c }));
    }
    if (at < wanted.length) parts.push(h("span", { class: "sh-gap", text: "▁" }));
    text.replaceChildren(...parts);
  }

  function paintKeys() {
    keys.forEach((key, i) => {
      const out = at >= wanted.length || tried.includes(ALPHABET[i]);
      key.setAttribute("aria-disabled", out);
      key.classList.toggle("sh-out", out);
    });
    helper.disabled = again.disabled = false;
    helper.disabled = at >= wanted.length;
    again.disabled = !at && !tried;
  }

  const range = ([a, b]) => `${a.toFixed(2)}–${b.toFixed(2)}`;
  function row(name, list, enough) {
    const both = bounds(list);
    const spread = enough ? intervals(list, llmbook.rng(1)) : null;
    const cell = (k) => h("td", null, both[k].toFixed(2),
      spread ? h("small", { text: range(spread[k]) }) : null);
    const first = list.filter((rank) => rank === 1).length / list.length;
    return h("tr", null, h("th", { scope: "row", text: name }),
      h("td", { text: llmbook.percent(first) }), cell(0), cell(1));
  }

  function paintTable() {
    const head = h("tr", null, ...["player", "first", "lower", "upper"].map((key) =>
      h("th", { scope: "col", text: t(key) })));
    const enough = at >= ENOUGH;
    const lists = data.players.map((_, k) => wanted.slice(0, at).map((_, i) => rankOf(k, i)));
    const rows = at ? [row(t("you"), ranks, enough),
      ...data.players.map((name, k) => row(name, lists[k], enough))] : [];
    table.replaceChildren(h("caption", { text: t("table", { n: at }) }),
      h("thead", null, head), h("tbody", null, ...rows));
    table.hidden = bars.node.hidden = legend.hidden = !at;
    const paid = data.players.map((name, k) => `${name} ${(passage.bits[k].slice(0, at)
      .reduce((a, b) => a + b, 0) / 1000 / at).toFixed(2)}`).join(", ");
    note.textContent = !at ? "" : t("paid", { paid }) + (enough ? "" : " " + t("more", { n: ENOUGH }));
    const groups = [[1, 1], [2, 2], [3, 3], [4, 6], [7, N]];
    const share = (list, [a, b]) => list.filter((r) => r >= a && r <= b).length / (at || 1);
    bars.update(groups.map((g) => ({ value: share(ranks, g), mark: share(lists[lists.length - 1], g),
      label: g[0] === g[1] ? t("guess", { n: g[0] }) : t("guesses", { a: g[0], b: g[1] }),
      text: llmbook.percent(share(ranks, g)) })));
  }

  function paint() {
    paintText();
    paintKeys();
    paintTable();
  }

  app.append(chooser.node, text,
    h("div", { class: "lb-row sh-entry" }, h("label", { for: id, text: t("type") }), field, status),
    board, h("div", { class: "lb-row" }, helper, again), table, note, bars.node, legend);
  begin(0);
});
