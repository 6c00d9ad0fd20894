// The error browser; analysis/clips.py describes its data. Images are base64 text and audio data URLs in
// <script type="text/plain"> elements after this one, and are looked up when a clip is shown.
const browser = document.getElementById("browser");
if (browser) {
  const data = JSON.parse(document.getElementById("browser-data").textContent);
  const page = () => (browser.classList.contains("many") ? 6 : 3); // clips shown at a time
  const state = { view: 0, rates: false, cell: null, shown: 3 };
  const find = (id) => document.getElementById(id);
  const matrix = find("matrix"), list = find("clips"), chosen = find("chosen"), more = find("more");

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  // A name in parts between which a line may end, as in page.py.
  const breakable = (name) => name.replace(/(?:\S)(?:_(?=[\p{L}\p{N}])|[+./-](?=\p{L}))/gu, "$&\n").split("\n").flatMap((part, place) => place ? [make("wbr"), part] : [part]);

  // The chosen view is one run, or all seeds of a configuration, with the clips and classes of its test set.
  // `top` is of one run, or of the mean probabilities of all seeds; `seeds` has the rows of each run.
  const testSet = (view) => data.runs[view.runs[0]].test_set;
  function view() {
    const chosen = data.views[state.view], seeds = chosen.runs.map((place) => data.runs[place].top);
    return { ...data.test_sets[testSet(chosen)], top: seeds[0], ...chosen, seeds };
  }

  // Numbers of test clips by actual and predicted class of the matrix, and by actual class, means over the seeds.
  function countCells(v) {
    const at = new Map(v.matrix.map((place, shown) => [place, shown])), share = 1 / v.seeds.length;
    const counts = v.matrix.map(() => v.matrix.map(() => 0)), totals = v.matrix.map(() => 0);
    for (const top of v.seeds) {
      v.target.forEach((place, row) => {
        const actual = at.get(place), predicted = at.get(top[row][0]);
        if (actual === undefined) return;
        totals[actual] += share;
        if (predicted !== undefined) counts[actual][predicted] += share;
      });
    }
    return [counts, totals];
  }
  const number = (value) => String(Math.round(10 * value) / 10);

  // 37 of 40 is 92 %: a half is rounded to the even number, as in base/quantities.py.
  const percent = (share) => {
    const below = Math.floor(100 * share + 1e-9), half = Math.abs(100 * share - below - 0.5) < 1e-9;
    return String(half ? below + below % 2 : Math.round(100 * share));
  };
  const plural = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const hits = (v, row, predicted) => v.seeds.filter((top) => top[row][0] === predicted).length;

  function drawMatrix() {
    const v = view(), [counts, totals] = countCells(v), small = v.matrix.length > 20;
    browser.classList.toggle("many", small);
    state.shown = page();
    matrix.className = "matrix" + (small ? " small" : "");
    matrix.setAttribute("role", "grid");
    const edge = (place) => place > 0 && v.categories[place] !== v.categories[place - 1];
    const axis = (attributes, ...children) => make("td", { class: "axis", "aria-hidden": "true", ...attributes }, ...children);
    const title = make("tr", {}, axis({ colspan: 2 }), axis({ colspan: v.matrix.length }, "Predicted"));
    const head = make("tr", {}, make("td", { colspan: 2 }));
    const names = v.matrix.map((place) => v.classes[place]);
    names.forEach((name) => head.append(make("th", { scope: "col", title: name }, make("span", {}, name))));
    const rows = v.matrix.map((actual, shownRow) => {
      const name = v.classes[actual], total = totals[shownRow];
      const row = make("tr", {}, make("th", { scope: "row", title: name }, make("span", {}, ...breakable(name))));
      if (shownRow === 0) row.prepend(axis({ class: "axis actual", rowspan: v.matrix.length }, make("span", {}, "Actual")));
      counts[shownRow].forEach((count, shownColumn) => {
        const predicted = v.matrix[shownColumn];
        const share = total ? count / total : 0;
        const text = count === 0 ? "" : state.rates ? percent(share) : number(count);
        const unit = v.seeds.length > 1 ? `clips (mean of ${v.seeds.length} seeds)` : "clips";
        const label = `${name} predicted as ${v.classes[predicted]}: ${number(count)} of ${number(total)} ${unit}, ${percent(share)} %`;
        const cell = make("td", { role: "gridcell", tabindex: -1, "aria-label": label, title: label, "data-actual": actual, "data-predicted": predicted }, text);
        cell.style.setProperty("--v", share.toFixed(3));
        if (count) cell.classList.add("some", actual === predicted ? "hit" : "miss");
        else cell.classList.add("zero");
        cell.classList.toggle("edge-top", edge(actual));
        cell.classList.toggle("edge-left", edge(predicted));
        row.append(cell);
      });
      return row;
    });
    matrix.replaceChildren(make("thead", {}, title, head), make("tbody", {}, ...rows));
    const start = state.cell ? cellAt(...state.cell) : matrix.querySelector("td[data-actual]");
    if (start) start.tabIndex = 0;
    markCell();
  }

  const cellAt = (actual, predicted) => matrix.querySelector(`td[data-actual="${actual}"][data-predicted="${predicted}"]`);

  function markCell() {
    matrix.querySelector("[aria-selected]")?.removeAttribute("aria-selected");
    if (state.cell) cellAt(...state.cell)?.setAttribute("aria-selected", "true");
  }

  // The list shows the clips of the chosen cell, or all errors of the view, hardest first.
  function chosenRows(v) {
    const wanted = state.cell
      ? (row) => v.target[row] === state.cell[0] && hits(v, row, state.cell[1])
      : (row) => hits(v, row, v.target[row]) < v.seeds.length;
    return v.clips.map((_, row) => row).filter(wanted).sort((a, b) => v.clips[a] - v.clips[b]);
  }

  function drawClips() {
    const v = view(), rows = chosenRows(v);
    if (state.cell) {
      const [actual, predicted] = state.cell.map((place) => v.classes[place]);
      const seeds = v.seeds.length > 1 ? " by at least one seed" : "";
      chosen.replaceChildren(...breakable(`${actual} predicted as ${predicted}${seeds}: ${plural(rows.length, "clip")}`));
    } else {
      const who = v.seeds.length > 1 ? `at least one of ${v.seeds.length} seeds` : "this run";
      const none = v.seeds.length > 1 ? "Every seed" : "This run";
      chosen.textContent = rows.length ? `${rows.length > 1 ? `All ${rows.length} clips` : "The one clip"} that ${who} got wrong${rows.length > 1 ? ", hardest for all runs first" : ""}` : `${none} predicted every clip correctly`;
    }
    find("all-wrong").hidden = !state.cell;
    list.replaceChildren(...rows.slice(0, state.shown).map((row) => card(v, row)));
    more.hidden = rows.length <= state.shown;
    more.textContent = `Show more (${rows.length - state.shown} left)`;
  }

  function card(v, row) {
    const clip = data.clips[v.clips[row]], actual = v.target[row];
    const predicted = [...new Set(v.seeds.map((top) => top[row][0]))].sort((a, b) => hits(v, row, b) - hits(v, row, a));
    const named = predicted.map((place) => v.classes[place] + (v.seeds.length > 1 ? ` (${hits(v, row, place)} of ${v.seeds.length} seeds)` : ""));
    const title = predicted.length === 1 && predicted[0] === actual ? v.classes[actual] : `${v.classes[actual]} → ${named.join(", ")}`;
    const sub = [clip.id, `fold ${v.folds[row]}`, clip.group && clip.group !== clip.id ? `${data.group} ${clip.group}` : "", v.seeds.length > 1 ? `mean probability of ${v.seeds.length} seeds` : ""].filter(Boolean).join(" · ");
    return make("li", { class: "clip" }, make("h3", {}, ...breakable(title), make("small", {}, ...breakable(sub))), images(clip), audio(clip), bars(v, row), others(v, row));
  }

  function images(clip) {
    const shown = data.features.map((name, place) => {
      const source = find(`image-${place}-${clip.number}`);
      if (!source) return null;
      const image = make("img", { alt: `${name} of ${clip.id}`, src: `data:image/webp;base64,${source.textContent.trim()}` });
      return make("figure", {}, image, make("figcaption", {}, name));
    });
    return make("div", { class: "images" }, ...shown.filter(Boolean));
  }

  function audio(clip) {
    const source = find(`audio-${clip.number}`);
    const address = source ? source.textContent.trim() : clip.link;
    if (!address) return make("p", { class: "no-audio" }, "no audio: the clip's file is not on this machine");
    return make("audio", { controls: "", preload: source ? "metadata" : "none", src: address, "aria-label": `audio of ${clip.id}` });
  }

  function bars(v, row) {
    const [first, second, third, ...percent] = v.top[row], actual = v.target[row];
    const lines = [first, second, third].map((place, rank) => [place, percent[rank]]).filter(([place]) => place >= 0);
    if (!lines.some(([place]) => place === actual)) lines.push([actual, percent[3]]);
    const box = make("div", { class: "bars" });
    for (const [place, value] of lines) {
      const mark = place === actual ? "true" : "";
      const bar = make("i", { class: mark });
      bar.style.width = `${value}%`;
      box.append(make("span", { class: mark, title: v.classes[place] }, ...breakable(v.classes[place])), make("span", {}, bar), make("span", { class: mark }, `${value} %`));
    }
    return box;
  }

  // The predictions of the other runs on the same clips.
  function others(v, row) {
    const rest = data.runs.filter((run, place) => !v.runs.includes(place) && run.test_set === testSet(v));
    if (!rest.length) return "";
    const right = rest.filter((run) => run.top[row][0] === v.target[row]).length;
    const lines = rest.map((run) => {
      const place = run.top[row][0], hit = place === v.target[row];
      return make("li", {}, ...breakable(`${run.name}: `), make("span", { class: hit ? "right" : "wrong" }, ...breakable(`${v.classes[place]} ${hit ? "✓" : "✗"}`)), ` ${run.top[row][3]} %`);
    });
    const summary = `${right} of ${plural(rest.length, "other run")} predicted it correctly`;
    return make("details", { class: "others" }, make("summary", {}, summary), make("ul", {}, ...lines));
  }

  function choose(cell, move) {
    state.cell = cell;
    state.shown = page();
    markCell();
    drawClips();
    if (move) chosen.scrollIntoView({ block: "nearest" });
  }

  matrix.addEventListener("click", (event) => {
    const cell = event.target.closest("td[data-actual]");
    if (cell) { focusCell(cell); choose([+cell.dataset.actual, +cell.dataset.predicted], true); }
  });
  matrix.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td[data-actual]");
    if (!cell) return;
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const places = view().matrix, moved = (place, by) => places[places.indexOf(+place) + by];
    if (step) focusCell(cellAt(moved(cell.dataset.actual, step[0]), moved(cell.dataset.predicted, step[1])));
    else if (event.key === "Enter" || event.key === " ") cell.click();
    else if (event.key === "Escape") choose(null, false);
    else return;
    event.preventDefault();
  });
  function focusCell(cell) {
    if (!cell) return;
    matrix.querySelector("[tabindex='0']")?.setAttribute("tabindex", -1);
    cell.tabIndex = 0;
    cell.focus();
  }
  find("run-choice").addEventListener("change", (event) => showView(+event.target.value));
  function showView(number) {
    const before = testSet(data.views[state.view]);
    state.view = number;
    if (testSet(data.views[state.view]) !== before) state.cell = null;
    drawMatrix();
    drawClips();
  }
  // The first screen's matrix is that of the first view.
  document.addEventListener("open-errors", (event) => {
    find("run-choice").value = 0;
    showView(0);
    choose(event.detail, false);
  });
  find("rates").addEventListener("click", (event) => {
    state.rates = !state.rates;
    event.target.setAttribute("aria-pressed", state.rates);
    drawMatrix();
  });
  find("all-wrong").addEventListener("click", () => choose(null, false));
  more.addEventListener("click", () => { state.shown += page(); drawClips(); });
  // The first clips are drawn once the images and audio below this script have been parsed.
  drawMatrix();
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", drawClips);
  else drawClips();
}
