"""Models by name: pulled over networks that fail, from servers that lie, listed, shown, copied, removed; what
other programs keep is read and not touched."""

import contextlib
import hashlib
import http.server
import json
import os
import re
import signal
import subprocess
import threading
import time
import unittest
import urllib.parse

import support

MODEL_BYTES = support.MODEL.read_bytes()
MODEL_SHA256 = hashlib.sha256(MODEL_BYTES).hexdigest()
TINY = b"GGUF" + bytes(range(256)) * 4096  # no model, but a file that can be pulled


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class File:
    """What a server does with one file. `cuts`: after how many bytes of the body each of the next answers
    ends; None is a whole one."""

    def __init__(self, content, etag='"1"', ranges=True, headers=(), delay=0):
        self.content, self.etag, self.ranges, self.headers = content, etag, ranges, dict(headers)
        self.cuts, self.status, self.after, self.delay = [], 200, None, delay
        self.asked = []  # the Range of each request
        self.authorization = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = urllib.parse.unquote(self.path)
        file = self.server.files.get(path)
        if file is None:
            return self.send_error(404)
        file.asked.append(self.headers.get("Range"))
        file.authorization.append(self.headers.get("Authorization"))
        if isinstance(file.after, str):
            self.send_response(302)
            for name, value in file.headers.items():
                self.send_header(name, value)
            self.send_header("Location", file.after)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if file.status != 200:
            return self.send_error(file.status)
        first = self.first_byte(file)
        if first is None:
            return self.send_error(416)
        body = file.content[first:]
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(file.content) - 1}/{len(file.content)}")
        if file.etag:
            self.send_header("ETag", file.etag)
        for name, value in file.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = file.cuts.pop(0) if file.cuts else None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sent = body if cut is None else body[:cut]
            for at in range(0, len(sent), 65536):
                self.wfile.write(sent[at:at + 65536])
                time.sleep(file.delay)
        if callable(file.after):
            file.after()
        if cut is not None:
            self.close_connection = True

    def first_byte(self, file):
        """Where the answer begins; None where there is nothing behind that."""
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not wanted or not file.ranges:
            return 0
        if self.headers.get("If-Range") not in (None, file.etag):
            return 0
        first = int(wanted[1])
        return first if first < len(file.content) else None

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Who pulls may hang up."""


class Store(support.TestCase):
    def setUp(self):
        super().setUp()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.files = {}
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self.models = self.folder / "models"
        self.env = dict(os.environ, HYPURA_MODELS=str(self.models), HOME=str(self.folder),
                        OLLAMA_MODELS=str(self.folder / "ollama"), HF_HUB_CACHE=str(self.folder / "hub"),
                        HF_ENDPOINT=self.base, HYPURA_OLLAMA_REGISTRY=self.base, NO_PROXY="127.0.0.1")
        for name in ("HF_TOKEN", "HF_HOME", "XDG_DATA_HOME"):
            self.env.pop(name, None)

    def serve(self, path, content=TINY, **kinds):
        self.server.files[path] = File(content, **kinds)
        return self.server.files[path]

    def command(self, *words, **popen):
        return support.hypura(*words, env=self.env, **popen)

    def done(self, *words, **popen):
        outcome = self.command(*words, **popen)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        return outcome

    def refused(self, fragment, *words, code=support.FAILED):
        outcome = self.command(*words)
        self.assert_error(outcome, code)
        self.assertIn(fragment, outcome.stderr, str(outcome))
        return outcome

    def names(self):
        return [model["name"] for model in self.done("list", "--json").json()["models"]]

    def files(self):
        return sorted(str(path.relative_to(self.models)) for path in self.models.rglob("*") if path.is_file())

    def assert_pulled(self, name, content=TINY, file=None):
        self.assertEqual((self.models / (file or f"{name}.gguf")).read_bytes(), content)
        [model] = [m for m in self.done("list", "--json").json()["models"] if m["name"] == name]
        self.assertEqual(model["digest"], sha256(content))
        self.assertEqual([f for f in self.files() if "partial" in f], [])


class Pull(Store):
    def test_a_file(self):
        file = self.serve("/a.gguf")
        outcome = self.done("pull", self.base + "/a.gguf")
        self.assertEqual(outcome.stdout, "a\n")
        self.assertIn("pulling a.gguf\n", outcome.stderr)
        self.assert_pulled("a")
        self.assertEqual(file.asked, [None])
        kept = json.loads((self.models / "a.json").read_text())
        self.assertEqual(kept, {"url": self.base + "/a.gguf", "sha256": sha256(TINY), "bytes": len(TINY)})
        self.done("pull", self.base + "/a.gguf")
        self.assertEqual(file.asked, [None], "what is here is not fetched again")

    def test_dropped_connections_go_on_where_they_ended(self):
        file = self.serve("/a.gguf")
        file.cuts = [300_000, 0, 200_000, 0, 1, 100_000]
        self.done("pull", self.base + "/a.gguf")
        self.assert_pulled("a")
        self.assertEqual(file.asked, [None, "bytes=300000-", "bytes=300000-", "bytes=500000-",
                                      "bytes=500000-", "bytes=500001-", "bytes=600001-"])

    def test_a_server_that_never_gets_further(self):
        file = self.serve("/a.gguf")
        file.cuts = [300_000] + [0] * 100
        self.refused("again later", "pull", self.base + "/a.gguf")
        self.assertLess(len(file.asked), 10)
        self.assertEqual(self.names(), [])
        file.cuts = []
        self.done("pull", self.base + "/a.gguf")
        self.assertEqual(file.asked[-1], "bytes=300000-", "another process goes on")
        self.assert_pulled("a")

    def test_errors_of_the_server_that_pass(self):
        file = self.serve("/a.gguf")
        file.status = 503
        threading.Timer(0.6, lambda: setattr(file, "status", 200)).start()
        self.done("pull", self.base + "/a.gguf")
        self.assertGreater(len(file.asked), 1)
        self.assert_pulled("a")

    def test_no_server(self):
        self.server.shutdown()
        self.server.server_close()
        self.refused("cannot fetch", "pull", self.base + "/a.gguf")

    def test_without_ranges_it_begins_again(self):
        file = self.serve("/a.gguf", ranges=False)
        file.cuts = [300_000, 400_000]
        self.done("pull", self.base + "/a.gguf")
        self.assert_pulled("a")

    def test_without_a_version_nothing_is_put_together(self):
        file = self.serve("/a.gguf", etag=None)
        file.cuts = [300_000]
        self.done("pull", self.base + "/a.gguf")
        self.assertEqual(file.asked, [None, None])
        self.assert_pulled("a")

    def test_another_version_meanwhile(self):
        other = b"GGUF" + bytes(len(TINY) - 4)
        for honest in (True, False):
            with self.subTest(honest=honest):
                name = f"changed-{honest}"
                file = self.serve(f"/{name}.gguf")
                file.cuts = [300_000]

                def change(file=file):
                    file.content, file.etag, file.after = other, '"2"', None
                file.after = change
                if not honest:
                    self.send_parts_of_any_version()
                self.done("pull", f"{self.base}/{name}.gguf")
                self.assert_pulled(name, other)

    def send_parts_of_any_version(self):
        original = Handler.first_byte

        def first_byte(handler, file):
            wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
            return int(wanted[1]) if wanted else 0
        Handler.first_byte = first_byte
        self.addCleanup(setattr, Handler, "first_byte", original)

    def test_another_version_the_next_day(self):
        file = self.serve("/a.gguf")
        file.cuts = [300_000] + [0] * 100
        self.refused("again later", "pull", self.base + "/a.gguf")
        file.cuts, file.etag, file.content = [], '"2"', b"GGUF" + bytes(5000)
        self.done("pull", self.base + "/a.gguf")
        self.assert_pulled("a", file.content)

    def test_interrupted_and_taken_up_again(self):
        file = self.serve("/a.gguf", delay=0.1)
        words = support.command("pull", self.base + "/a.gguf")
        process = subprocess.Popen(words, env=self.env, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        partial = self.models / "a.gguf.partial"
        deadline = time.monotonic() + 30
        while not (partial.exists() and partial.stat().st_size > 200_000) and time.monotonic() < deadline:
            time.sleep(0.02)
        second = self.command("pull", self.base + "/a.gguf")
        self.assert_error(second, support.FAILED)
        self.assertIn("being downloaded already", second.stderr)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        self.assertEqual(process.returncode, support.INTERRUPTED, stderr)
        kept = partial.stat().st_size
        self.assertEqual(partial.read_bytes(), TINY[:kept])
        self.assertEqual(self.names(), [])
        file.delay = 0
        self.done("pull", self.base + "/a.gguf")
        self.assertEqual(file.asked[-1], f"bytes={kept}-")
        self.assert_pulled("a")

    def test_hashes(self):
        self.serve("/a.gguf")
        wrong = "0" * 64
        outcome = self.refused("wrong SHA-256", "pull", self.base + "/a.gguf", "--sha256", wrong)
        self.assertIn(sha256(TINY), outcome.stderr)
        self.assertEqual(self.files(), [], "nothing is kept of it")
        self.refused("no SHA-256", "pull", self.base + "/a.gguf", "--sha256", "abc", code=support.USAGE)
        self.done("pull", self.base + "/a.gguf", "--sha256", sha256(TINY).upper())
        self.assert_pulled("a")

    def test_a_damaged_part_is_noticed(self):
        file = self.serve("/a.gguf")
        file.cuts = [300_000] + [0] * 100
        self.refused("again later", "pull", self.base + "/a.gguf")
        partial = self.models / "a.gguf.partial"
        partial.write_bytes(b"GGUF" + bytes(len(partial.read_bytes()) - 4))
        file.cuts = []
        self.refused("wrong SHA-256", "pull", self.base + "/a.gguf", "--sha256", sha256(TINY))
        self.assertEqual(self.files(), [])

    def test_answers_that_are_no_models(self):
        self.refused("the server answers 404", "pull", self.base + "/missing.gguf")
        self.serve("/page.gguf", b"<html>Sign in</html>" * 1000)
        outcome = self.refused("no GGUF file", "pull", self.base + "/page.gguf", code=support.INVALID_MODEL)
        self.assertIn("<htm", outcome.stderr)
        self.serve("/empty.gguf", b"")
        self.refused("no GGUF file", "pull", self.base + "/empty.gguf", code=support.INVALID_MODEL)
        self.serve("/short.gguf", b"GG")
        self.refused("no GGUF file", "pull", self.base + "/short.gguf", code=support.INVALID_MODEL)
        self.serve("/loop.gguf").after = self.base + "/loop.gguf"
        self.refused("cannot fetch", "pull", self.base + "/loop.gguf")
        self.serve("/local.gguf").after = "file:///etc/passwd"
        self.refused("cannot fetch", "pull", self.base + "/local.gguf")
        self.assertEqual(self.files(), [])

    def test_shards(self):
        for number in (1, 2, 3):
            self.serve(f"/dir/big-0000{number}-of-00003.gguf", TINY + bytes([number]))
        self.done("pull", self.base + "/dir/big-00002-of-00003.gguf")
        self.assertEqual(self.names(), ["big"])
        self.assertEqual((self.models / "big-00003-of-00003.gguf").read_bytes(), TINY + b"\3")
        del self.server.files["/dir/big-00003-of-00003.gguf"]
        self.refused("404", "pull", self.base + "/dir/big-00001-of-00003.gguf", "--name", "again")
        self.assertEqual(self.names(), ["big"], "nothing has the name until all is there")
        self.refused("of one file", "pull", self.base + "/dir/big-00001-of-00003.gguf", "--name", "x",
                     "--sha256", "0" * 64, code=support.USAGE)

    def test_names(self):
        self.serve("/a b$(c).gguf")
        self.assertEqual(self.done("pull", self.base + "/a%20b%24(c).gguf").stdout, "a-b:c-\n")
        self.assertEqual(self.names(), ["a-b:c-"])
        self.serve("/a.gguf")
        for name in ("../x", "/x", "a/b/c", "x\\y", "x\ny", ".x", "mmproj-x", "x:y:z", "x-00001-of-00002"):
            self.refused("no name of a model", "pull", self.base + "/a.gguf", "--name", name, code=support.USAGE)
        self.done("pull", self.base + "/a.gguf", "--name", "me/mine:7b")
        self.assert_pulled("me/mine:7b", file="me/mine--7b.gguf")
        self.serve("/b.gguf")
        self.refused("another model named", "pull", self.base + "/b.gguf", "--name", "ME/mine:7B",
                     code=support.USAGE)

    def test_a_full_disk(self):
        if os.geteuid() != 0:
            self.skipTest("only root mounts a small file system")
        self.models.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", self.models],
                          capture_output=True).returncode != 0:
            self.skipTest("no tmpfs can be mounted here")
        self.addCleanup(subprocess.run, ["umount", self.models], check=False)
        file = self.serve("/a.gguf")
        outcome = self.refused("not enough room", "pull", self.base + "/a.gguf")
        self.assertRegex(outcome.stderr, r"1\.0 MiB are needed, \d+ KiB are free")
        self.assertEqual(self.names(), [])
        self.do_not_state_the_length(file)
        self.refused("No space left", "pull", self.base + "/a.gguf")
        self.assertEqual(self.names(), [])
        self.done("rm", "a")
        self.assertEqual(self.files(), [], "what was downloaded of it goes by its name")

    def do_not_state_the_length(self, file):
        original = Handler.do_GET

        def do_get(handler):
            handler.send_response(200)
            handler.send_header("Connection", "close")
            handler.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                handler.wfile.write(file.content)
            handler.close_connection = True
        Handler.do_GET = do_get
        self.addCleanup(setattr, Handler, "do_GET", original)

    def test_a_length_that_is_not_stated(self):
        self.do_not_state_the_length(self.serve("/a.gguf"))
        self.done("pull", self.base + "/a.gguf")
        self.assert_pulled("a")

    def test_a_path(self):
        path = self.file("local.gguf", TINY)
        self.file("local.mmproj.gguf", TINY + b"p")
        self.assertEqual(self.done("pull", path).stdout, "local\n")
        self.assertTrue(os.path.samefile(path, self.models / "local.gguf"), "no copy on the same drive")
        self.assertTrue((self.models / "local.mmproj.gguf").exists())
        self.done("pull", f"file://{path}", "--name", "second", "--sha256", sha256(TINY))
        self.assert_pulled("second")
        self.refused("wrong SHA-256", "pull", path, "--name", "third", "--sha256", "0" * 64)
        self.refused("cannot open", "pull", self.folder / "missing.gguf")
        self.refused("no GGUF", "pull", self.file("text.gguf", b"text"), code=support.INVALID_MODEL)
        self.assertEqual(self.names(), ["local", "second"])


class Registries(Store):
    def ollama(self, place, **layers):
        """A manifest and its blobs; `layers`: kind -> content."""
        listed = []
        for kind, content in layers.items():
            digest = "sha256:" + sha256(content)
            listed.append({"mediaType": "application/vnd.ollama.image." + kind, "digest": digest,
                           "size": len(content)})
            model = place.rsplit("/", 1)[0].replace("/manifests", "")
            self.serve(f"{model}/blobs/{digest}", content)
        manifest = {"schemaVersion": 2, "layers": listed}
        self.serve(place, json.dumps(manifest).encode())
        return manifest

    def test_ollamas_library(self):
        self.ollama("/v2/library/tiny/manifests/7b", model=TINY, template=b"{{ .Prompt }}", system=b"You are.",
                    params=b'{"stop": ["x"]}', license=b"MIT", projector=TINY + b"p")
        outcome = self.done("pull", "tiny:7b")
        self.assertEqual(outcome.stdout, "tiny:7b\n")
        self.assertIn(f"pulling {sha256(TINY)[:12]}\n", outcome.stderr)
        self.assert_pulled("tiny:7b", file="tiny--7b.gguf")
        self.assertEqual((self.models / "tiny--7b.mmproj.gguf").read_bytes(), TINY + b"p")
        kept = json.loads((self.models / "tiny--7b.json").read_text())
        self.assertEqual((kept["template"], kept["system"], kept["license"]),
                         ("{{ .Prompt }}", "You are.", "MIT"))
        self.refused("404", "pull", "tiny:8b")
        self.refused("404", "pull", "nothing")

    def test_ollamas_latest_and_a_new_version(self):
        self.ollama("/v2/library/tiny/manifests/latest", model=TINY)
        self.done("pull", "tiny")
        blob = self.server.files["/v2/library/tiny/blobs/sha256:" + sha256(TINY)]
        self.done("pull", "tiny:latest")
        self.assertEqual(len(blob.asked), 1, "the same version is not fetched again")
        newer = TINY + b"newer"
        self.ollama("/v2/library/tiny/manifests/latest", model=newer)
        self.done("pull", "tiny")
        self.assert_pulled("tiny", newer)

    def test_owners_at_ollama(self):
        self.ollama("/v2/someone/tiny/manifests/latest", model=TINY)
        self.done("pull", "ollama.com/someone/tiny")
        self.assert_pulled("someone/tiny", file="someone/tiny.gguf")

    def test_hostile_manifests(self):
        good = self.ollama("/v2/library/bad/manifests/latest", model=TINY, template=b"hello")

        def refused(change, code=support.INVALID_MODEL):
            manifest = json.loads(json.dumps(good))
            change(manifest)
            self.serve("/v2/library/bad/manifests/latest", json.dumps(manifest).encode())
            self.assert_error(self.command("pull", "bad"), code)
            self.assertEqual(self.names(), [])

        layers = lambda m: m["layers"]
        refused(lambda m: layers(m)[0].update(digest="sha256:../../../../etc/passwd"))
        refused(lambda m: layers(m)[0].update(digest="sha256:" + "A" * 64))
        refused(lambda m: layers(m)[0].update(digest=7))
        refused(lambda m: layers(m)[0].update(size=-1))
        refused(lambda m: layers(m)[1].update(digest="md5:1"))
        refused(lambda m: layers(m).pop(0))
        refused(lambda m: m.pop("layers"))
        refused(lambda m: layers(m)[0].update(size=10), support.FAILED)  # the blob is longer
        refused(lambda m: layers(m)[0].update(size=1 << 60), support.FAILED)  # and there is no room for that
        self.server.files["/v2/library/bad/blobs/sha256:" + sha256(b"hello")].content = b"HELLO"
        refused(lambda m: None, support.FAILED)
        self.serve("/v2/library/bad/manifests/latest", b"[" * 100_000)
        self.assert_error(self.command("pull", "bad"), support.INVALID_MODEL)
        self.serve("/v2/library/bad/manifests/latest", b" " * (2 << 20))
        self.assert_error(self.command("pull", "bad"), support.FAILED)

    def hugging_face(self, repository, files, hashes=True):
        listed = [{"type": "directory", "path": "sub"}]
        for path, content in files.items():
            entry = {"type": "file", "path": path, "size": len(content)}
            if hashes:
                entry["lfs"] = {"oid": sha256(content), "size": len(content)}
            listed.append(entry)
            self.serve(f"/{repository}/resolve/main/{path}").after = self.base + f"/cdn/{sha256(content)}"
            self.serve(f"/cdn/{sha256(content)}", content, etag=f'"{sha256(content)[:8]}"')
        self.serve(f"/api/models/{repository}/tree/main?recursive=true", json.dumps(listed).encode())
        return listed

    def test_hugging_face(self):
        files = {"Tiny-Q4_K_M.gguf": TINY, "Tiny-Q8_0.gguf": TINY + b"8", "README.md": b"hello",
                 "sub/Tiny Q2-00001-of-00002.gguf": TINY + b"1", "sub/Tiny Q2-00002-of-00002.gguf": TINY + b"2",
                 "Tiny-BF16-00001-of-00002.gguf": TINY, "mmproj-BF16.gguf": TINY + b"b",
                 "mmproj-F16.gguf": TINY + b"p"}
        self.hugging_face("Org/Tiny-GGUF", files)
        self.assertEqual(self.done("pull", "hf.co/Org/Tiny-GGUF").stdout, "Org/Tiny-GGUF:Q4_K_M\n")
        self.assert_pulled("Org/Tiny-GGUF:Q4_K_M", file="Org/Tiny-GGUF--Q4_K_M.gguf")
        self.assertEqual((self.models / "Org/Tiny-GGUF--Q4_K_M.mmproj.gguf").read_bytes(), TINY + b"p")
        self.done("pull", "Org/Tiny-GGUF:q8_0")
        self.assert_pulled("Org/Tiny-GGUF:Q8_0", TINY + b"8", "Org/Tiny-GGUF--Q8_0.gguf")
        outcome = self.refused("has no Q5_0", "pull", "Org/Tiny-GGUF:Q5_0", code=support.USAGE)
        self.assertIn(":Q8_0", outcome.stderr)
        self.assertNotIn("BF16", outcome.stderr, "a shard of it is missing")
        self.refused("404", "pull", "org/nothing")

    def test_hugging_faces_hash_is_checked(self):
        listed = self.hugging_face("org/a", {"a-Q4_0.gguf": TINY})
        listed[1]["lfs"]["oid"] = "0" * 64
        self.serve("/api/models/org/a/tree/main?recursive=true", json.dumps(listed).encode())
        self.refused("wrong SHA-256", "pull", "org/a")
        # An address of its own: the redirect states the hash.
        self.serve("/b.gguf", headers={"X-Linked-ETag": '"' + "0" * 64 + '"'}).after = self.base + "/cdn/b"
        self.serve("/cdn/b")
        self.refused("wrong SHA-256", "pull", self.base + "/b.gguf")
        self.assertEqual(self.files(), [])
        # Also by who finds all of it there already.
        partial = self.models / "b.gguf.partial"
        partial.write_bytes(TINY)
        state = {"url": self.base + "/b.gguf", "version": '"1"', "sha256": "0" * 64, "bytes": len(TINY)}
        (self.models / "b.gguf.partial.json").write_text(json.dumps(state))
        self.refused("wrong SHA-256", "pull", self.base + "/b.gguf")
        self.assertEqual(self.files(), [])

    def test_the_token_goes_to_hugging_face_alone(self):
        self.hugging_face("org/a", {"a-Q4_0.gguf": TINY})
        self.ollama("/v2/library/tiny/manifests/latest", model=TINY)
        self.env["HF_TOKEN"] = "secret"
        self.env["HYPURA_OLLAMA_REGISTRY"] = self.base.replace("127.0.0.1", "localhost")
        self.env["NO_PROXY"] = "127.0.0.1,localhost"
        self.done("pull", "org/a")
        self.done("pull", "tiny", "--name", "other")
        asked = self.server.files["/org/a/resolve/main/a-Q4_0.gguf"]
        self.assertEqual(asked.authorization, ["Bearer secret"])
        for path, file in self.server.files.items():
            if path.startswith("/v2/"):
                self.assertNotIn("Bearer secret", file.authorization, path)

    def test_lists_that_make_no_sense(self):
        for text in (b"", b"{}", b"[1, null, {}, {\"path\": 7}]", b"[" * 100_000, b"\xff\xfe"):
            self.serve("/api/models/org/a/tree/main?recursive=true", text)
            self.assert_error(self.command("pull", "org/a"), support.FAILED, support.USAGE)
        self.hugging_face("org/a", {"../../../../x-Q4_0.gguf": TINY})
        self.refused("no GGUF files", "pull", "org/a", code=support.USAGE)
        self.assertEqual(self.names(), [])


class Names(Store):
    def setUp(self):
        super().setUp()
        self.models.mkdir()
        os.link(support.MODEL, self.models / "teller.gguf")

    def test_a_name_stands_for_the_file(self):
        by_path = support.greedy(count=8, env=self.env)
        for name in ("teller", "TELLER:latest"):
            by_name = support.greedy(model=name, count=8, env=self.env)
            self.assertEqual(by_name["text"], by_path["text"])
        self.assertIn("Storyteller", self.done("inspect", "teller").stdout)
        outcome = self.refused("did you mean teller?", "run", "tellar", "-p", "x", code=support.USAGE)
        self.assertIn("tellar", outcome.stderr)
        self.refused("it is a path", "inspect", "a/../teller", code=support.USAGE)
        self.assert_error(self.command("inspect", self.folder / "missing.gguf"), support.FAILED)

    def test_a_file_comes_before_a_name(self):
        (self.folder / "teller").write_bytes(b"no model")
        self.assert_error(self.command("inspect", "teller", cwd=self.folder), support.INVALID_MODEL)
        self.done("inspect", "teller")

    def test_list_show_copy_remove(self):
        table = self.done("list").stdout.splitlines()
        self.assertEqual(table[0].split(), ["NAME", "ID", "SIZE", "MODIFIED", "OF"])
        self.assertEqual(table[1].split()[:2], ["teller", "-"])
        page = self.done("show", "teller").stdout
        for fact in ("qwen3moe", "Q4_K - Medium", "1024", "cc0-1.0"):
            self.assertIn(fact, page)
        shown = self.done("show", "teller", "--json").json()
        self.assertEqual((shown["name"], shown["architecture"], shown["license"]),
                         ("teller", "qwen3moe", "cc0-1.0"))
        self.assertEqual(self.done("show", support.MODEL, "--json").json()["architecture"], "qwen3moe")
        self.done("cp", "teller", "me/second:q4")
        self.assertEqual(self.names(), ["me/second:q4", "teller"])
        self.assertTrue(os.path.samefile(self.models / "me/second--q4.gguf", support.MODEL))
        self.refused("there is a model named", "cp", "teller", "me/second:q4", code=support.USAGE)
        self.refused("no name", "cp", "teller", "../out", code=support.USAGE)
        self.done("rm", "teller", "me/second:q4")
        self.assertEqual(self.names(), [])
        self.assertEqual(list(self.models.iterdir()), [])
        self.assertTrue(support.MODEL.exists())
        self.refused("no model is named", "rm", "teller", code=support.USAGE)
        self.refused("required", "rm", code=support.USAGE)

    def test_what_ollama_has(self):
        store = self.folder / "ollama"
        blob = store / "blobs" / f"sha256-{MODEL_SHA256}"
        manifest = store / "manifests/registry.ollama.ai/library/mine/7b"
        for path in (blob, manifest):
            path.parent.mkdir(parents=True)
        os.link(support.MODEL, blob)
        layer = {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:" + MODEL_SHA256,
                 "size": len(MODEL_BYTES)}
        manifest.write_text(json.dumps({"layers": [layer]}))
        [model] = [m for m in self.done("list", "--json").json()["models"] if m["source"] == "ollama"]
        self.assertEqual((model["name"], model["digest"], model["path"]), ("mine:7b", MODEL_SHA256, str(blob)))
        self.assertEqual(support.greedy(model="mine:7b", count=4, env=self.env)["text"],
                         support.greedy(count=4, env=self.env)["text"])
        self.refused("ollama rm mine:7b", "rm", "mine:7b", code=support.USAGE)
        self.done("cp", "mine:7b", "ours")
        self.done("inspect", "ours")
        self.done("rm", "ours")
        self.assertTrue(blob.exists())
        manifest.write_text(json.dumps({"layers": [dict(layer, digest=f"sha256:../../models/teller.gguf")]}))
        self.assertEqual(self.names(), ["teller"])

    def test_what_hugging_faces_cache_has(self):
        repository = self.folder / "hub/models--org--Teller-GGUF"
        (repository / "blobs").mkdir(parents=True)
        (repository / "snapshots/abc").mkdir(parents=True)
        os.link(support.MODEL, repository / "blobs" / MODEL_SHA256)
        os.symlink(f"../../blobs/{MODEL_SHA256}", repository / "snapshots/abc/teller-Q4_K_M.gguf")
        self.assertIn("org/Teller-GGUF:Q4_K_M", self.names())
        self.assertEqual(self.done("show", "org/teller-gguf", "--json").json()["digest"], MODEL_SHA256)
        self.done("inspect", "hf.co/org/teller-gguf:q4_k_m")
        self.done("inspect", "org/Teller-GGUF")
        self.refused("Hugging Face", "rm", "org/Teller-GGUF:Q4_K_M", code=support.USAGE)


if __name__ == "__main__":
    unittest.main()
