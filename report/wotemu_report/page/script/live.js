// Takes what the server sends of a run that goes on, and keeps what the reader zoomed, opened, sorted and typed.

const live = document.getElementById("live");
const STATES = {
  open: "Live: this page grows as the run goes on.",
  lost: "The connection to WoTemu is lost; it is tried again.",
  over: "The run is over, and this is its final report.",
};

function listen() {
  let applied = drawn; // one after the other
  const source = new EventSource(`events?since=${live.dataset.version}`);
  const say = (state) => {
    live.dataset.state = state;
    live.textContent = STATES[state];
  };
  source.addEventListener("open", () => say("open"));
  source.addEventListener("error", () => say("lost"));
  source.addEventListener("page", ({ data, lastEventId }) => {
    applied = applied
      .then(() => take(JSON.parse(data)))
      .catch((error) => console.error(error))
      .then(() => (live.dataset.version = lastEventId));
  });
  source.addEventListener("end", () => {
    source.close();
    applied = applied.then(() => say("over"));
  });
}
queueMicrotask(listen); // when the rest of the script has run

async function take({ header, navigation, sections = {}, specs: newer = {}, axis, lazy: folded }) {
  if (axis) {
    const showsAll = isWhole();
    ({ end_s: endS, node_ids: nodeIds, node_chart: nodeChart } = axis);
    if (showsAll || range[1] > endS) range = [0, endS];
  }
  if (folded) {
    document.getElementById("lazy").textContent = folded;
    lazy = null;
    await lazyData();
  }
  if (header) document.querySelector("header").innerHTML = header;
  if (navigation) replaceNavigation(navigation);
  for (const [id, html] of Object.entries(sections)) await replaceSection(id, html);
  forgetRemoved();
  for (const [id, spec] of Object.entries(newer)) await update(id, spec);
  await drawAll();
  if (folded || axis) for (const page of document.querySelectorAll("[data-written=whole]")) await rewriteNode(page);
  follow();
  markRange();
}

function replaceNavigation(html) {
  const nav = document.querySelector("nav");
  const focused = focusables(nav).indexOf(document.activeElement);
  const left = nav.firstElementChild.scrollLeft;
  nav.innerHTML = html;
  nav.firstElementChild.scrollLeft = left;
  focusables(nav)[focused]?.focus({ preventScroll: true });
}

async function replaceSection(id, html) {
  const old = document.getElementById(id);
  const template = element("template");
  template.innerHTML = html;
  const section = template.content.firstElementChild;
  const states = new Map([...old.querySelectorAll(".card")].map((card, number) => [cardName(card, number), stateOf(card)]));
  for (const place of section.querySelectorAll(".chart")) {
    const drawing = views.get(place.id) && document.getElementById(place.id);
    if (!drawing) continue;
    drawing.setAttribute("aria-label", place.getAttribute("aria-label"));
    place.replaceWith(drawing);
  }
  for (const page of section.querySelectorAll("[data-node]")) {
    const written = document.getElementById(page.id);
    if (!written?.dataset.written) continue;
    written.querySelector("summary").replaceWith(page.querySelector("summary"));
    page.replaceWith(written);
  }
  old.replaceWith(section);
  for (const [number, card] of [...section.querySelectorAll(".card")].entries()) {
    const state = states.get(cardName(card, number));
    if (state) await restore(card, state);
  }
}

const cardName = (card, number) => card.querySelector("h3")?.textContent || `card ${number}`;
const rowName = (row) => row.cells[0].lastChild.textContent;
const focusables = (place) => [...place.querySelectorAll("a, button, input, summary, [tabindex]")];
const isAtEnd = (box) => box.scrollTop > 0 && box.scrollTop + box.clientHeight >= box.scrollHeight - 2;
const scrolling = (card) => [...card.querySelectorAll(".scroll, pre")];

// What the reader did to a card.
function stateOf(card) {
  const sorted = card.querySelector("th[aria-sort]");
  return {
    open: new Map([...card.querySelectorAll("details")].map((each) => [each.querySelector("summary b").textContent, each.open])),
    folds: new Set([...card.querySelectorAll("tr[data-open]")].map(rowName)),
    search: card.querySelector("input[type=search]")?.value ?? "",
    sorted: sorted && { column: sorted.cellIndex, direction: sorted.getAttribute("aria-sort") },
    hasData: card.querySelector(".data") !== null,
    scrolled: scrolling(card).map((box) => ({ left: box.scrollLeft, top: box.scrollTop, atEnd: isAtEnd(box) })),
    focused: focusables(card).indexOf(document.activeElement),
  };
}

async function restore(card, state) {
  for (const each of card.querySelectorAll("details")) {
    each.open = state.open.get(each.querySelector("summary b").textContent) ?? each.open;
  }
  for (const row of card.querySelectorAll("tr[data-fold]")) if (state.folds.has(rowName(row))) await open(row);
  if (state.sorted) {
    const header = card.querySelectorAll("thead th")[state.sorted.column];
    while (header && header.getAttribute("aria-sort") !== state.sorted.direction) sort(header);
  }
  const input = card.querySelector("input[type=search]");
  if (input && state.search) {
    input.value = state.search;
    await filter(input);
  }
  if (state.hasData) showData(card.querySelector(".chart").id, card.querySelector("[data-export=data]"));
  for (const [number, box] of scrolling(card).entries()) {
    const { left, top, atEnd } = state.scrolled[number] ?? { left: 0, top: 0 };
    box.scrollTo(left, atEnd ? box.scrollHeight : top);
  }
  focusables(card)[state.focused]?.focus({ preventScroll: true });
}

function forgetRemoved() {
  for (const id of Object.keys(specs)) {
    if (document.getElementById(id)) continue;
    views.get(id)?.finalize();
    views.delete(id);
    delete specs[id];
  }
}

// All of a specification but its rows and the range of time: what can't be changed in a chart that is drawn.
function shape({ datasets, params = [], ...rest }) {
  return JSON.stringify([rest, Object.keys(datasets), params.map(({ value, ...others }) => others)]);
}

async function update(id, spec) {
  const old = specs[id];
  specs[id] = spec;
  const view = views.get(id);
  if (!view) return;
  if (shape(old) === shape(spec)) {
    for (const [name, rows] of Object.entries(withRows(spec).datasets)) {
      if (old.datasets[name] !== spec.datasets[name]) view.data(name, rows);
    }
    await view.runAsync();
    await showRange(id);
  } else await redraw(id, view);
  const data = document.getElementById(id).closest("figure")?.querySelector("[data-export=data][aria-expanded=true]");
  if (data) for (const _ of ["remove", "write again"]) showData(id, data);
}

// The new drawing is made out of sight and then takes the place of the old one.
async function redraw(id, view) {
  const place = document.getElementById(id);
  const fresh = place.cloneNode(false);
  fresh.style.cssText = `position: absolute; visibility: hidden; width: ${place.clientWidth}px`;
  place.after(fresh);
  views.delete(id);
  await draw(id, fresh);
  fresh.removeAttribute("style");
  const hadFocus = place === document.activeElement;
  place.remove();
  if (hadFocus) fresh.focus({ preventScroll: true });
  view.finalize();
}

async function rewriteNode(page) {
  const content = (await lazyData()).nodes[page.id];
  if (!content) return;
  const spec = nodeSpec(content);
  const id = `${page.id}-chart`;
  if (spec && specs[id]) await update(id, spec);
  for (const part of [...page.children]) if (!part.matches("summary, .chart")) part.remove();
  page.append(...nodeParts(content));
}
