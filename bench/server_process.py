"""A server under measurement: `hypura serve` or llama.cpp's, both asked at /completion."""

import http.client
import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request


class ServerError(Exception):
    """It ended, or did not become ready."""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class ServerProcess:
    """Ready when entered, ended when left. `words`: the command without a port; `enter` runs in the
    child before it; waits `timeout` seconds for the model and for each answer."""

    def __init__(self, words, enter=None, timeout=240):
        self.words, self.enter_group, self.timeout = words, enter, timeout
        self.told = []

    def __enter__(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen([*map(str, self.words), "--port", str(port)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                        errors="replace", preexec_fn=self.enter_group)
        threading.Thread(target=lambda: self.told.extend(self.process.stderr), daemon=True).start()
        end = time.monotonic() + self.timeout
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise ServerError(self.last_line())
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def is_ready(self):
        try:
            with urllib.request.urlopen(self.url + "/health", timeout=5) as response:
                return response.status == 200
        except (OSError, http.client.HTTPException):
            return False

    def last_line(self):
        lines = [line.strip() for line in self.told if line.strip()]
        return ([line for line in lines if "error" in line.lower()] or lines or ["no output"])[-1]

    def counted(self, metric):
        """Of the model that is served. Raises ServerError without it."""
        lines = self.answer_to(urllib.request.Request(self.url + "/metrics")).splitlines()
        counts = [float(line.split()[-1]) for line in lines if line.startswith(metric + "{")]
        if len(counts) != 1:
            raise ServerError(f"{len(counts)} models count {metric}")
        return counts[0]

    def post(self, path, body):
        return json.loads(self.answer_to(
            urllib.request.Request(self.url + path, json.dumps(body).encode())))

    def answer_to(self, request):
        """The body. Raises ServerError."""
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                return response.read().decode()
        except urllib.error.HTTPError as error:
            raise ServerError(error.read().decode(errors="replace")) from None
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"{error}; {self.last_line()}") from None

    def complete(self, prompt, count, **more):
        """Greedy, `count` tokens whatever they are. `prompt`: text or tokens."""
        return self.post("/completion", {"prompt": prompt, "n_predict": count, "temperature": 0,
                                         "ignore_eos": True, "cache_prompt": False, **more})
