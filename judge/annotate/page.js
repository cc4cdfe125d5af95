// Texts of questions and answers reach the page through textContent only. What the server sends: judge/annotate/session.py.
(() => {
  const LETTERS = "abcdefg";
  const $ = (id) => document.getElementById(id);

  const root = document.documentElement;
  $("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  let token = "";
  let scale = []; // the scores that may be given, ascending
  let of = 0; // answers in all
  let item = null; // the one that is shown, as the server sent it
  let busy = false; // while the server is asked for something
  // the draft
  let marked = false; // whether marks are given at all
  let own = false; // whether the score was chosen, not taken from the marks

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function say(text, bad = false) {
    $("message").textContent = text;
    $("message").classList.toggle("bad", bad);
  }

  async function ask(address, given) {
    const options = { headers: { "X-Mmjudge-Token": token } };
    if (given !== undefined) Object.assign(options, { method: "POST", body: JSON.stringify(given) });
    let answer;
    try {
      answer = await fetch(address, options);
    } catch {
      throw new Error("The server does not answer. Has it been stopped? Start it again and open the address it prints.");
    }
    const value = await answer.json();
    if (!answer.ok) throw new Error(`Not done: ${value.problem}.`);
    return value;
  }

  // one thing at a time
  async function alone(work) {
    if (busy) return;
    busy = true;
    try {
      await work();
    } catch (error) {
      say(error.message, true);
    } finally {
      busy = false;
    }
  }

  function piece(part) {
    if ("image" in part) {
      const image = make("img", "picture");
      image.alt = "picture";
      image.loading = "lazy";
      image.addEventListener("error", () => image.replaceWith(make("p", "missing", "a picture that cannot be shown")), { once: true });
      image.addEventListener("click", () => image.classList.toggle("large"));
      image.src = part.image;
      return [image];
    }
    const made = [];
    if (part.text) {
      const said = make("p", "said", part.text);
      said.dir = "auto";
      made.push(said);
    }
    if (part.cut) made.push(make("p", "cut", `… ${part.cut}`));
    return made;
  }

  const boxes = () => [...$("criteria").querySelectorAll("input")];
  const radios = () => [...$("scores").querySelectorAll("input")];
  const chosen = () => radios().find((radio) => radio.checked);
  const points = (box) => (box.checked ? Number(box.dataset.points) : 0);

  // the sum of the marks on the scale
  function sum() {
    const total = boxes().reduce((before, box) => before + points(box), 0);
    return Math.min(Math.max(total, scale[0]), scale[scale.length - 1]);
  }

  function choose(score) {
    for (const radio of radios()) radio.checked = Number(radio.value) === score;
  }

  function draw() {
    const suggested = marked ? sum() : null;
    if (marked && !own) choose(suggested);
    for (const box of boxes()) box.closest("label").querySelector(".points").textContent = marked ? String(points(box)).replace("-", "−") : "–";
    for (const radio of radios()) radio.closest("label").classList.toggle("suggested", Number(radio.value) === suggested);
    $("sum").textContent = marked ? `sum ${suggested}` : "not marked";
    const score = chosen();
    const differs = marked && score && Number(score.value) !== suggested;
    $("apart").textContent = differs ? `the marks say ${suggested}` : "";
    $("clear").disabled = !marked;
  }

  function draft(score, marks, feedback) {
    marked = marks !== null;
    for (const box of boxes()) box.checked = marked && marks[box.name] !== 0;
    own = score !== null && !(marked && sum() === score);
    choose(score);
    $("feedback").value = feedback;
    draw();
  }

  function criterion([name, text, value], number) {
    const label = make("label", value < 0 ? "criterion off" : "criterion");
    const box = make("input");
    box.type = "checkbox";
    box.name = name;
    box.dataset.points = value;
    box.addEventListener("change", () => {
      marked = true;
      draw();
    });
    const words = make("span", "name", name);
    words.append(make("span", "text", text));
    label.append(box, number < LETTERS.length ? make("kbd", "", LETTERS[number]) : make("span"), words, make("span", "points", "–"));
    return label;
  }

  function choice(score) {
    const label = make("label");
    const radio = make("input");
    radio.type = "radio";
    radio.name = "score";
    radio.value = String(score);
    radio.addEventListener("change", () => {
      own = true;
      draw();
    });
    label.append(radio, make("span", "", String(score)));
    return label;
  }

  function progress(value) {
    of = value.of;
    $("annotator").textContent = value.annotator;
    $("bar").max = value.of;
    $("bar").value = value.scored;
    $("count").textContent = `${value.scored.toLocaleString("en")} of ${value.of.toLocaleString("en")} scored`;
    document.title = `${value.scored} of ${value.of} · mmjudge annotate`;
    $("undo").disabled = value.scored === 0;
  }

  async function show(position) {
    item = await ask(`item/${position}`);
    $("position").textContent = `Answer ${(position + 1).toLocaleString("en")} of ${of.toLocaleString("en")} · ${item.category}`;
    $("state").textContent = item.score === null ? "" : `✓ scored ${item.score}`;
    $("previous").disabled = position === 0;
    $("following").disabled = position === of - 1;
    for (const side of ["question", "answer"]) $(side).replaceChildren(...item[side].flatMap(piece));
    $("truth-card").hidden = item.truth === null;
    $("truth").replaceChildren(...(item.truth === null ? [] : piece(item.truth)));
    $("rubric").textContent = item.rubric;
    $("criteria").replaceChildren(...item.criteria.map(criterion));
    $("criteria-set").hidden = item.criteria.length === 0;
    draft(item.score, item.marks, item.feedback);
    scrollTo(0, 0);
    $("form").scrollTo(0, 0);
    $("position").focus({ preventScroll: true });
    root.dataset.item = position;
  }

  function go(step) {
    alone(async () => {
      const position = item.item + step;
      if (position < 0 || position >= of) return;
      await show(position);
      say("");
    });
  }

  function save() {
    const score = chosen();
    if (!score) return say(`A score first: a digit from ${scale[0]} to ${scale[scale.length - 1]}.`, true);
    const marks = marked ? Object.fromEntries(boxes().map((box) => [box.name, points(box)])) : null;
    const given = { item: item.item, score: Number(score.value), criteria: marks, feedback: $("feedback").value };
    return alone(async () => {
      const value = await ask("score", given);
      progress(value);
      await show(value.next ?? item.item);
      say(value.next === null ? `All ${of.toLocaleString("en")} answers are scored. You may close the page and stop the server.` : "Saved.");
    });
  }

  function undo() {
    return alone(async () => {
      const value = await ask("undo", {});
      progress(value);
      await show(value.undone);
      draft(value.was.score, value.was.marks, value.was.feedback);
      say("Taken back. Enter saves it as it is here.");
    });
  }

  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  $("undo").addEventListener("click", undo);
  $("clear").addEventListener("click", () => unmark());
  $("previous").addEventListener("click", () => go(-1));
  $("following").addEventListener("click", () => go(1));
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("close").addEventListener("click", () => $("help").close());

  function unmark() {
    if (!marked) return;
    marked = false;
    for (const box of boxes()) box.checked = false;
    if (!own) choose(null);
    draw();
  }

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (!item || $("help").open || event.altKey || event.metaKey) return;
    if (target === $("feedback")) {
      if (key === "Escape") target.blur();
      else if (key === "Enter" && event.ctrlKey && !event.repeat) save();
      return;
    }
    if (event.ctrlKey || busy) return; // what is pressed before the next answer is there is not about it
    const letter = LETTERS.indexOf(key);
    if (scale.map(String).includes(key)) {
      choose(Number(key));
      own = true;
      draw();
    } else if (letter >= 0 && letter < boxes().length) boxes()[letter].click();
    else if (key === "=" && marked) {
      own = false;
      draw();
    } else if (key === "x") unmark();
    else if (key === "n") $("feedback").focus();
    else if (key === "?") $("help").showModal();
    else if (key === "u" && !event.repeat) undo();
    else if (key === "j") go(1);
    else if (key === "k") go(-1);
    else if (key === "ArrowRight" && target.type !== "radio") go(1);
    else if (key === "ArrowLeft" && target.type !== "radio") go(-1);
    else if (key === "Enter" && !["BUTTON", "SUMMARY"].includes(target.tagName)) {
      if (!event.repeat) save();
    } else return;
    event.preventDefault();
  });

  alone(async () => {
    const value = await ask("progress");
    token = value.token;
    scale = value.scores;
    $("scores").append(...scale.map(choice));
    $("lowest").textContent = scale[0];
    $("highest").textContent = scale[scale.length - 1];
    progress(value);
    await show(value.next ?? 0);
    if (value.next === null) say("All answers are scored.");
  });
})();
