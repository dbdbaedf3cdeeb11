"use strict";
(() => {
  const { config, specs } = JSON.parse(document.getElementById("charts").textContent);

  async function draw(id) {
    const place = document.getElementById(id);
    try {
      await vegaEmbed(place, specs[id], {
        config,
        renderer: "svg",
        actions: { export: true, source: false, compiled: false, editor: false },
        downloadFileName: id,
      });
      place.dataset.drawn = "yes";
    } catch (error) {
      place.textContent = `This chart could not be drawn: ${error.message}`;
      console.error(error);
    }
  }

  async function drawAll() {
    for (const id of Object.keys(specs)) await draw(id);
    document.documentElement.dataset.drawn = "yes";
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
    const rows = [...table.tBodies[0].rows];
    if (rows.some((row) => row.cells.length <= column)) return;
    rows.sort((left, right) => compare(value(left, column), value(right, column), direction));
    table.tBodies[0].append(...rows);
  }

  function filter(input) {
    const wanted = input.value.toLowerCase();
    for (const row of input.closest(".card").querySelectorAll("tbody tr")) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
    }
  }

  function follow() {
    const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
    const watch = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          links.get(target.id)?.classList.toggle("here", isIntersecting);
        }
      },
      { rootMargin: "-64px 0px -70% 0px" },
    );
    for (const section of document.querySelectorAll("section")) watch.observe(section);
  }

  document.addEventListener("click", (event) => {
    const header = event.target.closest("thead th");
    if (header && event.target.closest("button")) sort(header);
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches("input[type=search]")) filter(event.target);
  });
  window.addEventListener("beforeprint", () => {
    for (const log of document.querySelectorAll("details")) log.open = true;
  });
  for (const end of document.querySelectorAll("details[open] pre")) end.scrollTop = end.scrollHeight;
  follow();
  drawAll();
})();
