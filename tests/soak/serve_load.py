#!/usr/bin/env python3
"""32 clients on a streamed model: no error, no leak, nobody gets another's answer.

Usage: serve_load.py MINUTES. Half of the time one request computes at a time, and every greedy answer
is that of `hypura run`; half of it eight do. Some clients stream, some leave early.
"""

import json
import os
import random
import sys
import threading
import time
import unittest

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(REPO, "tests/e2e"))
os.environ.setdefault("HYPURA_REPO_DIR", REPO)
os.environ.setdefault("HYPURA_BINARY", os.path.join(REPO, "build/release/src/cli/hypura"))

import support  # noqa: E402
from server_support import Server  # noqa: E402

CLIENTS = 32
COUNT = 24
LEAK = 1.02
WORDS = ("--ram-budget", "min", "--ctx", 256, "-t", 1)
PROMPTS = ["Once upon a time", "The king said", "In the dark forest", "A poor miller", "The wolf came",
           "Two brothers", "The old woman", "On the ship", "The princess wept", "A little bird",
           "The soldier", "At midnight", "The clever fox", "Beneath the sea", "My grandmother", "The tailor"]


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def common(one, other):
    """How many characters two texts begin with alike."""
    return len(os.path.commonprefix([one, other]))


class Load(unittest.TestCase):
    minutes = 10.0

    def test_one_at_a_time(self):
        expected = {prompt: support.greedy(*WORDS, prompt=prompt, count=COUNT)["text"]
                    for prompt in PROMPTS}

        def check(prompt, text, whole):
            wanted = expected[prompt] if whole else expected[prompt][:len(text)]
            assert text == wanted, f"{prompt!r}: {text!r} instead of {wanted!r}"

        self.load(1, check)

    def test_eight_at_a_time(self):
        expected = {prompt: support.greedy(*WORDS, prompt=prompt, count=COUNT)["text"]
                    for prompt in PROMPTS}

        def check(prompt, text, whole):
            # Equally likely words may differ in a batch; where a text begins tells whose it is.
            own = common(text, expected[prompt])
            other = max(common(text, one) for name, one in expected.items() if name != prompt)
            assert own >= min(len(text), 4) and (own > other or not whole), f"{prompt!r}: {text!r}"

        self.load(8, check)

    def load(self, parallel, check):
        server = Server(self, support.MODEL, *WORDS, "--parallel", parallel)
        end = time.monotonic() + self.minutes * 30
        answers, errors, sizes = [0] * CLIENTS, [], []

        def client(n):
            draw = random.Random(n)
            while time.monotonic() < end and not errors:
                try:
                    ask(server, draw, check)
                    answers[n] += 1
                except Exception as error:  # the first ends the test
                    errors.append(repr(error))

        threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        model = support.MODEL.stem
        warm = time.monotonic() + self.minutes * 6
        while any(thread.is_alive() for thread in threads):
            time.sleep(1)
            state = (server.status(model) or {}).get("state")
            if state and time.monotonic() > warm:
                sizes.append((rss_bytes(server.process.pid), state["rss_bytes"]))
        self.assertEqual(errors, [])
        grown = [last / first for first, last in zip(sizes[0], sizes[-1])]
        print(f"| {CLIENTS} clients, {parallel} at a time | {self.minutes / 2:.1f} min | {sum(answers)} "
              f"| {min(answers)}-{max(answers)} | 0 | {grown[0]:.3f} | {grown[1]:.3f} |", flush=True)
        self.assertLess(max(grown), LEAK)
        # Fair: who asks as soon as it is answered gets its turn.
        self.assertGreater(min(answers) * 3, max(answers))


def ask(server, draw, check):
    prompt = draw.choice(PROMPTS)
    body = {"prompt": prompt, "n_predict": COUNT, "temperature": 0, "cache_prompt": False,
            "stream": draw.random() < 0.5}
    connection = server.connect()
    connection.request("POST", "/completion", json.dumps(body))
    response = connection.getresponse()
    assert response.status == 200, response.read()
    if not body["stream"]:
        check(prompt, json.loads(response.read())["content"], True)
        connection.close()
        return
    leaves = draw.random() < 0.2
    text, stopped = "", False
    for line in response:
        if not line.startswith(b"data: "):
            continue
        event = json.loads(line[6:])
        assert "error" not in event, event
        text += event["content"]
        stopped = event["stop"]
        if leaves and len(text) > 8:
            break
    check(prompt, text, stopped)
    assert stopped or leaves, f"{prompt!r} broke off behind {text!r}"
    connection.close()


if __name__ == "__main__":
    Load.minutes = float(sys.argv.pop(1)) if len(sys.argv) > 1 else Load.minutes
    print("| what | time | answers | by client | errors | server's RSS | model's RSS |\n"
          "|---|---|---|---|---|---|---|", flush=True)
    unittest.main(verbosity=0)
