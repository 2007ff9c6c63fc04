import { KeyWanted, answer } from "/dashboard/api.js";
import { formatSeconds, formatSpeed } from "/dashboard/format.js";

const kLiveSeconds = 5;  // over which the speed of an answer under way is taken
const kQuestionPixelsMost = 180;

const log = document.getElementById("log");
const welcome = document.getElementById("welcome");
const question = document.getElementById("question");
const send = document.getElementById("send");
const stop = document.getElementById("stop");
const clear = document.getElementById("clear");

let conversation = [];  // {role, content}, as the API has it
let running = null;     // {abort, model, arrivals} of the answer under way

const seconds = () => performance.now() / 1000;

// Tokens a second of the answer under way that `model` gives this page; null without one.
export function liveSpeed(model) {
  if (!running || running.model !== model) return null;
  const since = seconds() - kLiveSeconds;
  running.arrivals = running.arrivals.filter((at) => at > since);
  const { arrivals } = running;
  const span = arrivals.length > 1 ? arrivals.at(-1) - arrivals[0] : 0;
  return span > 0 ? (arrivals.length - 1) / span : null;
}

export function stopAnswer() { running?.abort.abort(); }

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

// Reading back is not disturbed: the log follows only where its end was in sight.
function keepEnd(change) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  change();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function addMessage(role, text) {
  const message = element("article", `message ${role}`);
  message.append(element("h3", "unseen", role === "user" ? "You" : "Model"),
    element("div", "text", text));
  log.append(message);
  return message;
}

// The parts of an answer that grows. Text only: nothing of a model is ever read as HTML.
class AnswerView {
  #message = addMessage("assistant", "");
  #text = this.#message.querySelector(".text").appendChild(new Text());
  #meta = element("p", "meta");
  #reasoning = null;

  constructor() { this.#message.append(this.#meta); }

  addContent(piece) { keepEnd(() => this.#text.appendData(piece)); }

  addReasoning(piece) {
    keepEnd(() => {
      if (!this.#reasoning) {
        const details = element("details", "reasoning");
        details.open = true;
        const body = element("div", "text");
        this.#reasoning = body.appendChild(new Text());
        details.append(element("summary", "", "Reasoning"), body);
        this.#message.querySelector(".text").before(details);
      }
      this.#reasoning.appendData(piece);
    });
  }

  closeReasoning() {
    const details = this.#message.querySelector("details");
    if (details) details.open = false;
  }

  setMeta(text, isError = false) {
    keepEnd(() => {
      this.#meta.textContent = text;
      this.#meta.classList.toggle("error", isError);
    });
  }
}

function setRunning(value) {
  running = value;
  send.hidden = value !== null;
  stop.hidden = value === null;
  clear.disabled = value !== null || conversation.length === 0;
  log.setAttribute("aria-busy", String(value !== null));
}

// What an answer was, in one line. The server's own clock is better than this page's.
function summary({ began, first, ended, count, timings, usage, finish }) {
  const parts = [];
  if (finish === "stopped") parts.push("stopped");
  if (finish === "length") parts.push("cut at the limit");
  const tokens = timings?.predicted_n ?? usage?.completion_tokens ?? count;
  parts.push(`${tokens} token${tokens === 1 ? "" : "s"}`);
  const speed = timings?.predicted_per_second ??
    (count > 1 && ended > first ? (count - 1) / (ended - first) : null);
  if (speed !== null) parts.push(`${formatSpeed(speed)} tokens/s`);
  if (first !== null) parts.push(`first token after ${formatSeconds(first - began)}`);
  return parts.join(" · ");
}

async function receive(model, view) {
  const facts = { began: seconds(), first: null, ended: null, count: 0, finish: null };
  const abort = new AbortController();
  setRunning({ abort, model, arrivals: [] });
  const clock = setInterval(() => {
    if (facts.first === null) {
      view.setMeta(`waiting for the first token, ${formatSeconds(seconds() - facts.began)}`);
    }
  }, 500);
  let content = "";
  let failure = null;
  try {
    for await (const piece of answer(model, conversation, abort.signal)) {
      if (piece.content || piece.reasoning) {
        facts.ended = seconds();
        facts.first ??= facts.ended;
        ++facts.count;
        running.arrivals.push(facts.ended);
      }
      if (piece.reasoning) view.addReasoning(piece.reasoning);
      if (piece.content) {
        if (content === "") view.closeReasoning();
        content += piece.content;
        view.addContent(piece.content);
      }
      Object.assign(facts, piece.finish && { finish: piece.finish },
        piece.timings && { timings: piece.timings }, piece.usage && { usage: piece.usage });
      if (facts.first !== null && !facts.finish) view.setMeta("");
    }
    if (facts.finish === null) failure = "The answer broke off.";
  } catch (error) {
    if (abort.signal.aborted) facts.finish = "stopped";
    else failure = error;
  }
  clearInterval(clock);
  return { content, facts, failure };
}

function failureText(failure) {
  if (failure instanceof KeyWanted) return "Not answered: the server asks for a key.";
  if (failure instanceof TypeError) return "Not answered: the server is out of reach.";
  return failure instanceof Error ? `Not answered: ${failure.message}` : failure;
}

async function ask(model, text, onKeyWanted) {
  welcome.hidden = true;
  conversation.push({ role: "user", content: text });
  addMessage("user", text);
  const view = new AnswerView();
  log.scrollTop = log.scrollHeight;
  const { content, facts, failure } = await receive(model, view);
  if (content) conversation.push({ role: "assistant", content });
  else conversation.pop();  // an unanswered question is not part of what is said next
  setRunning(null);
  if (!failure) {
    view.setMeta(summary(facts));
    return;
  }
  view.setMeta(failureText(failure), true);
  if (failure instanceof KeyWanted) onKeyWanted();
  if (!content && question.value === "") question.value = text;
}

function fitQuestion() {
  question.style.height = "auto";
  const wanted = question.scrollHeight + 2;  // and its border
  question.style.height = `${Math.min(wanted, kQuestionPixelsMost)}px`;
  question.style.overflowY = wanted > kQuestionPixelsMost ? "auto" : "hidden";
}

// `modelName()`: the one that is asked, "" without any.
export function startChat({ modelName, onKeyWanted }) {
  const submit = () => {
    const text = question.value.trim();
    if (running || text === "" || modelName() === "") return;
    question.value = "";
    fitQuestion();
    ask(modelName(), text, onKeyWanted).finally(fitQuestion);
  };
  document.getElementById("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  question.addEventListener("input", fitQuestion);
  question.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  stop.addEventListener("click", () => {
    stopAnswer();
    question.focus();
  });
  clear.addEventListener("click", () => {
    conversation = [];
    for (const message of log.querySelectorAll(".message")) message.remove();
    welcome.hidden = false;
    setRunning(null);
    question.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && running) stopAnswer();
    const writes = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName);
    if (event.key === "/" && !writes && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      question.focus();
    }
  });
}
