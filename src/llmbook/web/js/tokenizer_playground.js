// Tokenizer playground: byte-level BPE, WordPiece and Unigram cut what the reader types.
llmbook.register("tokenizer_playground", function (app, data, t, root) {
  const { h } = llmbook;
  const WORD = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
  const utf8 = new TextEncoder(), strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const visible = (text) => text.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥")
    .replace(/\r/g, "␍").replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Zs}]/gu, "�") || "∅";

  // ---- byte-level BPE: the ids 0–255 are GPT-2's order of the bytes --------------------------
  function byteOrder() {
    const printable = (b) => (b > 32 && b < 127) || (b > 160 && b < 173) || b > 173;
    const all = [...Array(256).keys()];
    return all.filter(printable).concat(all.filter((b) => !printable(b)));
  }
  async function bpe(spec) {
    let rows = llmbook.bytes(spec.merges);
    if (spec.deflated) {
      const stream = new Blob([rows]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
      rows = new Uint8Array(await new Response(stream).arrayBuffer());
    }
    const n = rows.length / 4, order = byteOrder(), ids = new Map(), ranks = new Map();
    const spelled = order.map((b) => Uint8Array.of(b));
    order.forEach((b, i) => ids.set(b, i));
    for (let r = 0; r < n; r++) {
      const left = rows[r] + 256 * rows[n + r], right = rows[2 * n + r] + 256 * rows[3 * n + r];
      ranks.set(left * 65536 + right, 256 + r);
      const joined = new Uint8Array(spelled[left].length + spelled[right].length);
      joined.set(spelled[left]);
      joined.set(spelled[right], spelled[left].length);
      spelled.push(joined);
    }
    function word(text) {
      let row = Array.from(utf8.encode(text), (b) => ids.get(b));
      for (;;) {
        let best = Infinity;
        for (let i = 0; i + 1 < row.length; i++)
          best = Math.min(best, ranks.get(row[i] * 65536 + row[i + 1]) || Infinity);
        if (best === Infinity) return row;
        const next = [];
        for (let i = 0; i < row.length; i++) {
          const found = i + 1 < row.length && ranks.get(row[i] * 65536 + row[i + 1]) === best;
          next.push(found ? best : row[i]);
          if (found) i++;
        }
        row = next;
      }
    }
    function show(id) {
      try { return visible(strict.decode(spelled[id])); } catch {
        return Array.from(spelled[id], (b) => b.toString(16).padStart(2, "0")).join(" ").toUpperCase();
      }
    }
    return { size: 256 + n + 1,
      cut: (text) => (text.match(WORD) || []).flatMap(word).map((id) => [show(id), id]) };
  }

  // ---- WordPiece: BERT's words, then the longest known piece from the left -------------------
  const CHINESE = [[0x4e00, 0x9fff], [0x3400, 0x4dbf], [0x20000, 0x2a6df], [0x2a700, 0x2b73f],
    [0x2b740, 0x2b81f], [0x2b920, 0x2ceaf], [0xf900, 0xfaff], [0x2f800, 0x2fa1f]];
  const chinese = (c) => CHINESE.some(([a, b]) => c.codePointAt(0) >= a && c.codePointAt(0) <= b);
  const sign = (c) => /[!-/:-@[-`{-~\p{P}]/u.test(c);
  function words(text) {
    let clean = "";
    for (const c of text) {
      if (/[\t\n\r]/.test(c)) clean += " ";
      else if (c === "\ufffd" || /[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/u.test(c)) continue;
      else if (/\p{White_Space}/u.test(c)) clean += " ";
      else clean += chinese(c) ? " " + c + " " : c;
    }
    clean = clean.normalize("NFD").replace(/\p{Mn}/gu, "");
    let spaced = "";
    for (const c of clean) for (const d of c.toLowerCase()) spaced += sign(d) ? " " + d + " " : d;
    return spaced.split(/\p{White_Space}+/u).filter(Boolean);
  }
  function wordpiece(spec) {
    const ids = new Map(spec.vocab.map((piece, i) => [piece, i])), unknown = ids.get("[UNK]");
    function spell(word) {
      const letters = [...word], found = [];
      if (letters.length > 100) return [unknown];
      for (let start = 0; start < letters.length;) {
        let end = letters.length, id;
        for (; end > start; end--) {
          id = ids.get((start ? "##" : "") + letters.slice(start, end).join(""));
          if (id !== undefined) break;
        }
        if (id === undefined) return [unknown];
        found.push(id);
        start = end;
      }
      return found;
    }
    return { size: spec.vocab.length,
      cut: (text) => words(text).flatMap(spell).map((id) => [spec.vocab[id], id]) };
  }

  // ---- Unigram: the split with the highest sum of scores (Viterbi) ---------------------------
  function unigram(spec) {
    const ids = new Map(spec.vocab.map((piece, i) => [piece, i]));
    const unknown = Math.min(...spec.scores) - spec.penalty;
    const longest = Math.max(...spec.vocab.map((piece) => [...piece].length));
    function split(word) {
      const letters = [...word], n = letters.length;
      const best = [0, ...Array(n).fill(-Infinity)], back = Array(n + 1).fill(0), out = [];
      for (let end = 1; end <= n; end++)
        for (let start = Math.max(0, end - longest); start < end; start++) {
          const id = ids.get(letters.slice(start, end).join(""));
          const score = id !== undefined ? spec.scores[id] : end - start === 1 ? unknown : -Infinity;
          if (best[start] + score > best[end]) {
            best[end] = best[start] + score;
            back[end] = start;
          }
        }
      for (let end = n; end; end = back[end]) out.push(letters.slice(back[end], end).join(""));
      return out.reverse().map((piece) => [visible(piece), ids.has(piece) ? ids.get(piece) : -1]);
    }
    return { size: spec.vocab.length, cut: (text) => (text.match(WORD) || []).flatMap(split) };
  }

  // ---- the page ------------------------------------------------------------------------------
  const id = llmbook.uid();
  const field = h("textarea", { id, rows: 3, maxlength: 2000, class: "tp-field", spellcheck: "false",
    autocomplete: "off", dir: "auto" });
  const sizes = h("p", { class: "tp-sizes" });
  const status = h("p", { class: "lb-hidden", role: "status" });
  const grid = h("div", { class: "tp-results" });
  const panels = data.tokenizers.map((spec) => {
    const panel = { spec, count: h("span", { class: "tp-count" }), list: h("ol", { class: "tp-tokens",
      "aria-label": t("tokens_of", { name: spec.name }) }) };
    panel.title = h("p", { class: "tp-name", text: spec.name });
    grid.append(h("div", { class: "tp-panel" },
      h("div", { class: "tp-head" }, panel.title, panel.count), panel.list));
    return panel;
  });
  let numbers = false, later = null;
  const ids = llmbook.button(t("ids"), () => {
    numbers = !numbers;
    ids.setAttribute("aria-pressed", numbers);
    grid.classList.toggle("tp-ids", numbers);
  }, { "aria-pressed": "false" });
  const titles = [t("own"), ...data.samples.map(([title]) => title)];
  const sample = llmbook.select(t("sample"), titles, 0, (i) => {
    field.value = i ? data.samples[i - 1][1] : data.text;
    refresh();
  });

  const per = (n, m) => (m ? (n / m).toFixed(2) : "–");
  function refresh() {
    const text = field.value.toWellFormed ? field.value.toWellFormed() : field.value;
    const points = [...text].length, bytes = utf8.encode(text).length;
    const seen = window.Intl && Intl.Segmenter
      ? [...new Intl.Segmenter("en", { granularity: "grapheme" }).segment(text)].length : points;
    sizes.textContent = t("sizes", { seen, points, bytes });
    const said = [];
    for (const panel of panels) {
      if (!panel.cut) continue;
      const tokens = panel.cut(text);
      panel.list.replaceChildren(...tokens.map(([shown, number], i) => h("li", {
        class: "tp-token tp-c" + (i % 4) + (number < 0 || shown === "[UNK]" ? " tp-unknown" : "") },
      h("span", { class: "tp-text", text: shown }),
      h("span", { class: "tp-id", text: number < 0 ? t("unknown") : number }))));
      panel.count.textContent = t("count", { n: tokens.length, bytes: per(bytes, tokens.length),
        ratio: per(tokens.length, seen) });
      said.push(t("says", { name: panel.spec.name, n: tokens.length }));
    }
    clearTimeout(later);
    later = setTimeout(() => (status.textContent = said.join(" ")), 700);
  }
  field.addEventListener("input", () => { sample.input.value = 0; refresh(); });
  field.value = data.text;
  app.append(h("div", { class: "lb-row tp-top" }, h("label", { for: id, text: t("field") }),
    sample.node, ids), field, sizes, status, grid);
  const make = { bpe, wordpiece, unigram };
  Promise.all(panels.map(async (panel) => {
    try {
      const made = await make[panel.spec.kind](panel.spec);
      panel.cut = made.cut;
      panel.title.textContent = t("title", { name: panel.spec.name, size: made.size });
    } catch (error) {
      panel.count.textContent = t("failed");
      console.warn("llmbook: " + panel.spec.name, error);
    }
  })).then(() => {
    refresh();
    root.dataset.tokenizersReady = "true";
  });
});
