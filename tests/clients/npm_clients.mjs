// Drives a server with npm's `ollama` and `openai`: npm_clients.mjs FOLDER URL MODEL CHAT_MODEL FILE.
// FOLDER has the node_modules. Fails with the assertion that does not hold.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { basename } from "node:path";

const [folder, url, model, chatModel, file] = process.argv.slice(2);
const require = createRequire(`${folder}/package.json`);
const { Ollama } = require("ollama");
const OpenAI = require("openai").default;

const messages = [{ role: "user", content: "What is the capital of France?" }];
const greedy = { temperature: 0, num_predict: 12 };
const schema = {
  type: "object",
  properties: { city: { type: "string", maxLength: 12 } },
  required: ["city"],
  additionalProperties: false,
};

async function failsWith(code, call) {
  await assert.rejects(call, (error) => (error.status_code ?? error.status) === code);
}

async function join(stream, text) {
  let joined = "";
  for await (const piece of stream) joined += text(piece);
  return joined;
}

async function ollama() {
  const client = new Ollama({ host: url });
  const names = (await client.list()).models.map((one) => one.name);
  assert(names.includes(`${model}:latest`) && names.includes(`${chatModel}:latest`), names);
  assert.match((await client.version()).version, /^\d+\.\d+\.\d+$/);
  assert.equal((await client.show({ model: chatModel })).details.format, "gguf");

  const whole = await client.generate({ model, prompt: "Once upon a time", options: greedy });
  assert.equal(whole.done_reason, "length");
  assert.equal(whole.eval_count, 12);
  const streamed = await client.generate({
    model, prompt: "Once upon a time", options: greedy, stream: true,
  });
  assert.equal(await join(streamed, (piece) => piece.response), whole.response);

  const chat = await client.chat({ model: chatModel, messages, options: greedy });
  assert.match(chat.message.content, /Paris/);
  const pieces = await client.chat({ model: chatModel, messages, options: greedy, stream: true });
  assert.equal(await join(pieces, (piece) => piece.message.content), chat.message.content);
  const formed = await client.chat({
    model: chatModel, messages, format: schema, options: { ...greedy, num_predict: 40 },
  });
  assert.deepEqual(Object.keys(JSON.parse(formed.message.content)), ["city"]);

  // A client that leaves in the middle.
  const left = await client.generate({
    model, prompt: "Once", options: { num_predict: 500 }, stream: true,
  });
  setTimeout(() => left.abort(), 100);
  await assert.rejects(join(left, (piece) => piece.response), { name: "AbortError" });

  assert.equal((await client.embed({ model, input: ["a", "b"] })).embeddings.length, 2);
  assert((await client.embeddings({ model, prompt: "a" })).embedding.length > 8);
  assert((await client.ps()).models.length > 0);

  const states = [];
  for await (const piece of await client.pull({ model: file, stream: true })) states.push(piece.status);
  assert.equal(states.at(-1), "success");
  const pulled = basename(file, ".gguf");
  assert.equal((await client.copy({ source: pulled, destination: "second" })).status, "success");
  assert.equal((await client.create({ model: "third", from: "second", system: "Speak." })).status, "success");
  for (const name of [pulled, "second", "third"]) {
    assert.equal((await client.delete({ model: name })).status, "success");
  }
  await failsWith(404, () => client.show({ model: "nobody" }));
  await failsWith(404, () => client.chat({ model: "nobody", messages }));
}

async function openai() {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  const ids = (await client.models.list()).data.map((one) => one.id);
  assert(ids.includes(model) && ids.includes(chatModel), ids);
  const question = { model: chatModel, messages, temperature: 0, max_tokens: 12 };
  const whole = await client.chat.completions.create(question);
  assert(whole.choices[0].message.content.length > 0);
  const stream = await client.chat.completions.create({ ...question, stream: true });
  assert.equal(await join(stream, (chunk) => chunk.choices[0]?.delta?.content ?? ""),
    whole.choices[0].message.content);
  const text = await client.completions.create({ model, prompt: "Once upon a time", max_tokens: 6 });
  assert.equal(text.usage.completion_tokens, 6);
  assert.equal((await client.embeddings.create({ model, input: ["a", "b"] })).data.length, 2);
  const response = await client.responses.create({ model: chatModel, input: "Say hello.", max_output_tokens: 16 });
  assert(response.output_text.length > 0);
  await failsWith(404, () => client.chat.completions.create({ ...question, model: "nobody" }));
}

await ollama();
console.log("ollama: passed");
await openai();
console.log("openai: passed");
