#!/usr/bin/env python3
"""A stand-in for `hypura serve`: the real page, a status that moves, and a chat that streams.

    tests/e2e/dashboard_mock.py [PORT]    to look at the page (needs HYPURA_UPLOT_DIR)
"""

import json
import math
import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "src" / "server" / "dashboard"
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
MODEL, OTHER, BROKEN = "qwen3-30b-a3b-q4_k_m", "storyteller-moe-q4_k_m", "llama-70b-q5_k_m"
ANSWER_SECONDS = 4
MIB, GIB = 1 << 20, 1 << 30
ANSWER = ("Weights are read from the drive a little before they are needed, and the experts that "
          "are used most stay in memory. So a model can be larger than the RAM of its machine: "
          "what the next layer wants is on its way while this one computes.\n\n"
          "What decides the speed is how often an expert is found in memory, and how fast the "
          "drive is when it is not.")
SPEED_ANSWER = ("About six tokens a second here. Nine of ten experts are found in memory, and the "
                "drive gives a little more than half of what it can.")
REASONING = "The question is about models that are larger than memory. I will say it in two steps."


def layers(count):
    """Some of the layers on a GPU, dense weights in RAM, experts on the drive with slots."""
    found = [{"layer": -1, "gpu_bytes": 0, "pinned_bytes": 486 * MIB, "cached_bytes": 0,
              "drive_bytes": 0}]
    for i in range(count):
        found.append({"layer": i, "gpu_bytes": 38 * MIB if i < 14 else 0,
                      "pinned_bytes": 0 if i < 14 else 38 * MIB,
                      "cached_bytes": int((190 + 34 * math.sin(i / 4)) * MIB),
                      "drive_bytes": 330 * MIB})
    return found


class Mock:
    """Counters grow with the clock, as if the model answered all the time."""

    def __init__(self, key="", token_seconds=0.04, port=0):
        self.key, self.token_seconds = key, token_seconds
        self.draining = False
        self.given_up = threading.Event()  # someone hung up before an answer's end
        self.asked = []                    # bodies of chat requests
        self._began = time.monotonic()
        self._port = port
        self._server = None
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}"

    def start(self):
        handler = type("Handler", (_Handler,), {"mock": self})
        self._server = _Server(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self._server.end()

    def asset(self, path):
        """(content type, bytes), or None."""
        name = "index.html" if path == "/" else path.removeprefix("/dashboard/")
        uplot = {"uplot.js": "uPlot.iife.min.js", "uplot.css": "uPlot.min.css"}
        file = (Path(os.environ["HYPURA_UPLOT_DIR"]) / uplot[name] if name in uplot
                else PAGE / name)
        if (path != "/" and not path.startswith("/dashboard/")) or "/" in name or not file.is_file():
            return None
        return TYPES[file.suffix], file.read_bytes()

    def status(self):
        up = time.monotonic() - self._began
        active = int(up) % 7 != 6
        return {"schema": 1, "version": "0.1.0", "uptime_seconds": 4980 + up,
                "budget_bytes": 16 * GIB, "leased_bytes": 12 * GIB, "draining": self.draining,
                "models": [self._model(MODEL, up, active), self._failed()]}

    def _failed(self):
        return {"name": BROKEN, "status": "failed", "loaded_seconds": 31.0, "expires_seconds": None,
                "error": "plan does not fit: needs 19.4 GiB of RAM, 4.0 GiB of the budget are free",
                "queued": 0, "active": 0, "requests": 0, "state": None}

    def _model(self, name, up, active):
        return {"name": name, "status": "ready", "error": None, "loaded_seconds": 1530 + up,
                "expires_seconds": 270.0, "queued": 1 if active else 0, "active": 1 if active else 0,
                "requests": 41 + int(up / 7), "state": self._state(name, up)}

    def _state(self, name, up):
        answers = int(up / ANSWER_SECONDS)
        spoken = sum(round(ANSWER_SECONDS * (6.2 + 0.9 * math.sin(i / 3))) for i in range(answers))
        read = 1.46e9 * up + 2.1e9 * (1 - math.cos(up / 5))
        return {
            "schema": 1, "model": name, "path": f"/models/{name}.gguf", "pid": 4711,
            "mode": "experts", "budget_bytes": 12 * GIB, "fixed_bytes": 702 * MIB,
            "kv_bytes": 384 * MIB, "weight_bytes": int(17.3 * GIB), "pinned_bytes": 1774 * MIB,
            "cached_bytes": 9000 * MIB, "streamed_bytes": 48 * 330 * MIB, "gpu_bytes": 532 * MIB,
            "rss_bytes": int((10.6 + 0.3 * math.sin(up / 8)) * GIB), "context": 8192,
            "parallel": 2, "threads": 8,
            "tokens": {"prompt": 9120, "prompt_seconds": 88.0, "generated": int(4000 + spoken),
                       "generated_seconds": 640.0 + ANSWER_SECONDS * answers},
            "reads": {"bytes": int(6.1e12 + read), "in_flight": 12,
                      "stall_seconds": 212.0 + 0.31 * up, "roofline_bytes_per_second": 2.4e9,
                      "device": "io_uring, direct"},
            "experts": {"uses": int(5e6 + 9216 * up), "hits": int(4.4e6 + 9216 * up * 0.913),
                        "slots": 10540, "slices": 18432},
            "predicted_decode_tps": 6.4, "slots": {"total": 2, "busy": 1}, "deferred": 0,
            "elastic": None, "layers": layers(48),
            "why": [
                "17.3 GiB of weights, and 702 MiB for KV and activations, are more than the "
                "12.0 GiB there are: 15.5 GiB have their home on the drive.",
                "10540 of 18432 expert slices have a slot in RAM; those that the router chooses "
                "and that have none are read.",
                "8 threads for tokens, 8 for prompts: more were not faster."],
        }

    def pieces(self, question):
        """What an answer is made of, one event each."""
        if "think" in question:
            yield from ({"reasoning_content": word} for word in _words(REASONING))
        answer = SPEED_ANSWER if "fast" in question else ANSWER
        yield from ({"content": word} for word in _words(answer))


def _words(text):
    return [word if i == 0 else " " + word for i, word in enumerate(text.split(" "))]


class _Server(ThreadingHTTPServer):
    """Ends its connections too, as a process that ends does."""

    daemon_threads = True

    def __init__(self, *arguments):
        self.connections = set()
        super().__init__(*arguments)

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def end(self):
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was ended by the other side


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mock = None

    def log_message(self, *_):
        pass

    def _answer(self, code, kind, body):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    def _json(self, value, code=200):
        self._answer(code, "application/json", json.dumps(value).encode())

    def _may(self):
        if not self.mock.key or self.headers["Authorization"] == f"Bearer {self.mock.key}":
            return True
        self._json({"error": {"message": "wrong key", "code": 401}}, 401)
        return False

    def do_GET(self):
        asset = self.mock.asset(self.path)
        if asset is not None:
            self._answer(200, *asset)
        elif not self._may():
            return
        elif self.path == "/hypura/status":
            self._json(self.mock.status())
        elif self.path == "/v1/models":
            self._json({"data": [{"id": name} for name in (MODEL, OTHER, BROKEN)]})
        else:
            self._json({"error": {"message": "no such path"}}, 404)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._may():
            return
        self.mock.asked.append(body)
        question = body["messages"][-1]["content"]
        if "fail" in question:
            self._json({"error": {"message": "the drive failed: Input/output error"}}, 500)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            self._stream(question)
        except (BrokenPipeError, ConnectionResetError):
            self.mock.given_up.set()

    def _stream(self, question):
        count = 0
        time.sleep(self.mock.token_seconds * 4)  # for the prompt
        for delta in self.mock.pieces(question):
            time.sleep(self.mock.token_seconds)
            self._event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            count += 1
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self._event({"choices": [], "usage": {"completion_tokens": count},
                     "timings": {"predicted_n": count, "predicted_per_second": 6.3}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, value):
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
        self.wfile.flush()


if __name__ == "__main__":
    print(Mock(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0).url)
    threading.Event().wait()
