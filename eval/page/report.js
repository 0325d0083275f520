"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 50;
  const VERDICTS = ["right", "wrong", "silent"];
  const control = (id) => document.getElementById(id);
  const [system, verdict, group, attribute, text, least, most, order] =
    ["system", "verdict", "group", "attribute", "text", "least", "most", "order"].map(control);
  const table = control("answers");
  const pagers = [...document.querySelectorAll(".pages")];
  let found = [];  // [system, question] of what the filters let through
  let page = 0;

  // Values come from knowledge bases and models: they only ever become text.
  function element(tag, content, className) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (content !== undefined) made.append(content);
    return made;
  }

  const triple = (number) => data.triples[number];
  const candidateText = ([answer, , evidence]) => (answer === 0 ? triple(evidence[0])[2] : answer);
  const answerText = ([answer, , , , , candidates]) =>
    typeof answer === "number" ? candidateText(candidates[answer]) : answer;

  const fold = (value) => value.normalize("NFKC").toLowerCase();
  const questionTexts = [];  // folded when they are first searched
  const answerTexts = data.rows.map(() => []);
  const questionText = (number) => {
    const [id, question, gold] = data.questions[number];
    return (questionTexts[number] ??= fold([id, question, ...gold].join("\n")));
  };
  const answerTextOf = (place, number) =>
    (answerTexts[place][number] ??= fold(answerText(data.rows[place][number]) ?? ""));

  function wanted() {
    const attributeText = attribute.value.trim();
    const exact = data.attributes.indexOf(attributeText);
    const words = fold(text.value).split(/\s+/).filter(Boolean);
    const from = least.value === "" ? 0 : Number(least.value);
    const to = most.value === "" ? 1 : Number(most.value);
    const asked = attributeText === "" ? [] : data.attributes.map((name) => fold(name).includes(fold(attributeText)));
    return (place, number) => {
      const row = data.rows[place][number];
      if (!row) return false;
      const [, confidence, judged, failed] = row;
      const predicate = data.questions[number][3];
      return (verdict.value === "" || judged === Number(verdict.value)) &&
        (group.value === "" || failed === group.value) &&
        confidence >= from && confidence <= to &&
        (attributeText === "" || (exact >= 0 ? predicate === exact : predicate >= 0 && asked[predicate])) &&
        words.every((word) => questionText(number).includes(word) || answerTextOf(place, number).includes(word));
    };
  }

  function search() {
    const fits = wanted();
    const places = system.value === "" ? data.systems.map((_, place) => place) : [Number(system.value)];
    found = [];
    let all = 0;
    for (let number = 0; number < data.questions.length; number++) {
      for (const place of places) {
        all += data.rows[place][number] ? 1 : 0;
        if (fits(place, number)) found.push([place, number]);
      }
    }
    if (order.value !== "file") {
      const sign = order.value === "high" ? -1 : 1;
      const confidence = ([place, number]) => data.rows[place][number][1];
      found.sort((a, b) => sign * (confidence(a) - confidence(b)));
    }
    control("count").textContent =
      `${found.length.toLocaleString("en")} of ${all.toLocaleString("en")} answers` +
      (all ? ` (${((100 * found.length) / all).toFixed(1)} %)` : "");
    page = 0;
    show();
  }

  function show() {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    table.tBodies[0].replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(shown));
    for (const pager of pagers) {
      pager.hidden = pages === 1;
      pager.querySelector("span").textContent = `page ${page + 1} of ${pages}`;
      for (const button of pager.querySelectorAll("button")) {
        const next = page + Number(button.dataset.step);
        button.disabled = next < 0 || next >= pages;
      }
    }
  }

  function shown([place, number]) {
    const [id, question, gold, predicate] = data.questions[number];
    const row = data.rows[place][number];
    const made = document.createElement("tr");
    const cells = [
      cell("Question", question, "faint", [`id ${id}`, predicate >= 0 ? data.attributes[predicate] : "",
        data.systems.length > 1 ? data.systems[place] : ""].filter(Boolean).join(" · ")),
      goldCell(number, gold, row[6]),
      answerCell(row),
      evidenceCell(row),
      verdictCell(row),
    ];
    made.append(...cells);
    return made;
  }

  function cell(label, content, className, more) {
    const made = element("td", content);
    made.dataset.label = label;
    if (more) made.append(element("span", more, className));
    return made;
  }

  function goldCell(number, gold, hidden) {
    const made = cell("Gold", hidden ? `hidden: ${hidden}` : gold.length ? gold.join("; ") : "none");
    const known = data.questions[number][4];
    if (known >= 0) made.append(element("span", triple(known).join(" | "), "faint"));
    return made;
  }

  function answerCell(row) {
    const answer = answerText(row);
    const made = cell("Answer", answer ?? "nothing told", "faint",
      `confidence ${row[1].toFixed(3)}` + (row[4] ? `, ${row[4].replaceAll("_", " ")}` : ""));
    const candidates = row[5];
    if (candidates.length) {
      const details = element("details");
      details.append(element("summary", "candidates"));
      const list = element("ol");
      for (const candidate of candidates) {
        const item = element("li", candidateText(candidate));
        item.append(element("span", candidate[1].toFixed(3), "faint"));
        list.append(item);
      }
      details.append(list);
      made.append(details);
    }
    return made;
  }

  function evidenceCell([answer, , , , , candidates]) {
    const told = typeof answer === "number" ? candidates[answer][2] : [];
    const made = cell("Evidence", told.length ? undefined : "none");
    for (const number of told) {
      const [subject, predicate, object] = triple(number);
      const line = element("span", `${subject} | `, "triple");
      line.append(element("b", predicate), ` | ${object}`);
      made.append(line);
    }
    return made;
  }

  function verdictCell([, , judged, failed]) {
    const made = cell("Verdict");
    made.append(element("span", VERDICTS[judged], `verdict ${VERDICTS[judged]}`));
    if (failed) {
      const why = element("span", failed.replaceAll("_", " "), "faint");
      why.title = data.groups[failed] ?? "";
      made.append(why);
    }
    return made;
  }

  function option(value, name) {
    const made = element("option", name);
    made.value = value;
    return made;
  }

  function fill() {
    system.append(...data.systems.map((name, place) => option(String(place), name)));
    if (data.systems.length > 1) system.append(option("", "all systems"));
    const failures = new Set(data.rows.flatMap((rows) => rows.map((row) => (row ? row[3] : ""))));
    group.append(...Object.keys(data.groups).filter((name) => failures.has(name)).map((name) => option(name, name.replaceAll("_", " "))));
    const counts = data.attributes.map(() => 0);
    for (const [, , , predicate] of data.questions) if (predicate >= 0) counts[predicate] += 1;
    const common = counts.map((count, place) => [count, place]).sort((a, b) => b[0] - a[0]).slice(0, 300);
    control("attributes").append(...common.map(([, place]) => option(data.attributes[place])));
  }

  function later(action, milliseconds) {
    let waiting;
    return () => {
      clearTimeout(waiting);
      waiting = setTimeout(action, milliseconds);
    };
  }

  function listen() {
    const filters = control("filters");
    filters.addEventListener("input", later(search, 120));
    filters.addEventListener("reset", () => setTimeout(search));
    filters.addEventListener("submit", (event) => event.preventDefault());
    for (const pager of pagers) {
      pager.addEventListener("click", (event) => {
        if (!event.target.dataset.step) return;
        page += Number(event.target.dataset.step);
        show();
        table.scrollIntoView({ block: "start" });
      });
    }
    for (const link of document.querySelectorAll("a[data-group]")) {
      link.addEventListener("click", () => {
        filters.reset();
        system.value = link.dataset.system;
        group.value = link.dataset.group;
        setTimeout(search);
      });
    }
  }

  function theme() {
    const button = control("theme");
    const isDark = () => getComputedStyle(document.documentElement).colorScheme === "dark";
    const label = () => { button.textContent = isDark() ? "Light" : "Dark"; };
    const kept = "kbqa-report-theme";
    try {
      const chosen = localStorage.getItem(kept);
      if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
    } catch { /* a page from a file may have no storage */ }
    button.addEventListener("click", () => {
      document.documentElement.dataset.theme = isDark() ? "light" : "dark";
      try { localStorage.setItem(kept, document.documentElement.dataset.theme); } catch { /* as above */ }
      label();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
    label();
    button.hidden = false;
  }

  theme();
  if (!data.systems.length) {
    control("count").textContent = "No system has answers.";
    return;
  }
  fill();
  listen();
  control("filters").hidden = false;
  table.hidden = false;
  search();
})();
