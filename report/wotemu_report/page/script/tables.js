// Tables: sorted by a click on a head, filtered by text, and opened where rows are folded.

let lazy = null;
// Folded rows and nodes' sections: compressed, and read when the first one is opened.
function lazyData() {
  lazy ??= inflated(document.getElementById("lazy").textContent);
  return lazy;
}

function value(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.v !== undefined) return cell.dataset.v === "inf" ? Infinity : Number(cell.dataset.v); // Python writes it so
  const text = cell.textContent.trim();
  return text === "–" ? "" : text;
}

// Numbers come before texts, and what is missing comes last whichever way a column is sorted.
function compare(left, right, direction) {
  if (left === "" || right === "") return (left === "") - (right === "");
  if (typeof left === "number" && typeof right === "number") return ((left > right) - (left < right)) * direction;
  return String(left).localeCompare(String(right), "en", { numeric: true }) * direction;
}

function sort(header) {
  const table = header.closest("table");
  const column = header.cellIndex;
  const direction = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
  const below = new Map();
  let head = null;
  for (const row of [...table.tBodies[0].rows]) {
    if (!row.classList.contains("below")) below.set((head = row), []);
    else below.get(head).push(row);
  }
  const rows = [...below.keys()];
  if (rows.some((row) => row.cells.length <= column)) return;
  const compared = (left, right) => compare(value(left, column), value(right, column), direction);
  for (const row of rows.sort(compared)) table.tBodies[0].append(row, ...below.get(row).sort(compared));
}

async function open(row) {
  if (row.dataset.open === "yes") return;
  row.dataset.open = "yes";
  row.querySelector(".fold").setAttribute("aria-expanded", "true");
  const { folds } = await lazyData();
  const { columns, rows } = folds[row.closest(".card").id];
  const made = rows[row.dataset.fold].map((cells) => tableRow(columns, cells, "below"));
  row.after(...made);
}

// A row from its cells: a text, or an array of the text, the number to sort by, and a status' colour.
function tableRow(columns, cells, name) {
  const row = element("tr", undefined, name ? { class: name } : {});
  cells.forEach((cell, number) => {
    const [text, by, tone] = Array.isArray(cell) ? cell : [cell];
    const made = row.insertCell();
    const form = columns[number];
    made.className = text.length <= 26 ? `${form} short` : form;
    if (by !== undefined && by !== null) made.dataset.v = by;
    if (form === "status") made.append(element("span", text, { class: `badge ${tone}` }));
    else if (form === "code") made.append(element("code", text));
    else if (form === "node" && nodeIds[text]) made.append(element("a", text, { href: `#${nodeIds[text]}` }));
    else made.textContent = text;
  });
  return row;
}

function close(row) {
  delete row.dataset.open;
  row.querySelector(".fold").setAttribute("aria-expanded", "false");
  while (row.nextElementSibling?.classList.contains("below")) row.nextElementSibling.remove();
}

async function filter(input) {
  const wanted = input.value.toLowerCase();
  const card = input.closest(".card");
  if (wanted) for (const row of card.querySelectorAll("tr[data-fold]")) await open(row);
  let head = null;
  for (const row of card.querySelectorAll("tbody tr")) {
    const found = row.textContent.toLowerCase().includes(wanted);
    row.hidden = !found;
    if (!row.classList.contains("below")) head = row;
    else if (found) head.hidden = false;
  }
  if (!wanted) for (const row of card.querySelectorAll("tr[data-open]")) close(row);
}

document.addEventListener("click", (event) => {
  const fold = event.target.closest("button.fold");
  if (fold) return void (fold.closest("tr").dataset.open ? close(fold.closest("tr")) : open(fold.closest("tr")));
  const header = event.target.closest("thead th");
  if (header && event.target.closest("button")) sort(header);
});
document.addEventListener("input", (event) => {
  if (event.target.matches("input[type=search]")) filter(event.target);
});
