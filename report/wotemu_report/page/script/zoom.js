// One range of time for all charts: dragged on any of them, chosen by phase, moved by keys.

let range = [0, endS];
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
const MAX_TICKS = 12;
const LEAST_S = 1;

const isTimed = (id) => specs[id].params?.some((param) => param.name === "zoom");
const isWhole = () => range[0] <= 0 && range[1] >= endS;

async function showRange(id) {
  const view = views.get(id);
  if (!view || !isTimed(id)) return;
  const shown = view.signal("zoom");
  if (shown[0] === range[0] && shown[1] === range[1]) return;
  const span = range[1] - range[0];
  const tick = STEPS.find((step) => span / step <= MAX_TICKS) ?? STEPS.at(-1);
  await view.signal("zoom", range).signal("tick", tick).runAsync();
}

async function zoomTo(from, to) {
  const least = Math.min(LEAST_S, endS);
  const width = Math.min(endS, Math.max(least, to - from));
  const start = Math.min(Math.max(0, from), endS - width);
  range = [start, start + width];
  markRange();
  const near = (id) => Math.abs(document.getElementById(id).getBoundingClientRect().top - innerHeight / 2);
  // Those in sight first.
  for (const id of [...views.keys()].sort((left, right) => near(left) - near(right))) await showRange(id);
  document.documentElement.dataset.range = range.join(" ");
}

// Says in the bar, which only runs with phases have, what is shown.
function markRange() {
  const said = document.querySelector("#time output");
  if (said) said.textContent = isWhole() ? "whole run" : `${format(range[0])} to ${format(range[1])}`;
  for (const button of document.querySelectorAll("#time [data-from]")) {
    const same = Math.abs(button.dataset.from - range[0]) < 1e-6 && Math.abs(button.dataset.to - range[1]) < 1e-6;
    button.setAttribute("aria-pressed", String(same));
  }
}

function format(seconds) {
  if (endS < 600) return `${Number(seconds.toFixed(2))} s`;
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - minutes * 60).toFixed(1).padStart(4, "0")}`;
}

// The plot's left edge and its width, in pixels from the left edge of its place on the page.
function plot(place, view) {
  const drawing = place.querySelector("svg").getBoundingClientRect();
  const scale = drawing.width / (view.width() + view.origin()[0] + view.padding().left + view.padding().right) || 1;
  const bounds = place.getBoundingClientRect();
  const factor = Math.min(1, scale);
  return { left: drawing.left - bounds.left + (view.origin()[0] + view.padding().left) * factor, width: view.width() * factor };
}

function listenToBrush(place, view) {
  let from = null;
  let band = null;
  const seconds = (x) => {
    const { left, width } = plot(place, view);
    const share = Math.min(1, Math.max(0, (x - place.getBoundingClientRect().left - left) / width));
    return range[0] + share * (range[1] - range[0]);
  };
  const stop = () => {
    band?.remove();
    from = band = null;
  };
  place.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch") return; // a finger scrolls
    const { left, width } = plot(place, view);
    const x = event.clientX - place.getBoundingClientRect().left;
    if (x >= left && x <= left + width) from = event.clientX;
  });
  place.addEventListener("pointermove", (event) => {
    if (from === null || (!band && Math.abs(event.clientX - from) < 5)) return;
    if (!band) {
      band = place.appendChild(element("div", undefined, { class: "brush" }));
      place.setPointerCapture(event.pointerId);
    }
    const bounds = place.getBoundingClientRect();
    band.style.left = `${Math.min(from, event.clientX) - bounds.left}px`;
    band.style.width = `${Math.abs(event.clientX - from)}px`;
  });
  place.addEventListener("pointerup", (event) => {
    const ends = band ? [seconds(from), seconds(event.clientX)].sort((left, right) => left - right) : null;
    stop();
    if (ends) zoomTo(...ends);
  });
  place.addEventListener("pointercancel", stop);
  place.addEventListener("dblclick", () => zoomTo(0, endS));
  place.addEventListener("keydown", (event) => {
    const width = range[1] - range[0];
    const middle = (range[0] + range[1]) / 2;
    const moves = {
      "+": [middle - width / 4, middle + width / 4],
      "=": [middle - width / 4, middle + width / 4],
      "-": [middle - width, middle + width],
      ArrowLeft: [range[0] - width / 4, range[1] - width / 4],
      ArrowRight: [range[0] + width / 4, range[1] + width / 4],
      Escape: [0, endS],
      0: [0, endS],
    };
    const to = moves[event.key];
    if (!to || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    zoomTo(...to);
  });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("#time [data-from]");
  if (button) zoomTo(Number(button.dataset.from), Number(button.dataset.to));
});
