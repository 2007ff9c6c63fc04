// What a status says, put where it belongs. Values that are not known show as a dash.

import {
  bytesParts, formatBytes, formatCount, formatRate, formatSeconds, formatSpeed, rateParts,
} from "/dashboard/format.js";

const kDash = "–";

function set(id, text) {
  const place = document.getElementById(id);
  if (place.textContent !== text) place.textContent = text;
}

function setParts(id, parts) {
  set(id, parts ? parts[0] : kDash);
  set(`${id}-unit`, parts ? parts[1] : "");
}

function setMeter(id, share) {
  const meter = document.getElementById(id);
  meter.classList.toggle("none", share === null);
  const percent = Math.round(Math.min(1, Math.max(0, share ?? 0)) * 100);
  meter.setAttribute("aria-valuenow", String(percent));
  meter.firstElementChild.style.width = `${percent}%`;
}

const percentOf = (share) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;

function showSpeed(state, rates) {
  const predicted = state?.predicted_decode_tps ?? null;
  set("speed", rates.speed === null ? kDash : formatSpeed(rates.speed));
  set("speed-note", predicted === null ? "" : `predicted ${formatSpeed(predicted)}`);
}

function showDrive(state, rates) {
  const roofline = state?.reads.roofline_bytes_per_second ?? null;
  setParts("drive", rates.drive === null ? null : rateParts(rates.drive));
  const share = roofline === null || rates.drive === null ? null : rates.drive / roofline;
  setMeter("drive-meter", share);
  set("drive-note", share === null ? state?.reads.device ?? ""
    : `${percentOf(share)} of ${formatRate(roofline)}`);
}

function showHits(state, rates) {
  const experts = state?.experts ?? null;
  const overall = experts?.uses > 0 ? experts.hits / experts.uses : null;
  const share = rates.hitRate ?? overall;
  set("hits", share === null ? kDash : (share * 100).toFixed(1));
  set("hits-unit", share === null ? "" : "%");
  setMeter("hits-meter", share);
  set("hits-note", experts ? (overall === null ? `${formatCount(experts.slots)} slots`
    : `${percentOf(overall)} since loading`) : state ? "no experts" : "");
}

function showMemory(status, state) {
  const held = state?.rss_bytes ?? null;
  setParts("memory", held === null ? null : bytesParts(held));
  const budget = state?.budget_bytes ?? 0;
  setMeter("memory-meter", held === null || budget === 0 ? null : held / budget);
  const given = state?.elastic?.given_back_bytes ?? 0;
  set("memory-note", state ? (given > 0 ? `${formatBytes(given)} given back to the system`
    : `resident, budget ${formatBytes(budget)}`)
    : `${formatBytes(status.leased_bytes)} of ${formatBytes(status.budget_bytes)} lent`);
}

function showRequests(model) {
  set("active", model ? String(model.active) : kDash);
  set("requests-note",
    model ? `${model.queued} queued, ${formatCount(model.requests)} served` : "");
}

function showStall(state, rates) {
  const share = rates.stallShare;
  set("stall", share === null ? kDash : (share * 100).toFixed(0));
  set("stall-note", state ? `${formatSeconds(state.reads.stall_seconds)} in all` : "");
}

export function showNumbers(status, model, rates) {
  const state = model?.state ?? null;
  showSpeed(state, rates);
  showDrive(state, rates);
  showHits(state, rates);
  showMemory(status, state);
  showRequests(model);
  showStall(state, rates);
}

// Rewrites a list only when it says something else, so that a selection in it survives.
function setItems(id, key, make) {
  const place = document.getElementById(id);
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  place.replaceChildren(...make());
}

function element(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function factsOf(state) {
  const facts = [
    ["mode", state.mode],
    ["weights", formatBytes(state.weight_bytes)],
    ["context", `${formatCount(state.context)} tokens, ${formatBytes(state.kv_bytes)}`],
    ["at once", `${state.parallel} request${state.parallel === 1 ? "" : "s"}`],
    ["threads", String(state.threads)],
    ["budget", formatBytes(state.budget_bytes)],
  ];
  if (state.reads.device) facts.push(["drive", state.reads.device]);
  return [...facts, ["file", state.path]];
}

function whyNoPlan(model) {
  if (model?.status === "loading") return "The model is being loaded.";
  if (model?.status === "failed") return "The model could not be loaded; Models says why.";
  return "The model is not loaded. The first question loads it.";
}

export function showPlan(model) {
  const state = model?.state ?? null;
  const why = state?.why ?? [whyNoPlan(model)];
  setItems("why", JSON.stringify(why), () => why.map((reason) => element("li", reason)));
  const facts = state ? factsOf(state) : [];
  setItems("facts", JSON.stringify(facts), () => facts.map(([name, value]) => {
    const fact = element("div", "");
    fact.append(element("dt", name), element("dd", value));
    return fact;
  }));
}

function modelLine(model) {
  const parts = [];
  if (model.status === "ready") parts.push(`loaded ${formatSeconds(model.loaded_seconds)} ago`);
  if (model.expires_seconds !== null && model.status === "ready") {
    parts.push(`leaves in ${formatSeconds(model.expires_seconds)}`);
  }
  if (model.active + model.queued > 0) parts.push(`${model.active} active, ${model.queued} queued`);
  return parts.join(" · ");
}

// `names`: all that can be loaded.
export function showModels(models, names) {
  const lines = models.map((model) => [model.name, model.status, modelLine(model), model.error]);
  for (const name of names) {
    if (!models.some((model) => model.name === name)) lines.push([name, "not loaded", "", null]);
  }
  setItems("models", JSON.stringify(lines), () => lines.map(([name, status, text, error]) => {
    const item = element("li", "");
    item.append(element("span", name, "name"),
      element("span", status, `status ${status.replace(" ", "-")}`), element("span", text, "note"));
    if (error) item.append(element("p", error, "error"));
    return item;
  }));
}

export function showConnection(kind, text) {
  document.getElementById("connection").dataset.kind = kind;
  set("connection-text", text);
  document.body.classList.toggle("stale", kind === "gone");
}

export function showNotice(text) {
  const notice = document.getElementById("notice");
  set("notice", text);
  notice.hidden = text === "";
}
