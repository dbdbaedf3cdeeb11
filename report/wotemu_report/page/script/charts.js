// Draws the charts, one after the other, and what each one's buttons do.

let { config, specs, end_s: endS } = JSON.parse(document.getElementById("charts").textContent);
const views = new Map();

async function draw(id, place = document.getElementById(id)) {
  if (!place || views.has(id)) return;
  views.set(id, null);
  try {
    const { view } = await vegaEmbed(place, withFittingLegends(withRows(specs[id]), place.clientWidth), {
      config,
      renderer: "svg",
      actions: false,
      ast: true, // expressions are interpreted: the policy of the page forbids to compile them
      loader: { load: () => Promise.reject(new Error("nothing is loaded")) },
    });
    views.set(id, view);
    place.querySelector("svg").setAttribute("aria-hidden", "true"); // its place has the name, "Data" the rows
    place.dataset.drawn = "yes";
    if (isTimed(id)) listenToBrush(place, view);
    await showRange(id);
  } catch (error) {
    place.textContent = `This chart could not be drawn: ${error.message}`;
    console.error(error);
  }
}

// Legends are made for a page that is as wide as it can be, and Vega does not wrap them itself.
const LETTER_PX = 6.4;
const SYMBOL_PX = 40;
const AXIS_PX = 80;
function withFittingLegends(spec, width) {
  const fitting = (color) => {
    const room = Math.max(120, width - AXIS_PX);
    const longest = Math.max(...color.scale.domain.map((name) => String(name).length));
    const columns = Math.max(1, Math.floor(room / Math.min(360, SYMBOL_PX + LETTER_PX * longest)));
    const least = Math.min(columns, color.legend.columns ?? columns);
    return { ...color, legend: { ...color.legend, columns: least, labelLimit: Math.min(320, room - SYMBOL_PX) } };
  };
  const layer = spec.layer.map((each) => {
    const color = each.encoding?.color;
    return color?.legend && color.scale?.domain ? { ...each, encoding: { ...each.encoding, color: fitting(color) } } : each;
  });
  return { ...spec, layer };
}

async function drawAll() {
  for (const id of Object.keys(specs)) await draw(id);
  document.documentElement.dataset.drawn = "yes";
}

function save(name, text, type) {
  const url = type ? URL.createObjectURL(new Blob([text], { type })) : text;
  const link = element("a", "", { href: url, download: name });
  link.click();
  if (type) setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const EXPORTS = {
  svg: async (id) => save(`${id}.svg`, await views.get(id).toSVG(), "image/svg+xml"),
  png: async (id) => save(`${id}.png`, await views.get(id).toImageURL("png", 2)),
  source: async (id) =>
    save(`${id}.vl.json`, JSON.stringify({ ...withRows(specs[id]), config }, null, 1), "application/json"),
  data: async (id, button) => showData(id, button),
};
const MAX_DATA_ROWS = 500;

// The rows that a chart is drawn from, as tables below it.
function showData(id, button) {
  const figure = button.closest("figure");
  const shown = figure.querySelector(".data");
  button.setAttribute("aria-expanded", String(!shown));
  if (shown) return shown.remove();
  const box = element("div", undefined, { class: "data scroll", tabindex: "0", role: "region", "aria-label": "Rows of the chart" });
  const spec = withRows(specs[id]);
  // Phases, changes and crashes, which every chart over time has, are not its own rows.
  const own = spec.layer.slice(...(spec.usermeta?.own ?? [0]));
  const drawn = [...new Set(own.map((layer) => (layer.data ?? spec.data)?.name))];
  for (const name of drawn) if (spec.datasets[name]?.length) box.append(dataTable(spec.datasets[name]));
  figure.append(box);
}

function dataTable(rows) {
  const table = element("table");
  const names = Object.keys(rows[0]);
  const head = table.createTHead().insertRow();
  for (const name of names) head.append(element("th", name, { scope: "col" }));
  const body = table.createTBody();
  for (const row of rows.slice(0, MAX_DATA_ROWS)) {
    const line = body.insertRow();
    for (const name of names) line.insertCell().textContent = row[name] ?? "–";
  }
  const caption = table.createCaption();
  caption.textContent =
    rows.length > MAX_DATA_ROWS ? `The first ${MAX_DATA_ROWS} of ${rows.length} rows; the source holds them all.` : `${rows.length} rows`;
  return table;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-export]");
  if (!button) return;
  const id = button.closest("figure").querySelector(".chart").id;
  if (views.get(id)) EXPORTS[button.dataset.export](id, button);
});
