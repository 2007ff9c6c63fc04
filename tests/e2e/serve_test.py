"""hypura serve: protocols of OpenAI and Anthropic, queues, leaving, draining, failing."""

import json
import os
import shutil
import signal
import time
import unittest

import support
from server_support import Server, together, wait_for

NAME = support.MODEL.stem
LEAST = ("--ram-budget", "min", "--ctx", 256, "-t", 1)  # spinning threads crawl beside other tests
QUESTION = [{"role": "user", "content": "Tell me of a king."}]


class Serve(support.TestCase):
    def serve(self, *words, model=support.MODEL, **more):
        return Server(self, model, *words, **more)

    def test_greedy_answers_are_those_of_run(self):
        server = self.serve(*LEAST, "--parallel", 1)
        for prompt in (support.PROMPT, "The king said " * 20):
            _, answer = server.complete(prompt)
            expected = support.greedy(*LEAST, prompt=prompt, count=16)
            self.assertEqual(answer["tokens"], expected["token_ids"])

    def test_openai(self):
        server = self.serve(*LEAST)
        status, models = server.get("/v1/models")
        self.assertEqual((status, [model["id"] for model in models["data"]]), (200, [NAME]))
        self.assertEqual(server.get(f"/v1/models/{NAME}")[1]["id"], NAME)
        self.assertEqual(server.get("/v1/models/other")[0], 404)

        chat = {"model": NAME, "messages": QUESTION, "max_tokens": 8, "temperature": 0}
        status, whole = server.post("/v1/chat/completions",
                                    {**chat, "logprobs": True, "top_logprobs": 2})
        self.assertEqual(status, 200, whole)
        choice = whole["choices"][0]
        self.assertEqual(choice["finish_reason"], "length")
        self.assertEqual(len(choice["logprobs"]["content"]), 8)
        self.assertEqual(whole["usage"]["completion_tokens"], 8)

        events = server.events("/v1/chat/completions", {**chat, "stream": True})
        self.assertEqual(events[-1], "[DONE]")
        text = "".join(json.loads(event)["choices"][0]["delta"].get("content") or ""
                       for event in events[:-1] if json.loads(event)["choices"])
        self.assertEqual(text, choice["message"]["content"])

        schema = {"type": "object", "properties": {"name": {"enum": ["Arthur", "Henry"]}},
                  "required": ["name"], "additionalProperties": False}
        status, answer = server.post("/v1/chat/completions", {
            **chat, "max_tokens": 200, "response_format": {
                "type": "json_schema", "json_schema": {"name": "king", "schema": schema}}})
        self.assertEqual(status, 200, answer)
        self.assertIn("name", json.loads(answer["choices"][0]["message"]["content"]))

        status, answer = server.post("/v1/completions", {"prompt": "A", "max_tokens": 4})
        self.assertEqual((status, answer["usage"]["completion_tokens"]), (200, 4))
        status, answer = server.post("/v1/responses", {"input": "A king", "max_output_tokens": 4})
        self.assertEqual((status, answer["object"]), (200, "response"))
        status, answer = server.post("/v1/embeddings", {"input": ["a king", "a queen"]})
        self.assertEqual(status, 200, answer)
        self.assertEqual(len(answer["data"]), 2)

    def test_anthropic(self):
        server = self.serve(*LEAST)
        body = {"model": NAME, "max_tokens": 6, "messages": QUESTION}
        status, answer = server.post("/v1/messages", body)
        self.assertEqual((status, answer["type"], answer["stop_reason"]),
                         (200, "message", "max_tokens"))
        kinds = [json.loads(event)["type"]
                 for event in server.events("/v1/messages", {**body, "stream": True})]
        self.assertEqual((kinds[0], kinds[-1]), ("message_start", "message_stop"))
        status, answer = server.post("/v1/messages", {**body, "model": "other"})
        self.assertEqual((status, answer["type"]), (404, "error"))
        self.assertEqual(answer["error"]["type"], "not_found_error")

    def test_loading_is_not_ready(self):
        server = self.serve(*LEAST)
        self.assertEqual(server.get("/health"), (200, {"status": "ok"}))
        self.assertEqual(server.status(NAME)["status"], "ready")
        self.assertGreater(server.status()["uptime_seconds"], 0)

    def test_a_second_turn_computes_only_what_is_new(self):
        server = self.serve("--ram-budget", "min", "--ctx", 1024)
        history = [{"role": "user", "content": "The king and the queen lived in a castle. " * 60}]
        body = {"messages": history, "max_tokens": 8, "temperature": 0}
        _, first = server.post("/v1/chat/completions", body)
        self.assertGreater(first["timings"]["prompt_n"], 500)
        history += [first["choices"][0]["message"], {"role": "user", "content": "And then?"}]
        _, second = server.post("/v1/chat/completions", body)
        self.assertLess(second["timings"]["prompt_n"], first["timings"]["prompt_n"] / 10)

    def test_requests_that_wait_come_in_turn_and_are_bounded(self):
        server = self.serve(*LEAST, "--parallel", 1, "--queue", 2)
        busy = server.connect()
        busy.request("POST", "/completion", json.dumps(
            {"prompt": "A king", "n_predict": 200, "ignore_eos": True, "stream": True}))
        busy.getresponse().read(1)
        answers = together(5, lambda n: server.complete(count=4)[0])
        self.assertEqual(sorted(answers), [200, 200, 503, 503, 503])
        busy.close()

    def test_a_client_that_leaves_frees_its_place_at_once(self):
        server = self.serve(*LEAST, "--parallel", 1)
        for prompt in ("A king", "A king said. " * 60):  # while decoding, and within the prompt
            connection = server.connect()
            connection.request("POST", "/completion", json.dumps(
                {"prompt": prompt, "n_predict": 200, "ignore_eos": True, "cache_prompt": False}))
            wait_for(lambda: server.status(NAME)["active"] == 1, "request under way")
            left = time.monotonic()
            connection.close()
            wait_for(lambda: server.status(NAME)["active"] == 0, "free place")
            self.assertLess(time.monotonic() - left, 1)
        self.assertEqual(server.complete()[0], 200)

    def test_one_that_leaves_the_queue_is_forgotten(self):
        server = self.serve(*LEAST, "--parallel", 1)
        busy, waiting = server.connect(), server.connect()
        long = json.dumps({"prompt": "A", "n_predict": 240, "ignore_eos": True, "stream": True})
        busy.request("POST", "/completion", long)
        busy.getresponse().read(1)
        waiting.request("POST", "/completion", long)
        wait_for(lambda: server.status(NAME)["queued"] == 1, "request in the queue")
        waiting.close()
        wait_for(lambda: server.status(NAME)["queued"] == 0, "empty queue")
        busy.close()

    def test_it_finishes_what_is_under_way(self):
        server = self.serve(*LEAST)
        connection = server.connect()
        connection.request("POST", "/completion", json.dumps(
            {"prompt": "A king", "n_predict": 150, "ignore_eos": True, "stream": True}))
        response = connection.getresponse()
        first = response.read(1)
        server.process.send_signal(signal.SIGTERM)
        text = (first + response.read()).decode()
        self.assertIn('"stop":true', text)
        self.assertEqual(server.process.wait(30), support.DONE)

    def test_interrupting_ends_it(self):
        server = self.serve(*LEAST)
        self.assertEqual(server.stop(signal.SIGINT), support.DONE)

    def test_nothing_is_left_of_it_when_it_is_killed(self):
        server = self.serve(*LEAST)
        pid = server.status(NAME)["state"]["pid"]
        server.process.kill()
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "end of the model's process", 15)

    def test_a_failed_read_fails_its_request_alone(self):
        model = self.folder / "model.gguf"
        shutil.copy(support.MODEL, model)
        content = model.read_bytes()
        server = self.serve(*LEAST, model=model)
        _, expected = server.complete()
        os.truncate(model, 1_000_000)
        status, answer = server.complete()
        self.assertEqual(status, 500)
        self.assertIn(str(model), answer["error"]["message"])
        self.assertIn(str(model), "".join(server.events(
            "/v1/chat/completions", {"messages": QUESTION, "stream": True, "max_tokens": 4})))
        model.write_bytes(content)
        status, answer = server.complete()
        self.assertEqual((status, answer["tokens"]), (200, expected["tokens"]))

    def test_a_process_that_dies_is_replaced(self):
        server = self.serve(*LEAST)
        os.kill(server.status(NAME)["state"]["pid"], signal.SIGKILL)
        wait_for(lambda: server.complete(count=4)[0] == 200, "answer")

    def test_the_first_model_must_load(self):
        outcome = support.hypura("serve", support.MODEL, "--port", 0, "--ram-budget", "1M")
        self.assert_error(outcome, support.DOES_NOT_FIT)
        broken = self.file("broken.gguf", b"GGUF" + bytes(100))
        self.assert_error(support.hypura("serve", broken, "--port", 0), support.INVALID_MODEL)

    def test_words_that_do_not_work_are_said(self):
        for words in (["--port", "x"], ["--keep-alive", "soon"], ["--draft", "lookup"], ["-i"],
                      ["--parallel", 0], ["--api-key-file", "/nowhere"], ["--ctx", "many"]):
            with self.subTest(words=words):
                self.assert_error(support.hypura("serve", support.MODEL, *words), support.USAGE)
        server = self.serve(*LEAST)
        outcome = support.hypura("serve", support.MODEL, *LEAST, "--port", server.port)
        self.assert_error(outcome, support.FAILED)
        self.assertIn(str(server.port), outcome.stderr)

    def test_several_models_share_the_budget(self):
        second = self.folder / "second.gguf"
        shutil.copy(support.MODEL, second)
        third = self.folder / "third.gguf"
        shutil.copy(support.MODEL, third)
        server = self.serve(second, third, "--alias", "first", "--ctx", 256, "--models-max", 2)
        expected = server.complete(model="first")[1]["content"]
        self.assertEqual(server.complete(model="second")[1]["content"], expected)
        self.assertEqual({one["name"] for one in server.status()["models"]}, {"first", "second"})
        self.assertEqual(server.complete(model="third")[1]["content"], expected)
        self.assertEqual({one["name"] for one in server.status()["models"]}, {"second", "third"})
        status, answer = server.complete(model="fourth")
        self.assertEqual(status, 404)
        self.assertIn("first", answer["error"]["message"])

    def test_an_idle_model_ends(self):
        server = self.serve(*LEAST, "--keep-alive", "1s")
        wait_for(lambda: server.status(NAME) is None, "end of an idle model", 10)
        self.assertEqual(server.complete(count=4)[0], 200)

    def test_keys(self):
        server = self.serve(*LEAST, "--api-key", "secret")
        self.assertEqual(server.get("/health")[0], 200)
        self.assertEqual(server.get("/v1/models")[0], 401)
        for headers in ({"Authorization": "Bearer wrong"}, {"x-api-key": "secre"}):
            self.assertEqual(server.get("/v1/models", headers=headers)[0], 401)
        for headers in ({"Authorization": "Bearer secret"}, {"x-api-key": "secret"}):
            self.assertEqual(server.get("/v1/models", headers=headers)[0], 200)
        url = ["--url", server.url()]
        self.assert_error(support.hypura("ps", *url), support.FAILED)
        self.assertIn(NAME, support.hypura("ps", *url, "--api-key", "secret").stdout)

    def test_pages_of_others_may_not_ask(self):
        server = self.serve(*LEAST)
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            self.assertEqual(server.get("/v1/models", headers=headers)[0], 403)
        server = self.serve(*LEAST, "--cors", "http://good.example")
        status, headers, _ = server.ask("OPTIONS", "/v1/models",
                                        headers={"Origin": "http://good.example"})
        self.assertEqual(status, 204)
        self.assertEqual(headers["Access-Control-Allow-Origin"], "http://good.example")

    def test_metrics(self):
        server = self.serve(*LEAST)
        server.complete()
        _, headers, text = server.ask("GET", "/metrics")
        self.assertTrue(headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
        label = f'{{model="{NAME}"}}'
        for name in ("bytes_read_total", "expert_uses_total", "generated_tokens_total", "rss_bytes"):
            self.assertGreater(float(values[f"hypura_{name}{label}"]), 0, name)
        self.assertGreater(float(values[f'hypura_tier_bytes{{model="{NAME}",tier="drive"}}']), 0)
        described = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
        self.assertTrue({name.split("{")[0] for name in values} <= described)

    def test_requests_are_logged(self):
        server = self.serve(*LEAST, "--log-json")

        def logged(path):
            lines = [json.loads(line) for line in server.lines if line.startswith("{")]
            return [line for line in lines if line["path"] == path]

        server.get("/v1/models")
        wait_for(lambda: logged("/v1/models"), "line in the log")
        [line] = logged("/v1/models")
        self.assertEqual((line["method"], line["status"], line["whole"]), ("GET", 200, True))

        # A stream when it ends, with all of its time.
        begin = time.monotonic()
        server.ask("POST", "/completion", {"prompt": support.PROMPT, "n_predict": 64, "stream": True})
        taken = time.monotonic() - begin
        wait_for(lambda: logged("/completion"), "line of a stream")
        [line] = logged("/completion")
        self.assertTrue(line["whole"])
        self.assertGreater(line["seconds"], 0.8 * taken)

        connection = server.connect()
        connection.request("POST", "/completion", json.dumps(
            {"prompt": support.PROMPT, "n_predict": 100000, "stream": True, "ignore_eos": True}))
        connection.getresponse().readline()
        connection.close()
        wait_for(lambda: len(logged("/completion")) == 2, "line of a stream that was left")
        self.assertFalse(logged("/completion")[1]["whole"])

    def test_a_machine_that_was_profiled(self):
        environment = dict(os.environ, XDG_CACHE_HOME=str(self.folder))
        outcome = support.hypura("profile", support.MODEL, env=environment)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        for words in (LEAST, ("--ctx", 256, "-t", 1), ("--mode", "resident", "--ctx", 256, "-t", 1)):
            with self.subTest(words=words):
                server = self.serve(*words, environment=environment)
                server.complete()
                _, status = server.get("/hypura/status")
                [model] = status["models"]
                self.assertGreater(model["state"]["predicted_decode_tps"], 0)
                server.stop()


if __name__ == "__main__":
    unittest.main()
