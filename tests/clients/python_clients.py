"""Drives a server with PyPI's `ollama` and `openai`: python_clients.py URL MODEL SECOND_MODEL FILE.

MODEL streams its experts and continues texts, SECOND_MODEL follows instructions; FILE is a GGUF file to
pull. Fails with a traceback.
"""

import hashlib
import json
import sys

import ollama
import openai

URL, MODEL, CHAT_MODEL, FILE = sys.argv[1:5]
MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
GREEDY = {"temperature": 0, "num_predict": 12}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}},
          "required": ["city"], "additionalProperties": False}
TOOL = {"type": "function", "function": {
    "name": "weather", "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


# A small model calls a function when all before it did.
CALLS = [message for city in ("Rome", "Oslo", "Berlin") for message in (
    {"role": "user", "content": f"What is the weather in {city}?"},
    {"role": "assistant", "content": "", "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "weather", "arguments": {"city": city}}}]})]
CALLS.append({"role": "user", "content": "What is the weather in Paris?"})


def fails(call, kind, code):
    try:
        result = call()
        if hasattr(result, "__next__"):
            list(result)
    except kind as error:
        assert error.status_code == code, error
        return error
    raise AssertionError(f"no {code}")


def ollama_lists(client):
    names = {model.model for model in client.list().models}
    assert {f"{MODEL}:latest", f"{CHAT_MODEL}:latest"} <= names, names
    shown = client.show(CHAT_MODEL)
    assert shown.details.family == "llama" and shown.modelinfo["general.architecture"] == "llama"
    assert "completion" in shown.capabilities and "<|im_start|>" in shown.template
    fails(lambda: client.show("nobody"), ollama.ResponseError, 404)


def ollama_generates(client):
    whole = client.generate(MODEL, "Once upon a time", options=GREEDY)
    assert whole.done and whole.done_reason == "length" and whole.eval_count == 12, whole
    assert whole.prompt_eval_count == 5 and whole.total_duration > whole.eval_duration > 0, whole
    pieces = list(client.generate(MODEL, "Once upon a time", options=GREEDY, stream=True))
    assert "".join(piece.response for piece in pieces) == whole.response, pieces
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    # The context goes on where the answer ended.
    more = client.generate(MODEL, " and", context=whole.context, options=GREEDY)
    assert more.context[:len(whole.context)] == list(whole.context), more
    raw = client.generate(MODEL, "Once upon a time", raw=True, options=GREEDY)
    assert raw.response == whole.response
    stopped = client.generate(MODEL, "Once upon a time", options={**GREEDY, "stop": [" there"]})
    assert stopped.done_reason == "stop" and stopped.response == "", stopped
    formed = client.generate(CHAT_MODEL, "Name a city.", format=SCHEMA, options={**GREEDY, "num_predict": 40})
    assert set(json.loads(formed.response)) == {"city"}, formed
    free = client.generate(CHAT_MODEL, "Write {\"city\": \"Rome\"}", format="json",
                           options={"temperature": 0, "num_predict": 200, "num_ctx": 512})
    assert free.response.lstrip().startswith("{"), free
    assert free.done_reason == "length" or isinstance(json.loads(free.response), dict), free
    system = client.generate(CHAT_MODEL, "Hello", system="Say yes.", options=GREEDY)
    assert system.response != client.generate(CHAT_MODEL, "Hello", options=GREEDY).response
    own = client.generate(MODEL, "upon a time", template="Once {{ .Prompt }}", options=GREEDY)
    assert own.response == whole.response, own
    seeded = [client.generate(MODEL, "A", options={"temperature": 1, "seed": seed, "num_predict": 8}).response
              for seed in (1, 1, 2)]
    assert seeded[0] == seeded[1] != seeded[2], seeded
    likely = client.generate(MODEL, "Once upon a", logprobs=True, top_logprobs=2, options=GREEDY)
    assert len(likely.logprobs) == 12 and len(likely.logprobs[0].top_logprobs) == 2, likely
    fails(lambda: client.generate(MODEL, "a", suffix="b"), ollama.ResponseError, 400)
    fails(lambda: client.generate(MODEL, "a", options={"temperature": "hot"}), ollama.ResponseError, 400)
    fails(lambda: client.generate("nobody", "a", stream=True), ollama.ResponseError, 404)


def ollama_loads(client):
    assert client.generate(MODEL, "").done_reason == "load"
    assert MODEL + ":latest" in {model.model for model in client.ps().models}
    assert client.generate(MODEL, "", keep_alive=0).done_reason == "unload"
    for _ in range(100):
        if MODEL + ":latest" not in {model.model for model in client.ps().models}:
            break
        client.list()
    else:
        raise AssertionError("it is still there")
    assert client.chat(MODEL, [], keep_alive="5m").done_reason == "load"
    running = next(model for model in client.ps().models if model.model == MODEL + ":latest")
    assert running.expires_at and running.context_length > 0 and running.size > 0, running


def ollama_chats(client):
    whole = client.chat(CHAT_MODEL, MESSAGES, options=GREEDY)
    assert "Paris" in whole.message.content and whole.message.role == "assistant", whole
    pieces = list(client.chat(CHAT_MODEL, MESSAGES, options=GREEDY, stream=True))
    assert "".join(piece.message.content for piece in pieces) == whole.message.content
    assert pieces[-1].done and pieces[-1].eval_count > 0
    formed = client.chat(CHAT_MODEL, MESSAGES, format=SCHEMA, options={**GREEDY, "num_predict": 40})
    assert set(json.loads(formed.message.content)) == {"city"}, formed
    again = client.chat(CHAT_MODEL, [*MESSAGES, whole.message, {"role": "user", "content": "Really?"}],
                        options=GREEDY)
    assert again.prompt_eval_count > whole.prompt_eval_count
    for stream in (False, True):
        called = client.chat(CHAT_MODEL, CALLS, tools=[TOOL], stream=stream,
                             options={"temperature": 0, "num_predict": 60, "repeat_penalty": 1})
        pieces = list(called) if stream else [called]
        calls = [call.function for piece in pieces for call in piece.message.tool_calls or []]
        assert [(call.name, call.arguments) for call in calls] == [("weather", {"city": "Paris"})], pieces
    told = client.chat(CHAT_MODEL, [
        *MESSAGES, {"role": "assistant", "content": "", "tool_calls": [
            {"function": {"name": "weather", "arguments": {"city": "Paris"}}}]},
        {"role": "tool", "tool_name": "weather", "content": "sunny"}], options=GREEDY)
    assert told.done, told
    fails(lambda: client.chat("nobody", MESSAGES), ollama.ResponseError, 404)
    fails(lambda: client.chat(CHAT_MODEL, MESSAGES, think="much"), ollama.ResponseError, 400)


def ollama_embeds(client):
    both = client.embed(MODEL, ["a king", "a queen"])
    assert len(both.embeddings) == 2 and both.prompt_eval_count > 0, both
    assert abs(sum(value * value for value in both.embeddings[0]) - 1) < 1e-3
    assert len(client.embed(MODEL, "a king", dimensions=8).embeddings[0]) == 8
    assert len(client.embeddings(MODEL, "a king").embedding) == len(both.embeddings[0])


def ollama_changes(client):
    states = [piece.status for piece in client.pull(FILE, stream=True)]
    assert states[-1] == "success", states
    name = FILE.rsplit("/", 1)[-1].removesuffix(".gguf")
    assert client.copy(name, "copied").status == "success"
    assert client.generate("copied", "Once upon a time", options=GREEDY).response
    made = client.create("made", from_="copied", system="Speak.", parameters={"num_predict": 3, "temperature": 0})
    assert made.status == "success", made
    assert client.generate("made", "Once upon a time").eval_count == 3
    assert "num_predict" in client.show("made").parameters
    digest = client.create_blob(FILE)
    with open(FILE, "rb") as file:
        assert digest == "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    assert client.create("uploaded", files={"model.gguf": digest}).status == "success"
    for name_ in (name, "copied", "made", "uploaded"):
        assert client.delete(name_).status == "success"
    fails(lambda: client.delete("copied"), ollama.ResponseError, 404)
    fails(lambda: client.copy("nobody", "x"), ollama.ResponseError, 404)


def openai_answers():
    client = openai.OpenAI(base_url=URL + "/v1", api_key="none", max_retries=0)
    assert {MODEL, CHAT_MODEL} <= {model.id for model in client.models.list()}
    assert client.models.retrieve(MODEL).id == MODEL
    whole = client.chat.completions.create(model=CHAT_MODEL, messages=MESSAGES, temperature=0, max_tokens=12,
                                           logprobs=True, top_logprobs=3)
    assert whole.choices[0].message.content and 0 < whole.usage.completion_tokens <= 12
    assert len(whole.choices[0].logprobs.content[0].top_logprobs) == 3
    stream = client.chat.completions.create(model=CHAT_MODEL, messages=MESSAGES, temperature=0, max_tokens=12,
                                            stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content and chunks[-1].usage, text
    formed = client.chat.completions.create(
        model=CHAT_MODEL, messages=MESSAGES, temperature=0, max_tokens=40, response_format={
            "type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}})
    assert set(json.loads(formed.choices[0].message.content)) == {"city"}
    calls = json.loads(json.dumps(CALLS))
    for message in calls:
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
    called = client.chat.completions.create(model=CHAT_MODEL, messages=calls, tools=[TOOL],
                                            tool_choice="required", temperature=0, max_tokens=60)
    function = called.choices[0].message.tool_calls[0].function
    assert (function.name, json.loads(function.arguments)) == ("weather", {"city": "Paris"}), called
    assert called.choices[0].finish_reason == "tool_calls"
    text = client.completions.create(model=MODEL, prompt="Once upon a time", max_tokens=6, temperature=0)
    assert text.choices[0].finish_reason == "length" and text.usage.prompt_tokens == 5, text
    assert len(client.embeddings.create(model=MODEL, input=["a", "b"]).data) == 2
    response = client.responses.create(model=CHAT_MODEL, input="Say hello.", max_output_tokens=16)
    assert response.output_text and response.status, response
    kinds = [event.type for event in client.responses.create(model=CHAT_MODEL, input="Say hello.",
                                                             max_output_tokens=16, stream=True)]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    fails(lambda: client.chat.completions.create(model="nobody", messages=MESSAGES), openai.NotFoundError, 404)
    fails(lambda: client.chat.completions.create(model=CHAT_MODEL, messages="x"), openai.BadRequestError, 400)


if __name__ == "__main__":
    CLIENT = ollama.Client(host=URL)
    for check in (ollama_lists, ollama_generates, ollama_chats, ollama_loads, ollama_embeds, ollama_changes):
        check(CLIENT)
        print(f"{check.__name__}: passed")
    openai_answers()
    print("openai_answers: passed")
