// What the page asks its own server, and nobody else.

export class KeyWanted extends Error {}

const kKeyName = "hypura-key";
let key = sessionStorage.getItem(kKeyName) ?? "";

export function useKey(text) {
  key = text;
  sessionStorage.setItem(kKeyName, text);
}

async function request(path, options = {}) {
  const headers = { ...options.headers };
  if (key) headers.Authorization = `Bearer ${key}`;
  const response = await fetch(path, { cache: "no-store", ...options, headers });
  if (response.status === 401) throw new KeyWanted("the server asks for a key");
  return response;
}

// What an error answer says, in whichever shape.
async function errorText(response) {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text);
    const message = error?.message ?? error;
    if (typeof message === "string" && message) return message;
  } catch { /* not JSON */ }
  return `the server answered ${response.status}`;
}

export async function getJson(path) {
  const response = await request(path, { signal: AbortSignal.timeout(5000) });
  if (!response.ok) throw new Error(await errorText(response));
  return response.json();
}

// The objects of a stream of server-sent events, up to [DONE].
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

// Pieces of an answer: {content}, {reasoning}, {finish}, {timings}, {usage}.
export async function* answer(model, messages, signal) {
  const response = await request("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      model, messages, stream: true, stream_options: { include_usage: true },
    }),
    signal,
  });
  if (!response.ok) throw new Error(await errorText(response));
  for await (const event of events(response.body)) {
    if (event.error) throw new Error(event.error.message ?? String(event.error));
    const choice = event.choices?.[0];
    if (choice?.delta?.reasoning_content) yield { reasoning: choice.delta.reasoning_content };
    if (choice?.delta?.content) yield { content: choice.delta.content };
    if (choice?.finish_reason) yield { finish: choice.finish_reason };
    if (event.timings) yield { timings: event.timings };
    if (event.usage) yield { usage: event.usage };
  }
}
