// Rows of charts and of folded tables. Charts' rows are CSV: Vega's own reader of CSV makes functions of text,
// which the page's Content-Security-Policy forbids.

function splitCsv(text) {
  const rows = [];
  let row = [];
  let cell = "";
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (quoted) {
      if (char !== '"') cell += char;
      else if (text[at + 1] === '"') cell += text[++at];
      else quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === ",") row.push(cell), (cell = "");
    else if (char === "\n") row.push(cell), rows.push(row), (row = []), (cell = "");
    else cell += char;
  }
  if (cell || row.length) rows.push([...row, cell]);
  return rows;
}

function parseCsv(text, kinds) {
  const [names, ...rows] = splitCsv(text);
  const read = names.map((name) =>
    kinds[name] === "number" ? (cell) => (cell === "" ? null : Number(cell)) : (cell) => cell,
  );
  return rows.map((row) => Object.fromEntries(names.map((name, column) => [name, read[column](row[column])])));
}

// A copy of the specification with rows instead of CSV; each data set is read once.
function withRows(spec) {
  const datasets = {};
  const read = (part) => {
    if (!part.data?.format) return part;
    const { name, format } = part.data;
    datasets[name] ??= parseCsv(spec.datasets[name], format.parse);
    return { ...part, data: { name } };
  };
  return { ...read(spec), layer: spec.layer.map(read), datasets }; // all layers may have the rows of the whole
}

async function inflated(base64) {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
}

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
