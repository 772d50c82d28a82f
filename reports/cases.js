"use strict";
// The table of cases: sorts, filters, and opens a case with what was found on it. Nothing is fetched: what a case shows
// is in its own <script type="application/json" id="case-data-INDEX">, read when it is opened:
//   about: text; picture: data URI or null; size: [width, height]; scale: [x, y], of the outlines' units;
//   reference, prediction: {structure: path}; contact: path; points, reference_points: [[name, x, y], …];
//   box, reference_box: [x, y, width, height]; diameter: text; facts: [[name, text], …]; flags: [text, …];
//   measures: {columns: [text, …], rows: [[text, …], …]}. What there is not is null or empty.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const ADDRESS = "#case=";
  const byId = (id) => document.getElementById(id);
  const dialog = byId("case");
  const shownCount = byId("cases-shown");
  const table = document.querySelector(".cases table");
  const body = table.tBodies[0];
  const worstFirst = [...body.rows];
  let rows = worstFirst;
  let open = null;

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function shape(name, attributes, ...children) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const nameOf = (row) => row.cells[0].textContent;
  const buttonOf = (row) => row.cells[0].firstElementChild;
  const visible = () => rows.filter((row) => !row.hidden);

  // The table -------------------------------------------------------------------------------------------------------

  for (const row of worstFirst) {
    const cell = row.cells[0];
    cell.replaceChildren(element("button", { type: "button", class: "open", tabindex: "-1" }, cell.textContent));
  }
  const words = new Map(worstFirst.map((row) => [row, row.textContent.toLowerCase()]));

  // One row at a time is in the order of the Tab key; the arrow keys move on from it.
  function makeTabStop(row) {
    body.querySelector(".open[tabindex='0']")?.setAttribute("tabindex", "-1");
    if (row) buttonOf(row).setAttribute("tabindex", "0");
  }

  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row && !String(getSelection())) show(row);
  });
  body.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target.closest("tr");
    if (!step || !row || event.altKey || event.ctrlKey || event.metaKey) return;
    const among = visible();
    const next = among[among.indexOf(row) + step];
    event.preventDefault();
    if (!next) return;
    makeTabStop(next);
    buttonOf(next).focus();
  });

  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = element("button", { type: "button" }, heading.textContent);
    heading.replaceChildren(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      sortBy(column, heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
    });
  });

  const collator = new Intl.Collator("en", { numeric: true });
  function keyOf(row, column) {
    const cell = row.cells[column];
    const text = cell.dataset.sort ?? cell.textContent.trim();
    if (!("number" in headings[column].dataset)) return text === "–" ? "" : text;
    const value = Number.parseFloat(text.replace("−", "-"));
    return Number.isNaN(value) ? "" : value;
  }

  function sortBy(column, direction) {
    const sign = direction === "ascending" ? 1 : -1;
    const compare = (a, b) => (typeof a === "number" ? a - b : collator.compare(a, b));
    const keyed = worstFirst.map((row) => ({ row, key: keyOf(row, column) }));
    // What has no value is last either way; the sort is stable, so equals stay worst first.
    keyed.sort((a, b) => (a.key === "") - (b.key === "") || (a.key === "" ? 0 : sign * compare(a.key, b.key)));
    arrange(keyed.map(({ row }) => row));
    headings.forEach((heading, at) => heading.setAttribute("aria-sort", at === column ? direction : "none"));
  }

  function arrange(order) {
    rows = order;
    body.append(...rows);
    makeTabStop(visible()[0]);
  }

  const filters = document.querySelector(".filters");
  const valueOf = (id) => byId(id)?.value ?? "";
  function filter() {
    const wanted = valueOf("filter-text").toLowerCase().split(/\s+/).filter(Boolean);
    const [view, phase, kind] = ["filter-view", "filter-phase", "filter-kind"].map(valueOf);
    for (const row of worstFirst) {
      row.hidden = !(
        (!view || row.dataset.view === view) &&
        (!phase || row.dataset.phase === phase) &&
        (!kind || row.dataset.kinds.split(" ").includes(kind)) &&
        wanted.every((word) => words.get(row).includes(word))
      );
    }
    const among = visible();
    shownCount.textContent = `${among.length} of ${rows.length} cases shown`;
    makeTabStop(among[0]);
  }
  filters.addEventListener("input", filter); // while text is typed
  filters.addEventListener("change", filter); // some browsers say no more of a choice
  byId("filter-reset").addEventListener("click", () => {
    for (const field of filters.querySelectorAll("input, select")) field.value = "";
    headings.forEach((heading) => heading.setAttribute("aria-sort", "none"));
    arrange(worstFirst);
    filter();
  });

  // One case --------------------------------------------------------------------------------------------------------

  function show(row) {
    open = row;
    const data = JSON.parse(byId(`case-data-${row.dataset.index}`).textContent);
    byId("case-title").textContent = nameOf(row);
    byId("case-about").textContent = data.about;
    if (!dialog.open) {
      dialog.showModal();
      byId("case-title").focus();
    }
    byId("case-picture").replaceChildren(...pictureOf(row, data));
    byId("case-figures").replaceChildren(...figuresOf(data));
    byId("case-figures").scrollTop = 0;
    nameStructures();
    const among = visible();
    const at = among.indexOf(row);
    byId("case-place").textContent = at < 0 ? "not among the cases shown" : `${at + 1} of ${among.length}`;
    setDisabled(byId("case-previous"), at <= 0);
    setDisabled(byId("case-next"), at < 0 || at === among.length - 1);
    history.replaceState(null, "", ADDRESS + encodeURIComponent(nameOf(row)));
  }

  // Unlike `disabled`, this keeps the focus where it is at either end.
  const setDisabled = (button, is) => button.setAttribute("aria-disabled", String(is));

  function move(step) {
    const among = visible();
    const at = among.indexOf(open);
    if (at >= 0 && among[at + step]) show(among[at + step]);
  }

  function pictureOf(row, data) {
    if (!data.size) return [element("p", { class: "no-picture" }, "There is no picture of this case in the evaluation.")];
    const [width, height] = data.size;
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": "case-alt" });
    svg.append(shape("title", { id: "case-alt" }, `Frame ${nameOf(row)}: ${data.alt}`));
    if (data.picture) {
      svg.append(shape("image", { href: data.picture, width, height, preserveAspectRatio: "none" }));
    }
    const place = { transform: `scale(${data.scale.join(" ")})` };
    const line = (classes, d, attributes = {}) => {
      svg.append(shape("path", { ...attributes, class: `rim ${classes}`, d }));
      svg.append(shape("path", { ...attributes, class: classes, d }));
    };
    const lvLast = (paths) => Object.entries(paths).sort(([a], [b]) => (a === "LV") - (b === "LV"));
    for (const [name, d] of lvLast(data.prediction)) line(`outline ${name.toLowerCase()} of-prediction`, d, place);
    for (const [name, d] of lvLast(data.reference)) line(`outline ${name.toLowerCase()} of-reference`, d, place);
    const rectangle = ([x, y, w, h]) => `M${x} ${y}h${w}v${h}h${-w}z`;
    if (data.reference_box) line("box of-box of-reference", rectangle(data.reference_box));
    if (data.box) line("box of-box", rectangle(data.box));
    if (data.contact) line("contact of-contact", data.contact, place);
    const across = (points) => `M${points.map(([, x, y]) => `${x} ${y}`).join("L")}`;
    if (data.reference_points) line("diameter of-diameter of-reference", across(data.reference_points));
    if (data.points) line("diameter of-diameter", across(data.points));
    const unit = Math.max(width, height) / 100;
    for (const [, x, y] of data.reference_points ?? []) {
      const d = `M${x - unit} ${y - unit}l${2 * unit} ${2 * unit}m0 ${-2 * unit}l${-2 * unit} ${2 * unit}`;
      line("cross of-points of-reference", d);
    }
    const write = (text, x, y, classes, anchor = "middle") => {
      svg.append(shape("text", { x, y, class: classes, "text-anchor": anchor, "font-size": 2.6 * unit }, text));
    };
    if (data.points) {
      const [[, ax], [, bx]] = data.points;
      for (const [name, x, y] of data.points) {
        svg.append(shape("circle", { cx: x, cy: y, r: 0.9 * unit, class: "disc of-points" }));
        const isRight = x >= (ax + bx) / 2;
        write(name, x + (isRight ? 2 : -2) * unit, y + 3 * unit, "name of-points", isRight ? "start" : "end");
      }
      const below = Math.max(...data.points.map(([, , y]) => y)) + 5 * unit;
      if (data.diameter) write(data.diameter, (ax + bx) / 2, below, "length of-diameter");
    }
    return [svg];
  }

  // Names stand in the middle of their outlines, where the browser knows how large those are; the myocardium's at its top,
  // the atrium's low, beyond the diameter's text.
  function nameStructures() {
    const svg = byId("case-picture").querySelector("svg");
    if (!svg) return;
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const data = new Set();
    for (const path of svg.querySelectorAll(".outline:not(.rim)")) {
      const name = path.classList[1].toUpperCase();
      if (data.has(name)) continue; // the prediction's comes first
      data.add(name);
      const { x, y, width: w, height: h } = path.getBBox();
      const [sx, sy] = path.getAttribute("transform").match(/[\d.]+/g).map(Number);
      const size = (2.6 * Math.max(width, height)) / 100;
      const down = name === "MYO" ? y * sy + 1.1 * size : (y + h * (name === "LA" ? 0.75 : 0.5)) * sy + size / 3;
      svg.append(
        shape("text", { x: (x + w / 2) * sx, y: down, class: "name of-names", "text-anchor": "middle", "font-size": size }, name),
      );
    }
  }

  function figuresOf(data) {
    const parts = [];
    const facts = element("dl");
    for (const [name, text] of data.facts) facts.append(element("div", {}, element("dt", {}, name), element("dd", {}, text)));
    parts.push(facts);
    if (data.flags.length) {
      parts.push(element("h3", {}, "Look at"), element("ul", {}, ...data.flags.map((text) => element("li", {}, text))));
    }
    if (data.measures.rows.length) {
      const cells = ([first, ...rest], name, scope) => [
        element("th", { scope }, first),
        ...rest.map((text) => element(name, name === "th" ? { scope } : {}, text)),
      ];
      const measures = element("table", {}, element("caption", {}, "Outlines"));
      measures.append(element("thead", {}, element("tr", {}, ...cells(data.measures.columns, "th", "col"))));
      measures.append(
        element("tbody", {}, ...data.measures.rows.map((row) => element("tr", {}, ...cells(row, "td", "row")))),
      );
      parts.push(measures);
    }
    return parts;
  }

  byId("case-layers").addEventListener("change", (event) => {
    byId("case-picture").classList.toggle(`hide-${event.target.value}`, !event.target.checked);
  });
  byId("case-previous").addEventListener("click", () => move(-1));
  byId("case-next").addEventListener("click", () => move(1));
  byId("case-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    move(step);
  });
  dialog.addEventListener("close", () => {
    history.replaceState(null, "", `#${table.closest("section").id}`);
    if (!open || open.hidden) return;
    makeTabStop(open);
    buttonOf(open).focus();
  });

  function openAddressed() {
    if (!location.hash.startsWith(ADDRESS)) return;
    let name = location.hash.slice(ADDRESS.length);
    try {
      name = decodeURIComponent(name);
    } catch {
      // a name typed by hand with a stray per cent sign: taken as it is
    }
    const row = worstFirst.find((candidate) => nameOf(candidate) === name);
    if (row) show(row);
    else shownCount.textContent = `There is no case ${name} in this report.`;
  }

  table.classList.add("opens");
  filters.hidden = false;
  filter();
  addEventListener("hashchange", openAddressed);
  openAddressed();
})();
