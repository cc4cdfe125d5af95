"use strict";
// Texts of models and datasets reach the page through textContent only. The layout of the data: judge/report/browser.py.
(() => {
  const PER_PAGE = 25;
  const MANY = 5; // runs, from which on their scores have a line of their own
  const LONG = 80; // characters of a detail that opens on a click

  const root = document.documentElement;
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
  });

  // small copies that the page holds already; they stand in for files that did not travel along
  const copies = new Map();
  for (const image of document.querySelectorAll("img[data-address]")) {
    copies.set(image.dataset.address, image.src);
    image.addEventListener("error", () => image.replaceWith(absent(image.dataset.address)), { once: true });
  }

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  const SVG = "http://www.w3.org/2000/svg";
  function mark(number, marks) {
    const svg = document.createElementNS(SVG, "svg");
    const use = document.createElementNS(SVG, "use");
    svg.setAttribute("class", "mark");
    svg.setAttribute("aria-hidden", "true");
    svg.style.color = `var(--series-${number % marks})`;
    use.setAttribute("href", `#mark-${number % marks}`);
    svg.append(use);
    return svg;
  }

  // what is folded away is printed, too
  addEventListener("beforeprint", () => {
    for (const more of document.querySelectorAll("details.more")) more.open = true;
  });

  function absent(name) {
    return make("p", "missing", `picture ${name} is not here`);
  }

  function textOf(part) {
    if (typeof part === "string") return part;
    return part && typeof part === "object" && "t" in part ? part.t : "";
  }

  function said(part) {
    const paragraph = make("p", "said", textOf(part));
    paragraph.dir = "auto";
    if (part.c) paragraph.append(make("span", "cut", `… +${part.c.toLocaleString("en")} characters`));
    return paragraph;
  }

  function browser(place) {
    const data = JSON.parse(document.getElementById(place.dataset.for).textContent);
    const top = place.dataset.top === "" ? null : Number(place.dataset.top);
    const marks = Number(place.dataset.marks);
    const form = place.querySelector("form");
    const list = place.querySelector(".list");
    const count = place.querySelector(".count");
    const pages = place.querySelector(".pages");
    let shown = data.rows;
    let page = 0;

    place.style.setProperty("--runs", data.runs.length);
    place.classList.toggle("many", data.runs.length > MANY);

    function picture(number, alt) {
      const address = data.pictures[number];
      const image = make("img", "picture");
      image.alt = alt;
      image.addEventListener("error", () => image.replaceWith(absent(address)), { once: true });
      image.src = copies.get(address) || address;
      return image;
    }

    // where: whose picture it is, for those who do not see it
    function pieces(parts, where) {
      let count = 0;
      return parts.map((part) => {
        if (typeof part === "number" || (typeof part === "object" && "m" in part)) count += 1;
        return piece(part, `picture ${count} of ${where}`);
      });
    }

    function piece(part, alt) {
      if (typeof part === "number") return picture(part, alt);
      if (typeof part === "object" && "m" in part) return absent(part.m);
      if (typeof part === "object" && "d" in part) return make("p", "drawn", part.d);
      return said(part);
    }

    function outcome(answer) {
      if (answer === null) return "not answered";
      if (answer[0] === null) return `unscored: ${answer[1]}`;
      if (top === null) return answer[0] ? "right" : "wrong";
      return `${answer[0]} of ${top}`;
    }

    function chip(answer, text = outcome(answer)) {
      const element = make("span", "chip", text);
      if (answer === null || answer[0] === null) element.classList.add("none");
      else if (top === null) element.classList.add(answer[0] ? "good" : "bad");
      else element.style.setProperty("--share", answer[0] / top);
      return element;
    }

    function opened(row) {
      const [, , , truth, question, answers] = row;
      const inside = make("div", "open");
      const asked = make("div");
      asked.append(make("h4", "", "Question"), ...pieces(question, `question ${row[0]}`));
      if (!question.length) asked.append(make("p", "missing", "not in the results folder"));
      if (truth !== null) {
        const reference = make("p", "truth", textOf(truth));
        reference.prepend(make("b", "", "Reference: "));
        asked.append(reference);
      }
      inside.append(asked);
      answers.forEach((answer, number) => {
        if (answer === null) return;
        const [, , parts, feedback, probs, details] = answer;
        const column = make("div");
        const name = make("h4");
        const run = make("span", "run");
        run.append(mark(number, marks), make("span", "", data.runs[number]));
        name.append(run);
        column.append(name);
        const meta = make("p", "meta");
        meta.append(chip(answer));
        if (answer[1] !== null) meta.append(make("span", "", data.reasons[answer[1]] || ""));
        const long = [];
        details.forEach((value, which) => {
          if (value === null) return;
          if (typeof value !== "string" || value.length > LONG) {
            const more = make("details", "feedback");
            more.append(make("summary", "", data.details[which]), said(value));
            long.push(more);
            return;
          }
          const detail = make("span", "", `${data.details[which]}: `);
          detail.append(make("b", "", textOf(value)));
          meta.append(detail);
        });
        column.append(meta, ...long);
        const box = make("div", "answer");
        if (parts === null || !parts.length) box.append(make("p", "missing", "no answer kept"));
        else box.append(...pieces(parts, `the answer of ${data.runs[number]} to ${row[0]}`));
        column.append(box);
        if (feedback !== null) {
          const more = make("details", "feedback");
          more.append(make("summary", "", "What the judge said"), said(feedback));
          column.append(more);
        }
        if (probs !== null) {
          const bars = make("div", "probs");
          bars.setAttribute("role", "img");
          bars.setAttribute("aria-label", probs.map((share, score) => `${score}: ${share}%`).join(", "));
          probs.forEach((share, score) => {
            const bar = make("span");
            bar.style.setProperty("--p", share / 100);
            bar.append(make("i"), make("b", "", String(score)));
            bars.append(bar);
          });
          column.append(make("p", "label", "Probability of every score"), bars);
        }
        inside.append(column);
      });
      return inside;
    }

    function line(row) {
      const [id, index, category, , question, answers] = row;
      const item = make("li");
      const details = make("details");
      const summary = make("summary");
      const chips = make("span", "chips");
      answers.forEach((answer, number) => {
        const outcomes = chip(answer, outcome(answer).split(":")[0]);
        outcomes.title = `${data.runs[number]}: ${outcome(answer)}`;
        outcomes.prepend(mark(number, marks), make("span", "hidden", `${data.runs[number]}: `));
        chips.append(outcomes);
      });
      const start = question.map(textOf).find((text) => text.trim()) || "";
      summary.append(
        make("span", "id", index === null ? id : `${id} · ${index}`),
        make("span", "kind", data.categories[category]),
        make("span", "start", start.slice(0, 160)),
        chips,
      );
      details.append(summary);
      // pictures are looked for when somebody looks, not before
      details.addEventListener("toggle", () => details.append(opened(row)), { once: true });
      item.append(details);
      return item;
    }

    const words = new Map();
    function haystack(row) {
      let text = words.get(row);
      if (text === undefined) {
        const parts = [row[0], textOf(row[3]), ...row[4].map(textOf)];
        for (const answer of row[5]) {
          if (answer !== null) parts.push(...(answer[2] || []).map(textOf), textOf(answer[3]), ...answer[5].map(textOf));
        }
        text = parts.join("\n").toLowerCase();
        words.set(row, text);
      }
      return text;
    }

    function matches(row, wanted) {
      if (wanted.category !== "" && row[2] !== Number(wanted.category)) return false;
      if (wanted.outcome !== "") {
        const found = wanted.run === "" ? row[5] : [row[5][Number(wanted.run)]];
        const kinds = found.map(outcome);
        if (wanted.outcome === "differ") {
          if (new Set(row[5].map(outcome)).size < 2) return false;
        } else if (!kinds.includes(wanted.outcome)) return false;
      }
      return wanted.words.every((word) => haystack(row).includes(word));
    }

    function draw() {
      const last = Math.max(0, Math.ceil(shown.length / PER_PAGE) - 1);
      page = Math.min(Math.max(page, 0), last);
      list.replaceChildren(...shown.slice(page * PER_PAGE, (page + 1) * PER_PAGE).map(line));
      count.textContent = `${shown.length.toLocaleString("en")} of ${data.rows.length.toLocaleString("en")} questions`;
      pages.querySelector("span").textContent = `page ${(page + 1).toLocaleString("en")} of ${(last + 1).toLocaleString("en")}`;
      pages.querySelector('[data-step="-1"]').disabled = page === 0;
      pages.querySelector('[data-step="1"]').disabled = page === last;
    }

    let waiting = 0;
    function filter() {
      clearTimeout(waiting);
      const { text, category, outcome: wanted, run } = form.elements;
      const sought = {
        words: text.value.toLowerCase().split(/\s+/).filter(Boolean),
        category: category.value,
        outcome: wanted.value,
        run: run.value,
      };
      shown = data.rows.filter((row) => matches(row, sought));
      page = 0;
      draw();
    }

    function option(select, value, label) {
      const element = make("option", "", label);
      element.value = value;
      form.elements[select].append(element);
    }
    data.categories.forEach((name, number) => option("category", String(number), name || "no category"));
    const kinds = new Set();
    for (const row of data.rows) for (const answer of row[5]) kinds.add(outcome(answer));
    [...kinds].sort().forEach((kind) => option("outcome", kind, kind));
    if (data.runs.length > 1) {
      option("outcome", "differ", "runs differ");
      data.runs.forEach((name, number) => option("run", String(number), `in ${name}`));
    } else form.elements.run.hidden = true;

    form.elements.text.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(filter, 150);
    });
    form.addEventListener("change", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    for (const button of pages.querySelectorAll("button")) {
      button.addEventListener("click", () => {
        page += Number(button.dataset.step);
        draw();
        place.scrollIntoView({ block: "start" });
      });
    }
    draw();
  }

  for (const place of document.querySelectorAll(".browser")) browser(place);
})();
