import { formatRate, formatSpeed, rateParts } from "/dashboard/format.js";
import { kWindowSeconds } from "/dashboard/rates.js";

/* global uPlot */

const kHeight = 148;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function timeLabel(seconds) {
  if (seconds === 0) return "now";
  return seconds % 60 === 0 ? `−${-seconds / 60} min` : `−${-seconds} s`;
}

// One line over the last two minutes and one level that it is compared with.
class Plot {
  #place;
  #output;
  #options;
  #plot = null;
  #data = [[], [], []];

  // {line: a colour, format, axis: what values are called, axisPixels, floor: least top}
  constructor({ place, output, ...options }) {
    this.#place = document.getElementById(place);
    this.#output = document.getElementById(output);
    this.#options = options;
    new ResizeObserver(() => this.#resize()).observe(this.#place);
    document.addEventListener("themechange", () => this.#draw());
  }

  // The level is drawn from edge to edge, whatever is measured yet.
  show(times, values, level) {
    this.#data = [
      [-kWindowSeconds, ...times, 0.001],
      [null, ...values, null],
      [level, ...times.map(() => level), level],
    ];
    this.#place.parentElement.querySelector(".of-limit").hidden = level === null;
    if (this.#plot) this.#plot.setData(this.#data);
    else this.#draw();
  }

  #resize() {
    const width = this.#place.clientWidth;
    if (this.#plot && width > 0) this.#plot.setSize({ width, height: kHeight });
  }

  // uPlot takes its colours when it is made.
  #draw() {
    this.#plot?.destroy();
    const { line, format, axis, axisPixels, floor } = this.#options;
    const axes = { stroke: colour("--muted"), font: "11px system-ui, sans-serif" };
    const grid = { stroke: colour("--grid"), width: 1 };
    this.#plot = new uPlot({
      width: Math.max(200, this.#place.clientWidth),
      height: kHeight,
      legend: { show: false },
      select: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      padding: [8, 14, 0, 0],
      scales: {
        x: { time: false, range: [-kWindowSeconds, 0] },
        y: { range: (plot, low, high) => [0, Math.max(floor, (high ?? 0) * 1.15)] },
      },
      axes: [
        { ...axes, grid: { show: false }, ticks: { show: false }, size: 24, gap: 2,
          splits: () => [-120, -90, -60, -30, 0], values: (plot, at) => at.map(timeLabel) },
        { ...axes, grid, ticks: { show: false }, size: axisPixels, gap: 8, space: 26,
          values: (plot, at) => at.map(axis) },
      ],
      series: [
        {},
        { stroke: colour(line), fill: colour(`${line}-faint`), width: 2, points: { show: false } },
        { stroke: colour("--muted"), width: 1.5, dash: [5, 4], points: { show: false } },
      ],
      hooks: {
        setCursor: [(plot) => {
          const value = plot.data[1][plot.cursor.idx ?? -1];
          const at = plot.data[0][plot.cursor.idx ?? -1];
          const known = value !== undefined && value !== null && plot.cursor.left >= 0;
          this.#output.textContent = known ? `${format(value)}, ${Math.round(-at)} s ago` : "";
        }],
      },
    }, this.#data, this.#place);
  }
}

const speedPlot = new Plot({
  place: "speed-plot", output: "speed-at", line: "--speed", floor: 1,
  format: (value) => `${formatSpeed(value)} tokens/s`, axisPixels: 32,
  axis: (value) => value === 0 ? "" : String(value),
});
const drivePlot = new Plot({
  place: "drive-plot", output: "drive-at", line: "--drive", floor: 1e6,
  format: formatRate, axisPixels: 62,
  axis: (value) => value === 0 ? "" : rateParts(value).join(" "),
});

export function showPlots(points, at, state) {
  const times = points.map((point) => point.at - at);
  speedPlot.show(times, points.map((point) => point.speed), state?.predicted_decode_tps ?? null);
  drivePlot.show(times, points.map((point) => point.drive),
    state?.reads.roofline_bytes_per_second ?? null);
}
