"""The process of one model: llama.cpp's API on a socket, with the bits of `run`."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import support


class SocketConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=support.HANG_SECONDS):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class ServeModel(support.TestCase):
    def setUp(self):
        super().setUp()
        self.socket = self.folder / "socket"

    def serve(self, *words, model=support.MODEL):
        self.process = subprocess.Popen(
            support.command("serve-model", model, "--socket", self.socket, *words),
            stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.end, self.process)
        self.wait_for(lambda: self.get("/health")[0] == 200, "health")

    def end(self, process):
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stderr):
            pipe.close()

    def wait_for(self, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                self.fail(f"it ended: {self.process.stderr.read().decode()}")
            self.assertLess(time.monotonic(), end, f"no {what} in {seconds} s")
            time.sleep(0.02)

    def ask(self, method, path, body=None):
        connection = SocketConnection(self.socket)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def get(self, path):
        return self.ask("GET", path)

    def complete(self, prompt=support.PROMPT, count=32, **more):
        return self.ask("POST", "/completion", {"prompt": prompt, "n_predict": count,
                                                "temperature": 0, "return_tokens": True, **more})

    def state(self):
        status, state = self.get("/hypura/state")
        self.assertEqual(status, 200)
        return state

    def test_tokens_are_those_of_run(self):
        for words in (["--ram-budget", "min"], ["--ram-budget", "60%"],
                      ["--ram-budget", "60%", "--fast-prompt"], ["--mode", "resident", "--exact"],
                      []):
            with self.subTest(words=words):
                self.serve(*words, "--ctx", 256)
                for prompt in (support.PROMPT, "The king said " * 30):
                    # Repacked kernels compute rows by fours, so a kept prefix has other bits.
                    status, answer = self.complete(prompt, cache_prompt=False)
                    self.assertEqual(status, 200, answer)
                    expected = support.greedy("--ctx", 256, *words, prompt=prompt, count=32)
                    self.assertEqual(answer["tokens"], expected["token_ids"])
                self.process.stdin.close()
                self.assertEqual(self.process.wait(support.HANG_SECONDS), support.DONE,
                                 self.process.stderr.read())

    def test_the_state_tells_what_was_read_and_where_weights_are(self):
        self.serve("--ram-budget", "60%", "--ctx", 256)
        before = self.state()
        self.complete()
        after = self.state()
        self.assertIn(after["mode"], ("experts", "mixed"))
        self.assertGreater(after["reads"]["bytes"], before["reads"]["bytes"])
        self.assertEqual(after["tokens"]["generated"] - before["tokens"]["generated"], 32)
        self.assertGreater(after["experts"]["uses"], before["experts"]["uses"])
        self.assertLessEqual(after["experts"]["hits"], after["experts"]["uses"])
        homes = sum(layer[key] for layer in after["layers"]
                    for key in ("gpu_bytes", "pinned_bytes", "drive_bytes"))
        self.assertEqual(homes, after["weight_bytes"])
        self.assertEqual(sum(layer["drive_bytes"] for layer in after["layers"]),
                         after["streamed_bytes"])
        self.assertTrue(all(after["why"]))

    def test_a_second_turn_computes_only_what_is_new(self):
        self.serve("--ram-budget", "60%", "--ctx", 256)
        history = "The king and the queen lived in a castle. " * 20
        _, first = self.complete(history, count=8)
        self.assertGreater(first["timings"]["prompt_n"], 150)
        _, second = self.complete(history + first["content"] + " Then", count=8)
        self.assertLess(second["timings"]["prompt_n"], 16)

    def test_a_client_that_leaves_frees_its_slot_at_once(self):
        self.serve("--ram-budget", "min")
        connection = SocketConnection(self.socket)
        connection.request("POST", "/completion", json.dumps(
            {"prompt": "A king. " * 100, "n_predict": 900, "ignore_eos": True, "cache_prompt": False}))
        self.wait_for(lambda: self.state()["slots"]["busy"] == 1, "a busy slot")
        left = time.monotonic()
        connection.close()
        self.wait_for(lambda: self.state()["slots"]["busy"] == 0, "a free slot")
        self.assertLess(time.monotonic() - left, 1)
        status, answer = self.complete(count=8)
        self.assertEqual(status, 200)
        self.assertEqual(answer["tokens"], support.greedy(count=8)["token_ids"])

    def test_a_failed_read_is_an_error_and_not_the_end(self):
        model = self.folder / "model.gguf"
        shutil.copy(support.MODEL, model)
        content = model.read_bytes()
        self.serve("--ram-budget", "min", model=model)
        _, expected = self.complete()
        os.truncate(model, 1_000_000)
        for stream in (False, True):
            status, body = self.complete_text(stream)
            self.assertIn(str(model), body)
            self.assertNotIn("Compute error", body)
            self.assertTrue(stream or status == 500, status)
        model.write_bytes(content)
        status, answer = self.complete()
        self.assertEqual(status, 200, answer)
        self.assertEqual(answer["tokens"], expected["tokens"])

    def complete_text(self, stream):
        connection = SocketConnection(self.socket)
        connection.request("POST", "/completion", json.dumps(
            {"prompt": "A dog", "n_predict": 8, "stream": stream, "cache_prompt": False}))
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    def test_four_at_a_time_say_what_one_says(self):
        prompts = ["Once upon a time", "The king said", "A little girl", "In the forest"]
        self.serve("--ram-budget", "24M", "--ctx", 256, "--parallel", 4)
        alone = [self.complete(prompt, count=4)[1]["content"] for prompt in prompts]
        together = [None] * 8
        threads = [threading.Thread(target=lambda n=n: together.__setitem__(
            n, self.complete(prompts[n % 4], count=4)[1]["content"])) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(together, alone * 2)

    def test_it_ends_when_told_to_in_the_middle_of_an_answer(self):
        for end in (lambda: self.process.terminate(), lambda: self.process.stdin.close()):
            self.serve("--ram-budget", "min")
            connection = SocketConnection(self.socket)
            connection.request("POST", "/completion", json.dumps(
                {"prompt": "A king", "n_predict": 900, "ignore_eos": True, "stream": True}))
            connection.getresponse().read(20)
            self.process.send_signal(signal.SIGINT)  # of the terminal: the parent's to act on
            end()
            self.assertEqual(self.process.wait(10), support.DONE)
            connection.close()
            self.assertFalse(self.socket.exists())

    def test_what_cannot_be_served_is_said(self):
        for words, code in ((["--ram-budget", "1M"], support.DOES_NOT_FIT),
                            (["--draft", "lookup"], support.USAGE)):
            self.assert_refused(code, "--socket", self.socket, *words)
        self.assert_refused(support.USAGE)
        self.assert_refused(support.FAILED, "--socket", "/nowhere/socket")

    def assert_refused(self, code, *words):
        words = ["serve-model", support.MODEL, *words]
        process = support.start(*words, stdin=subprocess.PIPE)
        self.addCleanup(process.kill)
        process.wait(support.HANG_SECONDS)
        outcome = support.Outcome([str(word) for word in words], process.returncode,
                                  *process.communicate())
        self.assert_error(outcome, code)


if __name__ == "__main__":
    unittest.main()
