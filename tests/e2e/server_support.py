"""A running `hypura serve`, and how tests ask it."""

import http.client
import json
import os
import signal
import subprocess
import threading
import time

import support


class Server:
    """`hypura serve *words` on a port of its own. Ends with the test."""

    def __init__(self, test, *words, ready=True, environment=None, port=0):
        self.process = subprocess.Popen(
            support.command("serve", "--port", port, *words), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=dict(os.environ, **(environment or {})))
        test.addCleanup(self.close)
        self.lines = []
        self._ready = threading.Event()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.port = None
        if ready:
            assert self._ready.wait(support.HANG_SECONDS), self.log()
            assert self.port, self.log()

    def _listen(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("ready at http://"):
                self.port = int(line.split()[2].rsplit(":", 1)[1])
                self._ready.set()
        self._ready.set()

    def log(self):
        return "\n".join(self.lines[-40:])

    def close(self):
        self.process.kill()
        self.process.wait()
        self._listener.join()
        self.process.stderr.close()

    def stop(self, with_signal=signal.SIGTERM, seconds=30):
        self.process.send_signal(with_signal)
        return self.process.wait(seconds)

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    def connect(self, timeout=support.HANG_SECONDS):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, headers=None, timeout=support.HANG_SECONDS):
        """Status, headers and text of an answer."""
        connection = self.connect(timeout)
        try:
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read().decode()
        finally:
            connection.close()

    def get(self, path, **more):
        status, _, text = self.ask("GET", path, **more)
        return status, json.loads(text)

    def post(self, path, body, **more):
        status, _, text = self.ask("POST", path, body, **more)
        return status, json.loads(text)

    def complete(self, prompt=support.PROMPT, count=16, **more):
        return self.post("/completion", {"prompt": prompt, "n_predict": count, "temperature": 0,
                                         "return_tokens": True, "cache_prompt": False, **more})

    def events(self, path, body):
        """The data of a stream's events, as text."""
        _, _, text = self.ask("POST", path, body)
        return [line[len("data: "):] for line in text.splitlines() if line.startswith("data: ")]

    def status(self, model=None):
        _, status = self.get("/hypura/status")
        if model is None:
            return status
        return next((one for one in status["models"] if one["name"] == model), None)


def wait_for(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"no {what} in {seconds} s"
        time.sleep(0.02)


def together(count, work):
    """What `work(n)` returns for n < count, computed at a time; an error of one is raised."""
    results = [None] * count
    errors = []

    def one(n):
        try:
            results[n] = work(n)
        except Exception as error:  # raised below, on the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
