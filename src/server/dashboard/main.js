import { KeyWanted, getJson, useKey } from "/dashboard/api.js";
import { liveSpeed, startChat } from "/dashboard/chat.js";
import { formatSeconds } from "/dashboard/format.js";
import { showLayers } from "/dashboard/layers.js";
import {
  showConnection, showModels, showNotice, showNumbers, showPlan,
} from "/dashboard/panels.js";
import { showPlots } from "/dashboard/plots.js";
import { Rates } from "/dashboard/rates.js";

const kPollSeconds = 1;
const kNamesPolls = 20;         // the list of models is asked for this often
const kRetrySecondsMost = 5;    // after a server is gone

const select = document.getElementById("model");
const keyForm = document.getElementById("key-form");
const keyField = document.getElementById("key");

const rates = new Map();  // by model
let names = [];           // of all that can be loaded
let polls = 0;
let failures = 0;
let wake = () => {};      // ends the pause between two polls

const now = () => performance.now() / 1000;

function ratesOf(name) {
  if (!rates.has(name)) rates.set(name, new Rates());
  return rates.get(name);
}

// The chosen model stays chosen; at first it is one that is loaded.
function showSelect(models) {
  const all = [...new Set([...models.map((model) => model.name), ...names])];
  const key = JSON.stringify(all);
  if (select.dataset.key === key) return;
  select.dataset.key = key;
  const chosen = select.value;
  select.replaceChildren(...all.map((name) => new Option(name, name)));
  const ready = models.find((model) => model.status === "ready");
  select.value = all.includes(chosen) ? chosen : ready?.name ?? all[0] ?? "";
  select.disabled = all.length === 0;
}

function show(status, at) {
  const model = status.models.find(({ name }) => name === select.value) ?? null;
  const known = ratesOf(select.value);
  showNumbers(status, model, known);
  showLayers(model?.state ?? null);
  showPlots(known.points, at, model?.state ?? null);
  showPlan(model);
  showModels(status.models, names);
}

let last = null;  // {status, at} of the last poll that was answered

function noticeOf(status) {
  if (status.draining) {
    return "The server is about to end: it finishes its answers and takes no new ones.";
  }
  const model = status.models.find(({ name }) => name === select.value);
  if (model?.status !== "failed") return "";
  return `${model.name} failed: ${model.error ?? "no reason is known"}`;
}

async function poll() {
  try {
    if (polls % kNamesPolls === 0) {
      names = (await getJson("/v1/models")).data.map((model) => model.id);
    }
    const status = await getJson("/hypura/status");
    const at = now();
    ++polls;
    failures = 0;
    keyForm.hidden = true;
    showSelect(status.models);
    for (const model of status.models) {
      if (model.state) ratesOf(model.name).add(at, model.state, liveSpeed(model.name));
    }
    last = { status, at };
    showConnection("there", `v${status.version} · up ${formatSeconds(status.uptime_seconds)}`);
    showNotice(noticeOf(status));
    show(status, at);
  } catch (error) {
    onFailure(error);
  }
}

async function pollForever() {
  for (;;) {
    await poll();
    const pause = Math.min(kPollSeconds + failures, kRetrySecondsMost);
    await new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, pause * 1000);
    });
  }
}

function onFailure(error) {
  polls = 0;  // the next server may have other models
  if (error instanceof KeyWanted) {
    askForKey();
    return;
  }
  if (++failures === 1) {
    for (const known of rates.values()) known.interrupt(now());
  }
  showConnection("gone", "No answer");
  showNotice("The server does not answer. What is shown is from before; this page keeps trying.");
}

function askForKey() {
  showConnection("gone", "Key needed");
  showNotice("");
  if (!keyForm.hidden) return;
  keyForm.hidden = false;
  keyField.focus();
}

keyForm.addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(keyField.value);
  keyField.value = "";
  keyForm.hidden = true;
  wake();
});

select.addEventListener("change", () => { if (last) show(last.status, last.at); });

startChat({ modelName: () => select.value, onKeyWanted: askForKey });
pollForever();
