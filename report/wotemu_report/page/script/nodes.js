// Nodes' pages, written when they are opened.

let { node_ids: nodeIds, node_chart: nodeChart } = JSON.parse(document.getElementById("charts").textContent);

async function writeNode(page) {
  if (page.dataset.written) return;
  page.dataset.written = "yes";
  const content = (await lazyData()).nodes[page.id];
  const spec = nodeSpec(content);
  if (spec) {
    const id = `${page.id}-chart`;
    specs[id] = spec;
    const name = page.querySelector("summary b").textContent;
    const label = `Durations of ${name}'s requests. Drag, or press + and −, to zoom all charts.`;
    page.append(element("div", undefined, { class: "chart", id, tabindex: "0", role: "img", "aria-label": label }));
    await draw(id);
  }
  page.append(...nodeParts(content));
  page.dataset.written = "whole";
}

function nodeSpec({ points }) {
  if (!nodeChart || !points) return null;
  const [first, end] = nodeChart.usermeta.own;
  const own = new Set(nodeChart.layer.slice(first, end).map((layer) => layer.data.name));
  const datasets = Object.entries(nodeChart.datasets).map(([name, rows]) => [name, own.has(name) ? points : rows]);
  return { ...nodeChart, datasets: Object.fromEntries(datasets) };
}

function nodeParts({ tables, log }) {
  return [...tables.map(nodeTable), ...(log ? [element("h4", "Last output"), element("pre", log, { tabindex: "0" })] : [])];
}

function nodeTable({ title, caption, labels, columns, rows, total }) {
  const box = element("div", undefined, { class: "part" });
  const more = total > rows.length ? ` The first ${rows.length} of ${total} rows.` : "";
  box.append(element("h4", title), element("p", caption + more));
  const table = element("table");
  const head = table.createTHead().insertRow();
  labels.forEach((label, number) => head.append(element("th", label, { scope: "col", class: columns[number] })));
  const body = table.createTBody();
  for (const cells of rows) body.append(tableRow(columns, cells));
  const scroll = element("div", undefined, { class: "scroll", tabindex: "0", role: "region", "aria-label": title });
  scroll.append(table);
  box.append(scroll);
  return box;
}

// A link to a node opens its page, and the group that it is in.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target?.closest("#nodes details")) return;
  for (let each = target; each; each = each.parentElement.closest("details")) each.open = true;
  target.scrollIntoView();
}

document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.open && event.target.dataset.node !== undefined) writeNode(event.target);
  },
  true, // it does not bubble
);
window.addEventListener("hashchange", openTarget);
