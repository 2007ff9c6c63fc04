"""What clients may do to hypura serve: right codes, nothing crashes, others are unharmed."""

import json
import resource
import socket
import time
import unittest

import support
from server_support import Server, wait_for

LEAST = ("--ram-budget", "min", "--ctx", 256, "-t", 1)  # spinning threads crawl beside other tests
CONNECTIONS = 10_000


class Abuse(support.TestCase):
    def setUp(self):
        super().setUp()
        self.server = Server(self, support.MODEL, *LEAST)
        self.pid = self.server.status(support.MODEL.stem)["state"]["pid"]

    def tearDown(self):
        """Whatever happened: the same process of the model answers, and right."""
        status, answer = self.server.complete()
        self.assertEqual(status, 200, answer)
        self.assertEqual(answer["tokens"], support.greedy(*LEAST, count=16)["token_ids"])
        self.assertEqual(self.server.status(support.MODEL.stem)["state"]["pid"], self.pid)
        super().tearDown()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=60)

    def exchange(self, request):
        """All that comes back for these bytes, until the server closes."""
        with self.connect() as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            return answer

    def test_bodies_that_are_no_requests(self):
        bodies = [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"prompt":', b'{"prompt": 1e999}',
                  b'{"messages": "x"}', b'{"messages": [{"role": 5}]}', b'"' + b"a" * 1000,
                  b"[" * 100_000, b'{"a":' * 100_000, b'{"prompt":"a","grammar":"("}',
                  b'{"prompt":"a","n_predict":"x"}', b'{"prompt":"a","model":7}',
                  b'{"prompt":"a","model":""}']
        for path in ("/v1/chat/completions", "/v1/completions", "/completion", "/v1/messages",
                     "/v1/responses"):
            for body in bodies:
                with self.subTest(path=path, body=body[:40]):
                    status, _, text = self.server.ask("POST", path, body)
                    self.assertEqual(status, 400, text[:300])
                    self.assertIn("error", json.loads(text))

    def test_large_bodies(self):
        server = Server(self, support.MODEL, *LEAST, "--max-body", 1)
        body = json.dumps({"prompt": "a" * (3 << 20)})
        self.assertEqual(server.ask("POST", "/completion", body)[0], 413)
        self.assertEqual(server.complete(count=4)[0], 200)
        status, answer = self.server.post("/completion", {"prompt": "king " * 200_000})
        self.assertEqual(status, 400, answer)

    def test_paths(self):
        for path in ("/nowhere", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/v1/models/../x",
                     "/v1/models/%00", "/" + "a" * 5000, "/v1//models", "/dashboard/../../etc/passwd"):
            with self.subTest(path=path[:40]):
                status, _, text = self.server.ask("GET", path)
                self.assertIn(status, (404, 400))
                self.assertNotIn("root:", text)
        self.assertEqual(self.server.ask("GET", "/" + "a" * 100_000)[0], 431)
        self.assertIn(self.server.ask("PATCH", "/v1/models")[0], (404, 405))

    def test_names_of_models(self):
        for name in ("../../../etc/passwd", "/etc/passwd", "a\u0000b", "..", "-", "--help", "a" * 10_000,
                     "$(id)", "http://127.0.0.1:1/x.gguf", str(support.MODEL)):
            with self.subTest(name=name[:40]):
                status, answer = self.server.complete(model=name)
                self.assertIn(status, (400, 404), answer)

    def test_what_is_no_http(self):
        for request in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                        b"GET / HTTP/1.1\r\n: x\r\n\r\n", b"A" * 200_000,
                        b"POST /completion HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                        b"POST /completion HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                        b"POST /completion HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                        b"POST /completion HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n"):
            with self.subTest(request=request[:60]):
                answer = self.exchange(request)
                if answer:
                    code = int(answer.split()[1])
                    self.assertTrue(400 <= code < 500, answer[:200])

    def test_leaving_at_every_byte(self):
        body = json.dumps({"prompt": "A king", "n_predict": 4}).encode()
        request = (b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                   + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        for count in range(len(request) + 1):
            with self.connect() as connection:
                connection.sendall(request[:count])
        for count in (1, 20, 200, 300, 400, 500, 700, 900):
            with self.connect() as connection:
                connection.sendall(request)
                connection.recv(count)
        wait_for(lambda: self.server.status(support.MODEL.stem)["active"] == 0, "free places")

    def test_slow_clients(self):
        slow = [self.connect() for _ in range(300)]
        for connection in slow[:100]:
            connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x")
        for connection in slow[100:200]:
            connection.sendall(b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{")
        begin = time.monotonic()
        while time.monotonic() - begin < 12:
            asked = time.monotonic()
            self.assertEqual(self.server.get("/health")[0], 200)
            self.assertLess(time.monotonic() - asked, 2)
            for connection in slow[:200]:
                try:
                    connection.sendall(b" ")
                except OSError:
                    pass
            time.sleep(1)
        answer = slow[0].recv(4096)
        self.assertTrue(answer.startswith(b"HTTP/1.1 408"), answer)
        for connection in slow:
            connection.close()

    def test_ten_thousand_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = CONNECTIONS + 500
        if hard < wanted:
            self.skipTest(f"{hard} files at most")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        connections = [self.connect() for _ in range(CONNECTIONS)]
        asked = time.monotonic()
        self.assertEqual(self.server.complete(count=4)[0], 200)
        self.assertLess(time.monotonic() - asked, 5)
        for connection in connections:
            connection.close()

    def test_connections_are_used_again(self):
        connection = self.server.connect()
        for _ in range(300):
            connection.request("GET", "/health")
            self.assertEqual(connection.getresponse().read(), b'{"status":"ok"}')
        connection.close()
        # Two requests at once on one connection are answered in turn.
        one = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.assertEqual(self.exchange(one + one).count(b"200 OK"), 2)


if __name__ == "__main__":
    unittest.main()
