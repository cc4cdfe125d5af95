// Texts of models and datasets reach the page through textContent only. What the server sends: judge/view/server.py.
(() => {
  const SORTS = [
    ["", "order of the questions"], ["low", "score, lowest first"], ["high", "score, highest first"],
    ["gain", "lead of the first run"], ["loss", "lead of the second run"],
    ["unsure", "entropy: judge unsure first"], ["sure", "entropy: judge sure first"],
  ];
  const OF_QUERY = ["q", "in", "category", "reason", "score", "of", "better", "pair", "sort"];
  const MARKS = 300; // of what was searched, in one text

  const $ = (id) => document.getElementById(id);
  const number = (value) => value.toLocaleString("en");
  const root = document.documentElement;

  let about = null;
  let table = null; // the benchmark that is shown, as the server describes it
  let perPage = 50;
  let row = null; // the question that is shown, as the server sent it
  let asked = { list: "", row: "" }; // addresses that were asked for last; what comes of earlier ones is too late
  let pictures = [];

  $("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // --- the address ------------------------------------------------------------------------------------------------

  const state = () => new URLSearchParams(location.hash.slice(1));

  function changed(changes) {
    const next = state();
    for (const [name, value] of Object.entries(changes)) {
      if (value === "" || value === null || value === undefined) next.delete(name);
      else next.set(name, value);
    }
    return `#${next}`;
  }

  function go(changes, replace = false) {
    const hash = changed(changes);
    if (hash === (location.hash || "#")) return;
    if (replace) history.replaceState(null, "", hash);
    else history.pushState(null, "", hash);
    draw();
  }

  // what decides which rows are found, for the server
  function query(more = {}) {
    const now = state();
    const sent = new URLSearchParams();
    for (const [name, value] of now) if (OF_QUERY.includes(name) || name.startsWith("d.")) sent.append(name, value);
    for (const [name, value] of Object.entries(more)) sent.append(name, value);
    return sent.toString();
  }

  const ofRow = ([id, index]) => ({ id, index: index === null ? "" : index });

  async function ask(address) {
    let answer;
    try {
      answer = await fetch(address);
    } catch {
      throw new Error("The server does not answer. Has it been stopped? Start it again and open the address it prints.");
    }
    let value;
    try {
      value = await answer.json();
    } catch {
      throw new Error("The server had an error; its terminal says which.");
    }
    if (!answer.ok) throw new Error(`Not done: ${value.problem}.`);
    return value;
  }

  const say = (text) => { $("message").textContent = text; };

  // --- texts ------------------------------------------------------------------------------------------------------

  function words() {
    const found = [...(state().get("q") || "").matchAll(/"([^"]+)"?|(\S+)/g)].map((match) => match[1] ?? match[2]);
    return found.length ? new RegExp(found.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "giu") : null;
  }

  // the text as nodes, with marks where a word that was searched stands
  function marked(text, wanted) {
    if (!wanted) return [document.createTextNode(text)];
    const nodes = [];
    let end = 0;
    for (const match of text.matchAll(wanted)) {
      if (nodes.length > 2 * MARKS) break;
      nodes.push(document.createTextNode(text.slice(end, match.index)), make("mark", "", match[0]));
      end = match.index + match[0].length;
    }
    nodes.push(document.createTextNode(text.slice(end)));
    return nodes;
  }

  function said(text, wanted) {
    const paragraph = make("p", "said");
    paragraph.dir = "auto";
    paragraph.append(...marked(text, wanted));
    return paragraph;
  }

  function picture(address, alt) {
    const button = make("button", "picture");
    button.type = "button";
    const image = make("img");
    image.alt = alt;
    image.loading = "lazy";
    image.addEventListener("error", () => button.replaceWith(make("p", "missing", `${alt}: cannot be shown`)), { once: true });
    button.append(image);
    button.addEventListener("click", () => enlarge(pictures.indexOf(button)));
    pictures.push(button);
    image.src = address;
    return button;
  }

  function pieces(parts, whose, wanted) {
    let count = 0;
    return parts.map((part) => {
      if ("image" in part) return picture(part.image, `picture ${++count} of ${whose}`);
      if ("missing" in part) return make("p", "missing", `a picture that is not here: ${part.missing}`);
      if ("drawn" in part) return make("p", "drawn", part.drawn);
      return said(part.text, wanted);
    });
  }

  // --- pictures ---------------------------------------------------------------------------------------------------

  function enlarge(which) {
    const shown = pictures.filter((button) => button.isConnected);
    const image = shown[which]?.querySelector("img");
    if (!image) return;
    $("picture").dataset.which = which;
    $("picture-title").textContent = image.alt;
    $("large").src = image.src;
    $("large").alt = image.alt;
    $("picture-before").disabled = which === 0;
    $("picture-after").disabled = which === shown.length - 1;
    if (!$("picture").open) $("picture").showModal();
  }

  const turn = (step) => enlarge(Number($("picture").dataset.which) + step);
  $("picture-before").addEventListener("click", () => turn(-1));
  $("picture-after").addEventListener("click", () => turn(1));
  $("picture-close").addEventListener("click", () => $("picture").close());
  $("picture").addEventListener("click", (event) => { if (event.target === $("picture")) $("picture").close(); });

  // --- outcomes ---------------------------------------------------------------------------------------------------

  function chip(outcome, title) {
    const element = make("span", "chip");
    element.title = title;
    if (outcome === null || outcome[0] === null) {
      element.classList.add("none");
      element.textContent = outcome === null ? "·" : "–";
      return element;
    }
    const [score] = outcome;
    element.textContent = table.judged ? score : score === table.highest ? "✓" : "✗";
    if (score === table.highest) element.classList.add("good");
    else if (score === table.lowest) element.classList.add("bad");
    return element;
  }

  function inWords(outcome) {
    if (outcome === null) return "not asked";
    if (outcome[0] === null) return `unscored: ${outcome[1]}`;
    const failed = outcome[1] ? ` (${outcome[1]})` : "";
    if (!table.judged) return `${outcome[0] === table.highest ? "right" : "wrong"}${failed}`;
    return `${outcome[0]} of ${table.highest}${failed}`;
  }

  function shownRuns() {
    const given = state().get("runs");
    const all = table.runs.map((_, position) => position);
    if (!given) return all;
    const wanted = new Set(given.split(",").map((text) => Number(text) - 1));
    const found = all.filter((position) => wanted.has(position));
    return found.length ? found : all;
  }

  // --- the list ---------------------------------------------------------------------------------------------------

  function listed([id, index, category, begin, outcomes]) {
    const item = make("li");
    const link = make("a");
    link.href = changed({ id, index: index === null ? "" : index });
    const name = make("span", "id", index === null ? id : `${id} · ${index}`);
    const chips = make("span", "chips");
    for (const run of shownRuns()) chips.append(chip(outcomes[run], `${table.runs[run].name}: ${inWords(outcomes[run])}`));
    const text = make("span", "begin", `${category} · ${begin || "no question kept"}`);
    text.dir = "auto";
    link.append(name, chips, text);
    link.dataset.id = id;
    link.dataset.index = index === null ? "" : index;
    item.append(link);
    return item;
  }

  function current(scroll) {
    const now = state();
    for (const link of $("list").querySelectorAll("a")) {
      const here = now.has("id") && link.dataset.id === now.get("id") && link.dataset.index === (now.get("index") || "");
      if (here) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      if (here && scroll) {
        const list = $("list");
        if (link.offsetTop - list.offsetTop < list.scrollTop || link.offsetTop - list.offsetTop + link.offsetHeight > list.scrollTop + list.clientHeight)
          list.scrollTop = link.offsetTop - list.offsetTop - list.clientHeight / 3;
      }
    }
  }

  async function drawList() {
    const from = Math.max(0, Number(state().get("from")) || 0);
    const address = `list/${encodeURIComponent(table.name)}?${query({ from })}`;
    const look = `${address} ${state().get("runs") || ""}`;
    if (asked.list === look) return current(true);
    asked.list = look;
    $("count").textContent = "…";
    let found;
    try {
      found = await ask(address);
    } catch (error) {
      if (asked.list === look) $("count").textContent = error.message;
      asked.list = "";
      return;
    }
    if (asked.list !== look) return;
    $("list").replaceChildren(...found.rows.map(listed));
    $("list").scrollTop = 0;
    const all = found.total === table.rows;
    $("count").textContent = all ? `${number(found.total)} questions` : `${number(found.total)} of ${number(table.rows)} questions`;
    $("page").textContent = found.rows.length ? `${number(from + 1)}–${number(from + found.rows.length)}` : "none";
    $("page-before").disabled = from === 0;
    $("page-after").disabled = from + found.rows.length >= found.total;
    drawRuns(found.means);
    const lines = [...table.cautions, ...found.notes];
    $("cautions").replaceChildren(...lines.map((line) => make("li", "", line)));
    $("cautions").hidden = !lines.length;
    const sent = query();
    for (const kind of ["jsonl", "csv"]) $(kind).href = `export/${encodeURIComponent(table.name)}.${kind}?${sent}`;
    current(true);
    root.dataset.list = look;
  }

  function drawRuns(means) {
    const shown = new Set(shownRuns());
    $("mean-title").textContent = table.judged ? `mean of the selection, of ${table.highest}` : "right, of the selection";
    $("runs").tBodies[0].replaceChildren(...table.runs.map((run, position) => {
      const line = make("tr");
      const box = make("input");
      box.type = "checkbox";
      box.checked = shown.has(position);
      box.setAttribute("aria-label", `show ${run.name}`);
      box.addEventListener("change", () => {
        if (box.checked) shown.add(position);
        else shown.delete(position);
        const every = shown.size === 0 || shown.size === table.runs.length;
        go({ runs: every ? "" : [...shown].sort((one, other) => one - other).map((which) => which + 1).join(",") });
      });
      const first = make("td");
      first.append(box);
      const name = make("th", "", run.name);
      name.scope = "row";
      const [n, mean] = means[position];
      const value = mean === null ? "–" : table.judged ? `${mean.toFixed(2)} (n=${number(n)})` : `${(100 * mean).toFixed(1)}% (n=${number(n)})`;
      line.append(first, name, ...[number(run.n), number(run.unscored), number(run.failed), value].map((text) => make("td", "number", text)));
      return line;
    }));
  }

  // --- one question -----------------------------------------------------------------------------------------------

  function meta(answer) {
    const list = make("dl", "meta");
    const add = (name, text) => list.append(make("dt", "", name), make("dd", "", text));
    add("decided by", answer.by === "rule" ? "a rule" : "the judge");
    for (const [name, text] of answer.details) add(name, text);
    if (answer.probs) {
      add("score probabilities", answer.probs.flatMap((share, score) => (share >= 0.005 ? [`${score}: ${Math.round(100 * share)}%`] : [])).join(" · "));
      add("entropy", `${answer.entropy.toFixed(2)} bits, expectation ${answer.expected.toFixed(2)}`);
    }
    if (answer.system) add("failed in the system", Object.entries(answer.system).map((pair) => pair.join(": ")).join(", "));
    return list;
  }

  function column(run, answer, wanted) {
    const { name } = table.runs[run];
    const card = make("section", "card");
    const title = make("h3", "", name);
    const outcome = answer === null ? null : [answer.score, answer.reason];
    title.append(chip(outcome, inWords(outcome)));
    card.setAttribute("aria-label", name);
    card.append(title);
    if (answer === null) {
      card.append(make("p", "missing", "this run was not asked this question"));
      return card;
    }
    if (answer.reason) card.append(make("p", "wrong", `${answer.failed ? "the model failed" : "unscored"}: ${answer.reason}, ${answer.meaning}`));
    card.append(meta(answer));
    if (answer.question) card.append(make("h4", "", "Asked otherwise"), ...pieces(answer.question, `the question as ${name} was asked`, wanted));
    card.append(make("h4", "", "Answer"));
    if (answer.answer === null || !answer.answer.length) card.append(make("p", "missing", answer.answer === null ? "no answer kept" : "nothing"));
    else card.append(...pieces(answer.answer, `the answer of ${name}`, wanted));
    if (answer.feedback !== null) {
      const box = make("div", "feedback");
      box.append(make("h4", "", "The judge's feedback"), said(answer.feedback, wanted));
      card.append(box);
    }
    return card;
  }

  function fill() {
    const wanted = words();
    pictures = [];
    const question = make("section", "card asked");
    question.append(make("h3", "unseen", "Question"));
    question.append(...(row.question ? pieces(row.question, "the question", wanted) : [make("p", "missing", "the question is not in the results folder")]));
    if (row.truth !== null) question.append(make("h4", "", "Reference"), said(row.truth, wanted));
    const sides = make("div", "sides");
    sides.setAttribute("role", "region");
    sides.setAttribute("aria-label", "answers side by side");
    sides.tabIndex = 0;
    sides.append(...shownRuns().map((run) => column(run, row.runs[run], wanted)));
    $("shown").replaceChildren(question, sides);
  }

  async function drawRow() {
    const now = state();
    document.body.dataset.reading = now.has("id") ? "yes" : "no";
    if (!now.has("id")) {
      asked.row = "";
      row = null;
      $("shown").replaceChildren();
      $("position").textContent = "Choose a question";
      $("previous").disabled = $("following").disabled = true;
      say("");
      return;
    }
    const address = `row/${encodeURIComponent(table.name)}?${query({ id: now.get("id"), index: now.get("index") || "" })}`;
    const look = `${address} ${now.get("runs") || ""}`;
    if (asked.row === look) return;
    asked.row = look;
    let found;
    try {
      found = await ask(address);
    } catch (error) {
      if (asked.row !== look) return;
      asked.row = "";
      row = null;
      $("shown").replaceChildren();
      $("position").textContent = now.get("id");
      return say(error.message);
    }
    if (asked.row !== look) return;
    row = found;
    say("");
    const place = row.position === null ? "not in this selection" : `${number(row.position + 1)} of ${number(row.total)}`;
    const name = row.index === null ? row.id : `${row.id} (index ${row.index})`;
    $("position").textContent = `${name} · ${row.category} · ${place}`;
    document.title = `${row.id} · mmjudge view`;
    $("previous").disabled = row.previous === null;
    $("following").disabled = row.following === null;
    fill();
    root.dataset.row = look;
    if (row.position !== null) {
      const from = Math.floor(row.position / perPage) * perPage;
      if (from !== (Number(now.get("from")) || 0)) go({ from: from || "" }, true);
    }
  }

  function step(which) {
    const to = row?.[which];
    if (!to) return;
    go(ofRow(to));
    scrollTo(0, 0);
  }

  // --- filters ----------------------------------------------------------------------------------------------------

  function options(select, pairs, value) {
    select.replaceChildren(...pairs.map(([key, text]) => {
      const option = make("option", "", text);
      option.value = key;
      return option;
    }));
    select.value = value ?? "";
    if (select.selectedIndex < 0) select.selectedIndex = 0;
  }

  function drawFilters() {
    const now = state();
    const runs = table.runs.map((run, position) => [String(position + 1), run.name]);
    const several = runs.length > 1;
    if (document.activeElement !== $("q")) $("q").value = now.get("q") || "";
    $("within").value = now.get("in") || "";
    options($("benchmark"), about.benchmarks.map((each) => [each.name, each.title]), table.name);
    $("benchmark-label").hidden = about.benchmarks.length < 2;
    options($("sort"), SORTS.filter(([key]) => (several || !["gain", "loss"].includes(key)) && (table.entropy || !["unsure", "sure"].includes(key))), now.get("sort"));
    options($("category"), [["", "all"], ...table.categories.map((name) => [name, name])], now.get("category"));
    $("facets").replaceChildren(...table.facets.map((facet) => {
      const label = make("label", "", `${facet.label} `);
      const select = make("select");
      options(select, [["", "all"], ...facet.values], now.get(`d.${facet.name}`));
      select.addEventListener("change", () => go({ [`d.${facet.name}`]: select.value, from: "" }));
      label.append(select);
      return label;
    }));
    options($("reason"), [["", "whatever"], ["none", "nothing"], ["any", "anything"], ...Object.keys(table.reasons).map((code) => [code, code])], now.get("reason"));
    const scores = Array.from({ length: table.highest - table.lowest + 1 }, (_, step) => String(table.highest - step));
    options($("score"), [["", "any"], ...scores.map((score) => [score, table.judged ? score : score === "1" ? "right" : "wrong"])], now.get("score"));
    $("of-label").hidden = $("pair").hidden = !several;
    options($("of"), [["", "any run"], ...runs], now.get("of"));
    const [, first, relation, second] = (now.get("better") || now.get("pair") || "1=2").match(/^(\d+)([<>=!])(\d+)$/) || [null, "1", "=", "2"];
    options($("first"), runs, first);
    options($("second"), runs, second);
    const better = table.judged ? ["is better than", "is worse than"] : ["right, wrong in", "wrong, right in"];
    options($("relation"), [["", "whatever"], [">", better[0]], ["<", better[1]], ["!", "differs from"], ["=", "equals"]], now.has("better") ? relation : "");
    const conditions = [...new Set(table.runs.map((run) => run.condition))];
    $("condition-label").hidden = conditions.length < 2;
    const ofCondition = (condition) => table.runs.flatMap((run, position) => (run.condition === condition ? [position + 1] : [])).join(",");
    options($("condition"), [["", "all"], ...conditions.map((name) => [ofCondition(name), name || "plain"])], now.get("runs"));
    const active = [...now.keys()].filter((name) => ["category", "reason", "score", "of", "better", "sort"].includes(name) || name.startsWith("d."));
    $("active").textContent = active.length ? `(${active.length} set)` : "";
  }

  for (const [id, name] of [["sort", "sort"], ["category", "category"], ["reason", "reason"], ["score", "score"], ["of", "of"], ["within", "in"]]) {
    $(id).addEventListener("change", () => go({ [name]: $(id).value, from: "" }));
  }
  $("condition").addEventListener("change", () => go({ runs: $("condition").value }));
  for (const id of ["first", "relation", "second"]) {
    $(id).addEventListener("change", () => {
      const pair = (sign) => `${$("first").value}${sign}${$("second").value}`;
      const relation = $("relation").value;
      go({ better: relation ? pair(relation) : "", pair: relation || pair("=") === "1=2" ? "" : pair("="), from: "" });
    });
  }
  $("benchmark").addEventListener("change", () => {
    history.pushState(null, "", `#${new URLSearchParams({ b: $("benchmark").value })}`);
    draw();
  });
  $("reset").addEventListener("click", () => {
    const kept = new URLSearchParams();
    for (const name of ["b", "id", "index", "runs"]) if (state().has(name)) kept.set(name, state().get(name));
    history.pushState(null, "", `#${kept}`);
    draw();
  });
  let typing = 0;
  $("q").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => go({ q: $("q").value.trim(), from: "" }, true), 120);
  });
  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    go({ q: $("q").value.trim(), from: "" }, true);
    $("list").querySelector("a")?.focus();
  });
  $("filter").addEventListener("submit", (event) => event.preventDefault());
  const page = (step) => go({ from: Math.max(0, (Number(state().get("from")) || 0) + step * perPage) || "", id: "", index: "" });
  $("page-before").addEventListener("click", () => page(-1));
  $("page-after").addEventListener("click", () => page(1));
  $("previous").addEventListener("click", () => step("previous"));
  $("following").addEventListener("click", () => step("following"));
  $("back").addEventListener("click", () => go({ id: "", index: "" }));
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("help-close").addEventListener("click", () => $("help").close());

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (!table || event.altKey || event.metaKey || event.ctrlKey) return;
    if ($("picture").open) {
      if (key === "ArrowLeft") turn(-1);
      else if (key === "ArrowRight") turn(1);
      else return;
    } else if ($("help").open) return;
    else if (target === $("q")) {
      if (key !== "Escape") return;
      target.blur();
    } else if (["SELECT", "TEXTAREA"].includes(target.tagName)) return;
    else if (key === "/") {
      $("q").focus();
      $("q").select();
    } else if (key === "f") {
      $("filters").open = !$("filters").open;
      if ($("filters").open) $("sort").focus();
    } else if (key === "l") go({ id: "", index: "" });
    else if (key === "?") $("help").showModal();
    else if (key === "j" || key === "ArrowRight") {
      if (row) step("following");
      else $("list").querySelector("a")?.click();
    } else if (key === "k" || key === "ArrowLeft") step("previous");
    else return;
    event.preventDefault();
  });

  // --- all of it --------------------------------------------------------------------------------------------------

  function draw() {
    const wanted = state().get("b");
    const next = about.benchmarks.find((each) => each.name === wanted) || about.benchmarks[0];
    if (next !== table) {
      table = next;
      asked = { list: "", row: "" };
      $("title").textContent = `${table.title}: runs side by side`;
      document.title = `${table.title} · mmjudge view`;
    }
    drawFilters();
    drawList();
    drawRow();
  }

  addEventListener("popstate", () => { if (about) draw(); });
  if (matchMedia("(min-width: 901px)").matches) $("filters").open = true;

  (async () => {
    try {
      about = await ask("about");
    } catch (error) {
      say(error.message);
      return;
    }
    perPage = about.page;
    draw();
  })();
})();
