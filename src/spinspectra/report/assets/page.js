"use strict";
/* Draws the figures, sorts, filters and opens the table, and turns light into dark. All text goes in as text. */
(function () {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("page-data").textContent);
  const table = byId("table");
  const main = document.querySelector("main");
  const bodies = Array.from(table.tBodies);
  const PRINTED = [340, 690]; // pixels of a figure on paper: one of two in a row, or alone
  const drawn = new Set();
  let printing = false;

  /* ---- themes ---- */

  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => {
    const chosen = document.documentElement.dataset.theme;
    return !printing && (chosen ? chosen === "dark" : system.matches);
  };

  /* A colour of the figures on a dark ground: its twin, opacity kept. */
  function recoloured(value) {
    if (Array.isArray(value)) return value.map(recoloured);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, recoloured(one)]));
    }
    if (typeof value !== "string" || value[0] !== "#") return value;
    const twin = data.dark[value.slice(0, 7).toUpperCase()];
    return twin ? twin + value.slice(7) : value;
  }

  const themed = (value) => (isDark() ? recoloured(value) : value);

  /* ---- figures ---- */

  function layoutOf(spec, width) {
    const ink = isDark() ? "#e8eaed" : "#1b1f24";
    const rule = isDark() ? "#343b44" : "#dde1e6";
    const axis = (given) => ({
      automargin: true, gridcolor: rule, linecolor: ink, zeroline: false, showline: true, ticks: "outside",
      tickcolor: ink, ...given, title: { standoff: 8, font: { size: 13 }, ...given.title },
    });
    const size = width ? { width, autosize: false } : { autosize: true };
    return {
      ...spec.layout, ...size, xaxis: axis(spec.layout.xaxis), yaxis: axis(spec.layout.yaxis),
      height: printing ? Math.min(spec.height || 260, 300) : spec.height || 330,
      shapes: themed(spec.layout.shapes), showlegend: false, hovermode: "closest",
      hoverlabel: { namelength: -1 }, dragmode: "zoom", margin: { l: 60, r: 14, t: 30, b: 48 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink, size: 12, family: "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif" },
    };
  }

  const config = {
    responsive: true, displaylogo: false, displayModeBar: "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
  };

  const SHAPES = {
    area: '<rect x="0" y="2" width="22" height="10" opacity="0.6"/>',
    line: '<path d="M0 7h22"/>', solid: '<path d="M0 7h22"/>', dash: '<path d="M0 7h22" stroke-dasharray="6 4"/>',
    dot: '<path d="M0 7h22" stroke-dasharray="2 3"/>', dashdot: '<path d="M0 7h22" stroke-dasharray="6 3 2 3"/>',
    circle: '<circle cx="11" cy="7" r="4.5"/>', square: '<rect x="7" y="3" width="8" height="8"/>',
    diamond: '<path d="M11 2l5 5-5 5-5-5z"/>', star: '<path d="M11 1l2 4h4l-3 3 1 5-4-3-4 3 1-5-3-3h4z"/>',
    x: '<path d="M7 3l8 8M15 3l-8 8"/>', "triangle-up": '<path d="M11 2l5 9h-10z"/>',
    "triangle-down": '<path d="M11 12l5-9h-10z"/>', "line-ns": '<path d="M11 1v12"/>',
  };

  function swatch(entry) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const open = entry.mark.endsWith("-open");
    svg.setAttribute("width", "22");
    svg.setAttribute("height", "14");
    svg.setAttribute("aria-hidden", "true");
    svg.innerHTML = SHAPES[entry.mark.replace("-open", "")] || SHAPES.line; // from the list above, never from data
    const color = themed(entry.color);
    const filled = !open && !["line", "solid", "dash", "dot", "dashdot", "x"].includes(entry.mark);
    svg.firstChild.setAttribute("fill", filled ? color : "none");
    svg.firstChild.setAttribute("stroke", color);
    svg.firstChild.setAttribute("stroke-width", filled ? "1" : "2");
    return svg;
  }

  function element(tag, text, name) {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (name) made.className = name;
    return made;
  }

  let figures = 0;

  function figureOf(spec) {
    const figure = element("figure");
    const plot = element("div", "", "plot");
    const legend = element("ul", "", "legend");
    const caption = element("figcaption", spec.caption);
    caption.id = `caption-${(figures += 1)}`;
    plot.style.height = `${spec.height || 330}px`;
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", `${spec.title}: ${spec.layout.yaxis.title.text} against ${spec.layout.xaxis.title.text}`);
    plot.setAttribute("aria-describedby", caption.id);
    const fill = () => legend.replaceChildren(...spec.legend.map((entry) => {
      const item = element("li");
      item.append(swatch(entry), element("span", entry.label));
      return item;
    }));
    fill();
    figure.append(element("h4", spec.title), plot, legend, caption);
    return { figure, plot, spec, fill };
  }

  function draw(one) {
    const width = printing ? PRINTED[Number(one.figure.matches(":only-child"))] : 0;
    const done = window.Plotly.react(one.plot, themed(one.spec.data), layoutOf(one.spec, width), config);
    if (!drawn.has(one)) {
      drawn.add(one);
      one.plot.on("plotly_click", (event) => {
        const at = event.points[0].customdata;
        if (typeof at === "number") show(at);
      });
    }
    one.plot.style.height = "";
    return done;
  }

  /* One figure a task, the first after what was opened is seen, so that the page answers before and between them. */
  const waiting = [];
  const afterPaint = (work) => requestAnimationFrame(() => setTimeout(work));
  function pump() {
    const one = waiting.shift();
    if (!one) return;
    if (one.plot.isConnected) draw(one);
    if (waiting.length) setTimeout(pump);
    else main.setAttribute("aria-busy", "false");
  }

  function place(specs, where) {
    const made = specs.map(figureOf);
    where.append(...made.map((one) => one.figure));
    if (!waiting.length && made.length) afterPaint(pump);
    main.setAttribute("aria-busy", String(made.length > 0 || waiting.length > 0));
    waiting.push(...made);
    return made;
  }

  function redraw() {
    for (const one of drawn) {
      if (!one.plot.isConnected) drawn.delete(one);
      else {
        one.fill();
        draw(one);
      }
    }
  }

  /* ---- the table ---- */

  const shownOf = byId("shown");
  const panelOf = (at) => byId(`panel-${at}`);
  const buttonOf = (at) => byId(`layer-${at}`).querySelector(".open");

  function open(at) {
    const panel = panelOf(at);
    if (!panel.hidden) return;
    const layer = JSON.parse(byId(`layer-${at}-data`).textContent);
    const inside = element("div", "", "panel-inside");
    inside.append(element("p", layer.name, "full-name"));
    for (const text of layer.notes) inside.append(element("p", text));
    const values = element("dl", "", "values");
    layer.shown.forEach((text, i) => {
      if (text === "") return;
      const term = data.terms[i];
      const row = element("div");
      const title = element("dt");
      title.append(element("span", term.title), element("b", text));
      row.append(title, element("dd", term.meaning));
      values.append(row);
    });
    const plots = element("div", "", "figures");
    inside.append(plots, values);
    panel.firstElementChild.replaceChildren(inside);
    panel.hidden = false;
    byId(`layer-${at}`).classList.add("opened");
    buttonOf(at).setAttribute("aria-expanded", "true");
    place(layer.figures, plots);
  }

  function close(at) {
    const panel = panelOf(at);
    if (panel.hidden) return;
    for (const plot of panel.querySelectorAll(".js-plotly-plot")) window.Plotly.purge(plot);
    panel.firstElementChild.replaceChildren();
    panel.hidden = true;
    byId(`layer-${at}`).classList.remove("opened");
    buttonOf(at).setAttribute("aria-expanded", "false");
  }

  /* Open a layer and go there, whatever the filter hides. */
  function show(at) {
    if (byId(`layer-${at}`).hidden) {
      byId("filter").value = "";
      if (byId("status")) byId("status").value = "";
      filter();
    }
    open(at);
    byId(`layer-${at}`).scrollIntoView({ block: "start" });
    buttonOf(at).focus({ preventScroll: true });
  }

  table.addEventListener("click", (event) => {
    const row = event.target.closest("tr.row");
    if (!row || String(window.getSelection())) return;
    const at = Number(row.parentElement.dataset.at);
    if (panelOf(at).hidden) open(at);
    else close(at);
  });

  function sort(head) {
    const key = head.dataset.key;
    const known = (at) => data.rows[at][key];
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentElement.children) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const missing = (value) => value === null || value === undefined || value === "";
    const order = bodies.map((body) => Number(body.dataset.at)).sort((a, b) => {
      const [one, other] = [known(a), known(b)];
      if (missing(one) || missing(other)) return missing(one) - missing(other) || a - b; // unknown ones last
      const sign = typeof one === "string" ? one.localeCompare(other) : one - other;
      return (ascending ? sign : -sign) || a - b;
    });
    table.append(...order.map((at) => byId(`layer-${at}`)));
  }

  for (const head of table.tHead.rows[0].cells) {
    head.querySelector("button").addEventListener("click", () => sort(head));
  }

  function filter() {
    const text = byId("filter").value.trim().toLowerCase();
    const status = byId("status") ? byId("status").value : "";
    let n = 0;
    for (const body of bodies) {
      const row = data.rows[Number(body.dataset.at)];
      const fits = (!status || row.status_word === status)
        && (!text || [row.longname, row.layer_type, row.remark].some((one) => one && one.toLowerCase().includes(text)));
      body.hidden = !fits;
      n += fits;
    }
    shownOf.textContent = `${n} of ${bodies.length} layers`;
  }

  byId("filter").addEventListener("input", filter);
  if (byId("status")) byId("status").addEventListener("change", filter);
  byId("close-all").addEventListener("click", () => bodies.forEach((body) => close(Number(body.dataset.at))));

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-opens]");
    if (!link) return;
    event.preventDefault();
    show(Number(link.dataset.opens));
  });

  /* ---- light, dark, paper ---- */

  const THEMES = [["", "as the system"], ["light", "light"], ["dark", "dark"]];
  byId("theme").addEventListener("click", () => {
    const now = THEMES.findIndex(([name]) => name === (document.documentElement.dataset.theme || ""));
    const [name, said] = THEMES[(now + 1) % THEMES.length];
    if (name) document.documentElement.dataset.theme = name;
    else delete document.documentElement.dataset.theme;
    byId("theme").textContent = `Theme: ${said}`;
    redraw();
  });
  system.addEventListener("change", redraw);

  function paper(on) {
    if (printing === on) return;
    printing = on;
    const root = document.documentElement;
    if (on) {
      root.dataset.before = root.dataset.theme || "";
      root.dataset.theme = "light";
    } else if (root.dataset.before) root.dataset.theme = root.dataset.before;
    else delete root.dataset.theme;
    for (const one of document.querySelectorAll("details")) one.open = on;
    while (on && waiting.length) draw(waiting.shift());
    redraw();
  }
  window.addEventListener("beforeprint", () => paper(true));
  window.addEventListener("afterprint", () => paper(false));

  for (const where of document.querySelectorAll("[data-figures]")) place(data.figures[where.dataset.figures], where);
  const asked = /^#layer-(\d+)$/.exec(window.location.hash);
  if (asked && byId(`layer-${asked[1]}`)) show(Number(asked[1]));
})();
