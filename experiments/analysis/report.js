// What needs a script: the viewer of the images and their order, copies of tables. Text, tables and pictures stand without.
"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);

for (const hidden of all(".scripted")) hidden.hidden = false;

// Tables: which way there is more of one, and its cells for the clipboard.
const cells = (table) =>
  all("tr", table).map((row) =>
    [...row.cells].flatMap((cell) => {
      const text = [...cell.childNodes].map((node) => node.textContent.trim()).filter(Boolean).join(" ");
      return [text.replace(/\s+/g, " "), ...Array(cell.colSpan - 1).fill("")];
    }));
const asCsv = (rows) =>
  rows.map((row) => row.map((text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(",")).join("\r\n") + "\r\n";
const LATEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "±": "$\\pm$", "−": "$-$", "×": "$\\times$", "–": "--" };
const inLatex = (text) => text.replace(/[\\~^±−×–]|[&%$#_{}]/g, (sign) => LATEX[sign] || `\\${sign}`);
const asLatex = (rows, heads) => {
  const width = Math.max(...rows.map((row) => row.length));
  const lines = rows.map((row) => `  ${[...row, ...Array(width - row.length).fill("")].map(inLatex).join(" & ")} \\\\`);
  return [`\\begin{tabular}{l${"r".repeat(width - 1)}}`, "  \\hline", ...lines.slice(0, heads), "  \\hline", ...lines.slice(heads), "  \\hline", "\\end{tabular}", ""].join("\n");
};
const copy = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
};
for (const box of all(".scroll")) {
  const more = () => {
    box.classList.toggle("moved", box.scrollLeft > 1);
    box.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
  };
  box.addEventListener("scroll", more, { passive: true });
  new ResizeObserver(more).observe(box);
  const tools = document.createElement("div");
  tools.className = "tools";
  for (const [name, written] of [["CSV", asCsv], ["LaTeX", asLatex]]) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: `copy as ${name}` });
    const say = (text, label) => {
      button.textContent = text;
      button.setAttribute("aria-label", label);
    };
    const offer = () => say(`copy as ${name}`, `copy ${box.getAttribute("aria-label")} as ${name}`);
    offer();
    button.addEventListener("click", async () => {
      const table = one("table", box);
      await copy(written(cells(table), table.tHead.rows.length));
      say("copied", "copied");
      setTimeout(offer, 1500);
    });
    tools.append(button);
  }
  box.after(tools);
}

// On paper nothing unfolds: what was folded is printed open.
let folded = [];
addEventListener("beforeprint", () => {
  folded = all("details:not([open])");
  for (const details of folded) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of folded) details.open = false;
});

// A link to something folded opens it.
const unfold = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  for (let around = target && target.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", unfold);
if (location.hash) unfold();

const compare = one(".compare");
if (compare) {
  const viewer = one(".viewer", compare);
  const stage = one(".stage", compare);
  const PANES = ["left", "right", "third"];
  const choose = Object.fromEntries(["sample", ...PANES].map((name) => [name, one(`[data-choose=${name}]`, compare)]));
  const dividers = ["first", "second"].map((name) => ({
    range: one(`input[data-divider=${name}]`, stage),
    line: one(`span[data-divider=${name}]`, stage),
  }));
  const samples = all(".sample");
  const shown = { left: "", right: "", third: "" }; // ids of pictures; "" for none, which only the third may be
  let sample = null;
  let zoom = 0; // screen pixels an image pixel; 0 fits the picture into the viewer

  // Places of the dividers in percent; without a third picture the second stands at the end.
  const place = (index, percent) => {
    const range = dividers.map((divider) => Number(divider.range.value));
    range[index] = Math.min(100, Math.max(0, percent));
    if (index === 0) range[1] = Math.max(range[0], range[1]);
    else range[0] = Math.min(range[0], range[1]);
    dividers.forEach((divider, i) => (divider.range.value = range[i]));
    draw();
  };
  const draw = () => {
    const third = Boolean(shown.third);
    const [first, second] = [Number(dividers[0].range.value), third ? Number(dividers[1].range.value) : 100];
    stage.style.setProperty("--first", `${first}%`);
    stage.style.setProperty("--second", `${second}%`);
    dividers[1].range.hidden = dividers[1].line.hidden = !third;
  };
  const size = () => {
    const image = document.getElementById(shown.left);
    const [width, height] = [image.width, image.height].map((_, i) => Number(image.getAttribute(i ? "height" : "width")));
    compare.style.setProperty("--width", width);
    compare.style.setProperty("--height", height);
    stage.style.width = zoom ? `${zoom * width}px` : "100%";
    stage.classList.toggle("enlarged", stage.clientWidth > width);
    viewer.classList.toggle("zoomed", Boolean(zoom));
  };
  const show = (pane, id) => {
    shown[pane] = id;
    const chosen = id && document.getElementById(id);
    const image = one(`img[data-pane=${pane}]`, stage);
    const tag = one(`.tag[data-pane=${pane}]`, stage);
    image.hidden = tag.hidden = !chosen;
    choose[pane].value = id;
    if (chosen) {
      image.src = chosen.src;
      image.alt = chosen.alt;
      image.classList.toggle("drawn", chosen.classList.contains("drawn"));
      tag.textContent = choose[pane].selectedOptions[0].textContent;
    }
    for (const button of all("button[data-show]")) {
      button.setAttribute("aria-pressed", String(Object.values(shown).includes(button.dataset.show)));
    }
    draw();
  };
  const open = (article) => {
    // The same kinds of pictures as before, where this image has them.
    const kinds = PANES.map((pane) => {
      const before = sample && shown[pane] && document.getElementById(shown[pane]);
      const same = before && all("img[id]", article).find((image) => image.dataset.strip === before.dataset.strip && image.dataset.name === before.dataset.name);
      return same ? same.id : "";
    });
    sample = article;
    choose.sample.value = article.dataset.key;
    for (const pane of PANES) {
      const options = pane === "third" ? [new Option("nothing", "")] : [];
      for (const strip of all(".strip", article)) {
        const group = Object.assign(document.createElement("optgroup"), { label: one("img[id]", strip).dataset.strip });
        for (const image of all("img[id]", strip)) {
          const point = strip === one(".strip", article) ? "" : `, ${image.dataset.strip}`;
          group.append(new Option(`${image.dataset.name}${point}`, image.id));
        }
        options.push(group);
      }
      choose[pane].replaceChildren(...options);
    }
    show("left", kinds[0] || article.dataset.first);
    show("right", kinds[1] || article.dataset.second);
    show("third", kinds[2]);
    size();
  };
  const enlarge = (factor, x = 0.5, y = 0.5) => {
    zoom = factor;
    for (const button of all("[data-zoom]", compare)) button.setAttribute("aria-pressed", String(Number(button.dataset.zoom) === zoom));
    size();
    viewer.scrollLeft = x * stage.clientWidth - viewer.clientWidth / 2;
    viewer.scrollTop = y * stage.clientHeight - viewer.clientHeight / 2;
    // A divider out of sight divides nothing.
    if (zoom) place(0, (100 * (viewer.scrollLeft + viewer.clientWidth / 2)) / Math.max(stage.clientWidth, viewer.clientWidth));
  };

  choose.sample.replaceChildren(...samples.map((article) => new Option(article.dataset.key, article.dataset.key)));
  choose.sample.addEventListener("change", () => open(samples.find((article) => article.dataset.key === choose.sample.value)));
  for (const pane of PANES) {
    choose[pane].addEventListener("change", () => {
      if (pane === "third" && choose.third.value && !shown.third) place(1, (Number(dividers[0].range.value) + 100) / 2);
      show(pane, choose[pane].value);
    });
  }
  for (const button of all("button[data-show]")) {
    button.addEventListener("click", () => {
      const article = button.closest(".sample");
      if (article !== sample) open(article);
      show(shown.third ? "third" : "right", button.dataset.show);
      compare.scrollIntoView({ block: "nearest" });
    });
  }
  dividers.forEach((divider, index) => divider.range.addEventListener("input", () => place(index, Number(divider.range.value))));
  for (const button of all("[data-zoom]", compare)) button.addEventListener("click", () => enlarge(Number(button.dataset.zoom)));

  const across = (event) => (100 * (event.clientX - stage.getBoundingClientRect().left)) / stage.clientWidth;
  let dragged = null; // the divider that follows the pointer, or where a pan began
  stage.addEventListener("pointerdown", (event) => {
    const distances = dividers.map((divider) => (divider.range.hidden ? Infinity : Math.abs(Number(divider.range.value) - across(event))));
    const nearest = distances[1] < distances[0] ? 1 : 0;
    const close = (distances[nearest] / 100) * stage.clientWidth < 24;
    if (zoom && !close) {
      if (event.pointerType !== "mouse") return; // a finger scrolls by itself
      dragged = { x: event.clientX + viewer.scrollLeft, y: event.clientY + viewer.scrollTop };
    } else {
      dragged = nearest;
      place(nearest, across(event));
      dividers[nearest].range.focus({ preventScroll: true });
    }
    stage.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (!stage.hasPointerCapture(event.pointerId)) return;
    if (typeof dragged === "number") place(dragged, across(event));
    else viewer.scrollTo(dragged.x - event.clientX, dragged.y - event.clientY);
  });
  stage.addEventListener("dblclick", (event) => {
    const box = stage.getBoundingClientRect();
    enlarge(zoom ? 0 : 4, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  });
  new ResizeObserver(size).observe(viewer);

  // The order of samples and gallery: the worst first, what has no such number last, equal ones as they were.
  const order = Object.fromEntries(["measure", "class", "point"].map((name) => [name, one(`[data-order=${name}]`)]));
  const lists = [one(".samples"), one("#images .gallery")].filter(Boolean).map((list) => ({ list, items: [...list.children] }));
  const captions = new Map(all(".score").map((score) => [score, score.textContent]));
  const arrange = () => {
    const { measure, class: label, point } = Object.fromEntries(Object.entries(order).map(([name, select]) => [name, select.value]));
    const value = (item) => JSON.parse(item.dataset.scores)[measure]?.[point]?.[measure === "PSNR" ? "" : label];
    for (const { list, items } of lists) {
      const known = measure && items.some((item) => value(item) !== undefined);
      list.append(...(known ? [...items].sort((a, b) => (value(a) ?? Infinity) - (value(b) ?? Infinity) || 0) : items));
      for (const item of items) {
        const score = one(".score", item);
        const number = value(item);
        if (!known) score.textContent = captions.get(score);
        else if (number === undefined) score.textContent = measure === "PSNR" ? "–" : `no ${label || "class"}`;
        else score.textContent = measure === "PSNR" ? `${number.toFixed(1)} dB` : `${(100 * number).toFixed(1)} %`;
      }
    }
    order.class.closest("label").hidden = !measure || measure === "PSNR";
    order.point.closest("label").hidden = !measure;
    if (measure) open(one(".samples").firstElementChild);
  };
  for (const select of Object.values(order)) select.addEventListener("change", arrange);
  for (const sorts of all("[data-sort-class], [data-sort-point]")) {
    const { sortClass: label, sortPoint: point, sortMeasure: measure } = sorts.dataset;
    const clicked = () => {
      if (measure) order.measure.value = measure;
      else if (label !== undefined && ["", "PSNR"].includes(order.measure.value)) order.measure.value = "CO";
      else if (!order.measure.value) order.measure.value = "PSNR";
      if (label !== undefined) order.class.value = label;
      if (point !== undefined) order.point.value = point;
      arrange();
      one(".order").scrollIntoView({ block: "start" });
    };
    if (measure) {
      sorts.addEventListener("click", clicked); // a dot of a chart; who cannot point has the tables' buttons
      continue;
    }
    const button = Object.assign(document.createElement("button"), { type: "button", className: "sorts", textContent: sorts.textContent, title: "put the images in this order" });
    button.addEventListener("click", clicked);
    sorts.replaceChildren(button);
  }
  one(".order").hidden = compare.hidden = false;
  dividers.forEach((divider, i) => (divider.range.value = [50, 75][i]));
  arrange();
  open(samples[0]);
}
