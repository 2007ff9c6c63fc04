import { formatBytes } from "/dashboard/format.js";

// From the fastest tier to the slowest, as a column is stacked. Slots are copies of what has its
// home on the drive, so that they are drawn as a part of it.
const kTiers = [
  { name: "gpu", label: "GPU", bytes: (layer) => layer.gpu_bytes },
  { name: "pinned", label: "pinned in RAM", bytes: (layer) => layer.pinned_bytes },
  { name: "cached", label: "slots in RAM",
    bytes: (layer) => Math.min(layer.cached_bytes, layer.drive_bytes) },
  { name: "drive", label: "drive only",
    bytes: (layer) => Math.max(0, layer.drive_bytes - layer.cached_bytes) },
];

const place = document.getElementById("layers");
const detail = document.getElementById("layer-detail");
const legend = document.getElementById("legend");
const total = document.getElementById("layers-total");

const nameOf = (layer) => layer.layer < 0 ? "Outside of layers" : `Layer ${layer.layer}`;
const sizeOf = (layer) => kTiers.reduce((sum, tier) => sum + tier.bytes(layer), 0);

let layers = [];
let pointed = null;  // index of the layer under the pointer

function describe(layer) {
  const parts = kTiers.filter((tier) => tier.bytes(layer) > 0)
    .map((tier) => `${formatBytes(tier.bytes(layer))} ${tier.label}`);
  return `${nameOf(layer)}: ${parts.join(", ") || "nothing"}`;
}

// Of the layer under the pointer, else of the one with the focus.
function showDetail() {
  const layer = layers[pointed ?? columns().indexOf(document.activeElement)];
  detail.textContent = layer ? describe(layer)
    : layers.length > 0 ? "One column a layer. Point at one, or walk with the arrow keys." : "";
}

function columns() { return [...place.children]; }

function makeColumn(index) {
  const column = document.createElement("button");
  column.type = "button";
  column.className = "column";
  column.tabIndex = index === 0 ? 0 : -1;
  for (const tier of kTiers) {
    const part = document.createElement("span");
    part.className = `part ${tier.name}`;
    column.append(part);
  }
  column.addEventListener("pointerenter", () => point(index));
  return column;
}

function point(index) {
  pointed = index;
  showDetail();
}

place.addEventListener("pointerleave", () => point(null));
place.addEventListener("focusin", () => point(null));
place.addEventListener("focusout", () => setTimeout(showDetail));
place.addEventListener("keydown", (event) => {
  const all = columns();
  const at = all.indexOf(document.activeElement);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[event.key];
  if (at < 0 || to === undefined || !all[to]) return;
  event.preventDefault();
  all[at].tabIndex = -1;
  all[to].tabIndex = 0;
  all[to].focus();
});

function makeLegend() {
  for (const tier of kTiers) {
    const item = document.createElement("li");
    const swatch = document.createElement("span");
    swatch.className = `swatch ${tier.name}`;
    const text = document.createElement("span");
    text.id = `legend-${tier.name}`;
    item.append(swatch, text);
    legend.append(item);
  }
}
makeLegend();

// Columns share one scale, that of the largest layer. What lies outside of layers may be larger by
// far (embeddings), and is cut there.
function drawColumn(column, layer, largest) {
  const size = sizeOf(layer);
  const scale = 100 / Math.max(size, largest, 1);
  kTiers.forEach((tier, i) => {
    column.children[i].style.height = `${tier.bytes(layer) * scale}%`;
  });
  column.classList.toggle("outside", layer.layer < 0);
  column.setAttribute("aria-label", describe(layer));
}

export function showLayers(state) {
  layers = state?.layers ?? [];
  if (place.children.length !== layers.length) {
    place.replaceChildren(...layers.map((layer, index) => makeColumn(index)));
  }
  const inside = layers.filter((layer) => layer.layer >= 0);
  const largest = Math.max(1, ...(inside.length > 0 ? inside : layers).map(sizeOf));
  columns().forEach((column, i) => drawColumn(column, layers[i], largest));
  for (const tier of kTiers) {
    const bytes = layers.reduce((sum, layer) => sum + tier.bytes(layer), 0);
    const text = document.getElementById(`legend-${tier.name}`);
    text.textContent = layers.length > 0 ? `${formatBytes(bytes)} ${tier.label}` : tier.label;
    text.parentElement.hidden = layers.length > 0 && bytes === 0;
  }
  total.textContent = state ? `${formatBytes(state.weight_bytes)} of weights` : "";
  showDetail();
}
