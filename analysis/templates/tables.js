// Rows after the first few are JSON next to their table, <script data-rows="table id">, until somebody sorts, filters or asks for all.
function addRows(table) {
  const kept = document.querySelector(`script[data-rows="${table.id}"]`);
  if (!kept) return;
  for (const row of JSON.parse(kept.textContent)) table.tBodies[0].insertAdjacentHTML("beforeend", row);
  kept.remove();
  const button = document.querySelector(`button[data-all="${table.id}"]`);
  if (button) button.hidden = true;
}

// Sortable, filterable tables: <table data-sortable> with <th><button>, an optional <input data-filter="table id">.
function sortTable(table, column, descending) {
  addRows(table);
  const body = table.tBodies[0];
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const number = (text) => (text === "" ? NaN : Number(text));
  const rows = [...body.rows].map((row) => [row, value(row)]);
  const numeric = rows.some(([, v]) => !Number.isNaN(number(v)));
  rows.sort(([, a], [, b]) => {
    if (!numeric) return (descending ? -1 : 1) * a.localeCompare(b);
    const [x, y] = [number(a), number(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y); // unknown stays last
    return descending ? y - x : x - y;
  });
  body.append(...rows.map(([row]) => row));
  for (const [place, head] of [...table.tHead.rows[0].cells].entries()) {
    if (place === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("table[data-sortable] th button");
  if (!button) return;
  const head = button.closest("th");
  const numbersFirst = !head.classList.contains("text") && !("lower" in head.dataset); // first click: largest number, first letter, lowest cost
  const now = head.getAttribute("aria-sort");
  const descending = now ? now === "ascending" : numbersFirst;
  sortTable(head.closest("table"), head.cellIndex, descending);
});

for (const input of document.querySelectorAll("input[data-filter]")) {
  const table = document.getElementById(input.dataset.filter);
  const status = document.getElementById(input.dataset.filter + "-status");
  input.addEventListener("input", () => {
    addRows(table);
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    status.textContent = words.length ? `${shown} of ${table.tBodies[0].rows.length} rows` : "";
  });
}

for (const button of document.querySelectorAll("button[data-all]")) {
  button.hidden = false;
  button.addEventListener("click", () => addRows(document.getElementById(button.dataset.all)));
}

// A box that scrolls sideways gets a label and a tab stop, so that the keyboard reaches it; other boxes get none.
const sizes = new ResizeObserver((entries) => {
  for (const box of new Set(entries.map((entry) => entry.target.closest(".scroll")))) {
    const scrolls = box.scrollWidth > box.clientWidth + 1;
    for (const [name, value] of [["tabindex", "0"], ["role", "group"], ["aria-label", box.dataset.label]]) {
      if (scrolls && value) box.setAttribute(name, value);
      else box.removeAttribute(name);
    }
  }
});
for (const box of document.querySelectorAll(".scroll")) {
  sizes.observe(box);
  if (box.firstElementChild) sizes.observe(box.firstElementChild);
}

// Details are open when printed, except those of runs, which stay as the reader left them.
const shut = "details:not([open]):not(details.run, details.run *)";
let opened = [];
addEventListener("beforeprint", () => { opened = [...document.querySelectorAll(shut)]; for (const box of opened) box.open = true; });
addEventListener("afterprint", () => { for (const box of opened) box.open = false; });

// A link to a run opens its section and the sections around it.
addEventListener("hashchange", openTarget);
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let box = target && target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  if (target) target.scrollIntoView();
}
openTarget();
