"""`plan` and `estimate` say what a run would do, from a model, its saved header or an address, without reading
weights; `run --plan` does it; what does not belong together is refused."""

import http.server
import json
import os
import re
import ssl
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

import support

MACHINE = "m1-max-32gb"
SMALL = ("--ram-budget", "40M", "--ctx", 512)


class RangeServer(http.server.BaseHTTPRequestHandler):
    """Sends parts of one file; `ranges = False` ignores what was asked for."""

    path_to_file = None
    ranges = True
    sent = 0

    def do_GET(self):
        data = type(self).path_to_file.read_bytes()
        if self.path != "/" + type(self).path_to_file.name:
            return self.send_error(404)
        wanted = re.fullmatch(r"bytes=0-(\d+)", self.headers.get("Range", ""))
        part = data[:int(wanted[1]) + 1] if wanted and type(self).ranges else data
        self.send_response(206 if type(self).ranges else 200)
        if type(self).ranges:
            self.send_header("Content-Range", f"bytes 0-{len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        type(self).sent += len(part)
        try:
            self.wfile.write(part)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, *_):
        pass


class Plan(support.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cache = tempfile.TemporaryDirectory(prefix="hypura-e2e-")
        cls.env = dict(os.environ, XDG_CACHE_HOME=cls.cache.name, NO_PROXY="127.0.0.1")
        outcome = support.hypura("profile", support.MODEL, env=cls.env)
        assert outcome.returncode == support.DONE, str(outcome)
        # This machine, with a drive of known speed.
        [kept] = (Path(cls.cache.name) / "hypura" / "profiles").glob("*.json")
        machine = json.loads(kept.read_text())
        machine["drive"]["sequential_gbps"] = 3.5
        kept.write_text(json.dumps(machine))

    @classmethod
    def tearDownClass(cls):
        cls.cache.cleanup()
        super().tearDownClass()

    def setUp(self):
        super().setUp()
        self.env = dict(type(self).env)

    def command(self, *words):
        return support.hypura(*words, env=self.env)

    def done(self, *words):
        outcome = self.command(*words)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        return outcome

    def refused(self, code, fragment, *words):
        outcome = self.command(*words)
        self.assertEqual(outcome.returncode, code, str(outcome))
        self.assertIn(fragment, outcome.stderr)
        self.assertEqual(outcome.stdout, "")

    def test_a_run_does_what_the_plan_says(self):
        for budget in ("30M", "40M", "1G"):
            with self.subTest(budget=budget):
                words = (support.MODEL, "--ram-budget", budget, "--ctx", 512)
                plan = self.done("plan", *words, "--json").json()
                run = self.done("run", *words, "-p", support.PROMPT, "-n", 4, "--json").json()
                self.assertEqual(plan["schema"], 1)
                self.assertEqual(plan["mode"], run["mode"])
                self.assertEqual(plan["streamed_bytes"], run["budgets"]["streamed_bytes"])
                self.assertEqual(plan["expert_slots"], run["budgets"]["expert_slots"])
                self.assertGreater(run["predicted_decode_tps"], 0)
                self.assertGreater(run["bound_seconds"], 0)
                self.assertEqual(run["io_roofline_gbps"], 3.5)

    def test_a_saved_plan_is_carried_out_and_belongs_to_its_model(self):
        file = self.folder / "plan.json"
        self.done("plan", support.MODEL, *SMALL, "--save", file)
        words = ("-p", support.PROMPT, "-n", 4, "--temp", 0, "--json")
        told = self.done("run", support.MODEL, "--plan", file, *words).json()
        own = self.done("run", support.MODEL, *SMALL, *words).json()
        self.assertEqual(told["token_ids"], own["token_ids"])
        self.assertEqual(told["budgets"], own["budgets"])
        self.assertEqual(told["numerics"], own["numerics"])

        self.refused(support.USAGE, "exclude each other", "run", support.MODEL, "--plan", file,
                     "--ram-budget", "1G", "-p", "x")
        plan = json.loads(file.read_text())
        for key, value, fragment in (("tensors", 1, "1 tensors"), ("metadata", "00", "differ"),
                                     ("bytes", 5, "5 bytes")):
            other = json.loads(file.read_text())
            other["model"][key] = value
            wrong = self.folder / "wrong.json"
            wrong.write_text(json.dumps(other))
            self.refused(support.USAGE, fragment, "run", support.MODEL, "--plan", wrong, "-p", "x")
        wrong.write_text(json.dumps(dict(plan, schema=2)))
        self.refused(support.USAGE, "schema", "run", support.MODEL, "--plan", wrong, "-p", "x")
        self.refused(support.FAILED, "cannot read", "run", support.MODEL, "--plan",
                     self.folder / "absent", "-p", "x")

    def test_diff_names_what_changed(self):
        a, b = self.folder / "a.json", self.folder / "b.json"
        self.done("plan", support.MODEL, *SMALL, "--save", a)
        self.done("plan", support.MODEL, "--ram-budget", "30M", "--ctx", 512, "--save", b)
        self.assertIn("budget: 40.0 MiB -> 30.0 MiB", self.done("plan", "--diff", a, b).stdout)
        self.assertEqual(self.done("plan", "--diff", a, a).stdout, "no difference\n")
        self.refused(support.USAGE, "two saved plans", "plan", "--diff", a)

    def test_it_explains(self):
        def explain(what):
            return self.done("plan", support.MODEL, *SMALL, "--explain", what).stdout
        self.assertIn("resident needs", explain("mode"))
        self.assertIn("expert", explain("nvme"))
        self.assertIn("pinned", explain("blk.0.attn_q.weight"))
        self.assertIn("expected hits", explain("blk.0.ffn_up_exps.weight"))
        self.refused(support.USAGE, "neither a tensor nor a word", "plan", support.MODEL, *SMALL,
                     "--explain", "nonsense")

    def test_more_ram_and_a_faster_drive_help(self):
        text = self.done("plan", support.MODEL, *SMALL, "--what-if", "+1G-ram,7GB/s").stdout
        speeds = [float(s) for s in re.findall(r"decode ([\d.]+) tok/s", text)]
        self.assertEqual(len(speeds), 2, text)
        self.assertGreater(speeds[1], speeds[0])
        self.assertIn("mode resident", text)
        self.refused(support.USAGE, "no such change", "plan", support.MODEL, "--what-if", "more")

    def test_what_does_not_fit_says_what_would(self):
        outcome = self.command("plan", support.MODEL, "--ram-budget", "8M")
        self.assertEqual(outcome.returncode, support.DOES_NOT_FIT, str(outcome))
        wanted = re.search(r"--ram-budget (\d+M)", outcome.stderr)[1]
        self.done("plan", support.MODEL, "--ram-budget", wanted)

    def test_a_header_plans_like_its_model_and_does_not_run(self):
        header = self.folder / "model.header"
        self.done("inspect", support.MODEL, "--save-header", header)
        self.assertLess(header.stat().st_size, support.MODEL.stat().st_size // 10)
        words = ("--machine", MACHINE, *SMALL, "--json")
        from_model = self.done("estimate", support.MODEL, *words).json()
        from_header = self.done("estimate", header, *words).json()
        for plan in (from_model, from_header):
            plan.pop("planning_seconds")
            plan.pop("fixed_bytes"), plan.pop("token"), plan.pop("suggestions")
        self.assertEqual(from_header, from_model)
        self.refused(support.INVALID_MODEL, "has no weights", "run", header, "-p", "x")
        damaged = self.folder / "damaged.header"
        damaged.write_bytes(header.read_bytes()[:-1])
        self.refused(support.INVALID_MODEL, "cut off", "estimate", damaged, *words)

    def test_an_address_is_read_in_parts(self):
        class Handler(RangeServer):
            path_to_file = support.MODEL
        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}/{support.MODEL.name}"
        words = ("--machine", MACHINE, *SMALL, "--json")
        plan = self.done("estimate", url, *words).json()
        self.assertEqual(plan["model"], "Storyteller MoE")
        self.assertLess(Handler.sent, support.MODEL.stat().st_size // 2)
        self.refused(support.FAILED, "404", "estimate", url + ".x", *words)
        Handler.ranges = False
        self.refused(support.FAILED, "does not send parts", "estimate", url, *words)
        self.refused(support.FAILED, "cannot fetch", "estimate", "http://127.0.0.1:1/m.gguf", *words)

    def https_server(self, *, redirect_to=None):
        """A server with a certificate of its own; the address and the file with the certificate."""
        certificate, key = self.folder / "certificate.pem", self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-keyout", key, "-out", certificate, "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)

        class Handler(RangeServer):
            path_to_file = support.MODEL

            def do_GET(self):
                if redirect_to is None or self.path != "/moved.gguf":
                    return super().do_GET()
                self.send_response(302)
                self.send_header("Location", redirect_to)
                self.send_header("Content-Length", "0")
                self.end_headers()

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # who does not trust it hangs up
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"https://127.0.0.1:{server.server_port}", certificate

    def test_only_servers_that_are_trusted_are_read(self):
        server, certificate = self.https_server(redirect_to=support.MODEL.name)
        words = ("--machine", MACHINE, *SMALL, "--json")
        url = f"{server}/{support.MODEL.name}"
        self.refused(support.FAILED, "certificate is not trusted", "estimate", url, *words)
        for name in ("CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            with self.subTest(name=name):
                self.env = {key: value for key, value in type(self).env.items()
                            if key not in ("CURL_CA_BUNDLE", "SSL_CERT_FILE")}
                self.env[name] = str(certificate)
                self.assertEqual(self.done("estimate", url, *words).json()["model"], "Storyteller MoE")
        moved = f"{server}/moved.gguf"
        self.assertEqual(self.done("estimate", moved, *words).json()["model"], "Storyteller MoE")
        self.refused(support.FAILED, "404", "estimate", url + ".x", *words)

    def test_no_redirect_leads_out_of_what_is_encrypted(self):
        for to in (f"file://{support.MODEL}", "http://127.0.0.1:1/m.gguf"):
            with self.subTest(to=to):
                server, certificate = self.https_server(redirect_to=to)
                self.env["CURL_CA_BUNDLE"] = str(certificate)
                self.refused(support.FAILED, "cannot fetch", "estimate", server + "/moved.gguf",
                             "--machine", MACHINE, *SMALL)

    def test_a_draft_and_repacked_weights_are_planned_like_run_places_them(self):
        file = self.folder / "plan.json"
        answer = ("-p", support.PROMPT, "-n", 4, "--temp", 0, "--json")
        for words in (("--draft", support.MODEL, "--draft-depth", 2), ("--fast-prompt",),
                      ("--kv-type", "q8_0")):
            with self.subTest(words=words):
                options = (support.MODEL, "--ram-budget", "80M", "--mode", "experts", "--ctx", 512,
                           *words)
                plan = self.done("plan", *options, "--save", file, "--json").json()
                own = self.done("run", *options, *answer).json()
                told = self.done("run", support.MODEL, "--plan", file, *answer).json()
                for budgets in (own["budgets"], told["budgets"]):
                    for key in ("draft_bytes", "repacked_bytes", "pinned_bytes", "streamed_bytes",
                                "expert_slots", "kv_bytes", "fixed_bytes"):
                        self.assertEqual(plan[key], budgets[key], key)
                self.assertEqual(told["numerics"], own["numerics"])
                self.assertEqual(told["token_ids"], own["token_ids"])
        draft = self.done("plan", support.MODEL, *SMALL, "--draft", "lookup", "--json").json()
        self.assertIsNone(draft["predicted_decode_tps"])

    def test_a_smaller_cache_where_memory_is_tight_and_it_is_allowed(self):
        auto, prompt = ("--kv-type", "auto"), ("-p", support.PROMPT, "-n", 2, "--json")
        tight = (support.MODEL, "--ram-budget", "40M", "--ctx", 2048)
        for command, more in (("plan", ("--json",)), ("run", prompt)):
            with self.subTest(command=command):
                outcome = self.done(command, *tight, *auto, *more)
                self.assertIn("memory is tight", outcome.stderr)
                json = outcome.json()
                self.assertEqual((json.get("numerics") or {"type_k": json.get("kv_type_k")})["type_k"],
                                 "q8_0")
        self.assertEqual(self.done("plan", *tight, "--json").json()["kv_type_k"], "f16")
        roomy = self.done("plan", support.MODEL, "--ram-budget", "1G", "--ctx", 2048, *auto, "--json")
        self.assertEqual(roomy.json()["kv_type_k"], "f16")
        self.assertNotIn("tight", roomy.stderr)

    def test_threads_follow_what_was_measured(self):
        [kept] = (Path(self.env["XDG_CACHE_HOME"]) / "hypura" / "profiles").glob("*.json")
        before = kept.read_text()
        self.addCleanup(kept.write_text, before)
        machine = json.loads(before)
        if machine["cores"] < 2:
            self.skipTest("one core, no choice")
        answer = (support.MODEL, "-p", support.PROMPT, "-n", 2, "--ctx", 512, "--json")
        plan = ("plan", support.MODEL, "--ctx", 512)
        for sample in machine["compute"]:
            sample["token_gbps"] = 10.0 if sample["threads"] == 1 else 2.0
            sample["batch_gbps"] = 10.0 * sample["threads"]
            sample["expert_gbps"], sample["spread"] = 0, 0.02
        machine["nodes"], machine["warnings"] = [], []
        kept.write_text(json.dumps(machine))
        text = self.done(*plan, "--explain", "threads").stdout
        self.assertIn("threads: 1 for tokens", text)
        self.assertIn("faster than the usual", text)
        numerics = self.done("run", *answer).json()["numerics"]
        self.assertEqual((numerics["threads"], numerics["threads_batch"]), (1, machine["cores"]))
        asked = self.done("run", *answer, "-t", 2).json()["numerics"]
        self.assertEqual((asked["threads"], asked["threads_batch"]), (2, 2))
        for sample in machine["compute"]:
            sample["spread"] = 9
        kept.write_text(json.dumps(machine))
        doubted = self.done("run", *answer).json()["numerics"]
        self.assertEqual(doubted["threads"], doubted["threads_batch"])

    def test_a_plan_that_does_not_fit_is_refused(self):
        file = self.folder / "plan.json"
        self.done("plan", support.MODEL, *SMALL, "--save", file)
        plan = json.loads(file.read_text())
        for key, value, fragment in (("pool_bytes_max", 4096, "their least"),
                                     ("kv_type_k", "q99", "no such type"),
                                     ("threads", 9999, "threads")):
            with self.subTest(key=key):
                changed = {**plan, "decisions": {**plan["decisions"], key: value}}
                file.write_text(json.dumps(changed))
                outcome = self.command("run", support.MODEL, "--plan", file, "-p", "x")
                self.assertIn(outcome.returncode, (support.USAGE, support.DOES_NOT_FIT), str(outcome))
                self.assertIn(fragment, outcome.stderr)
        changed = {**plan, "decisions": {**plan["decisions"], "pin_bytes_max": 0}}
        file.write_text(json.dumps(changed))
        answer = ("-p", support.PROMPT, "-n", 2, "--json")
        budgets = self.done("run", support.MODEL, "--plan", file, *answer).json()["budgets"]
        self.assertLess(budgets["pinned_bytes"], plan["result"]["pinned_bytes"])
        changed["decisions"]["ring_slots"] = 60000
        file.write_text(json.dumps(changed))
        self.refused(support.DOES_NOT_FIT, "60000 slots", "run", support.MODEL, "--plan", file, "-p", "x")

    def test_machines_are_known_or_named(self):
        self.refused(support.USAGE, "--machine is missing", "estimate", support.MODEL)
        self.refused(support.USAGE, "did you mean m1-max-32gb", "estimate", "--machine",
                     "m1-mac-32gb", support.MODEL)
        profile = self.folder / "profile.json"
        profile.write_text('{"schema": 1, "cores": -1}')
        self.refused(support.FAILED, "cores", "estimate", "--machine", profile, support.MODEL)
        self.env["XDG_CACHE_HOME"] = str(self.folder / "empty")
        for name in os.listdir(support.REPO / "machines"):
            plan = self.done("estimate", "--machine", name.removesuffix(".json"), support.MODEL,
                             "--json").json()
            self.assertIn(plan["fit"], ("fast", "usable", "slow"))

    def test_a_gpu_takes_layers_before_their_experts(self):
        words = ("--machine", "pc-rtx4090-64gb-gen4", "--ctx", 1024, "-ub", 32)
        of = {budget: self.done("estimate", support.MODEL, *words, "--gpu-budget", budget, "--json").json()
              for budget in ("auto", "0", "24M")}
        self.assertEqual(of["0"]["gpu_bytes"], 0)
        self.assertGreater(of["auto"]["gpu_bytes"], 0.8 * of["auto"]["weight_bytes"])
        self.assertEqual(of["24M"]["gpu_layers"], of["auto"]["gpu_layers"])
        self.assertLess(of["24M"]["gpu_bytes"], of["auto"]["gpu_bytes"])
        table = self.done("estimate", support.MODEL, *words, "--gpu-budget", "24M").stdout
        self.assertRegex(table, r"GPU +[\d.]+ MiB .* KV cache of \d+ layers")
        self.refused(support.DOES_NOT_FIT, "--gpu-budget 40.0 GiB: the GPU has", "estimate",
                     support.MODEL, *words, "--gpu-budget", "40G")
        self.refused(support.DOES_NOT_FIT, "--gpu-budget 1.0 MiB holds no layer", "estimate",
                     support.MODEL, *words, "--gpu-budget", "1M")

    def test_several_gpus_share_by_what_they_have(self):
        machine = json.loads((support.REPO / "machines" / "pc-rtx4090-64gb-gen4.json").read_text())
        large = machine["gpus"][0]
        small = dict(large, total_bytes=large["total_bytes"] // 2, working_set_bytes=large["working_set_bytes"] // 2)
        machine["gpus"] = [large, small]
        profile = self.folder / "profile.json"
        profile.write_text(json.dumps(machine))
        words = ("estimate", support.MODEL, "--machine", profile, "--ctx", 1024, "-ub", 32)
        plan = self.done(*words, "--gpu-budget", "40M", "--json").json()
        # The last one has a copy of the embeddings for its output, too.
        embeddings = sum(part["weight_bytes"] for part in plan["gpu_parts"]) - plan["gpu_bytes"]
        self.assertTrue(0 < embeddings < 5e6, embeddings)
        self.assertEqual(sum(part["kv_bytes"] for part in plan["gpu_parts"]), plan["gpu_kv_bytes"])
        first, second = (part["weight_bytes"] + part["kv_bytes"] for part in plan["gpu_parts"])
        self.assertTrue(1.2 < first / second < 3.5, plan["gpu_parts"])  # a layer has a sixth of all
        table = self.done(*words, "--gpu-budget", "40M").stdout
        self.assertRegex(table, r"GPU 0 +[\d.]+ MiB .* of these weights and KV, \d layers\n")
        self.assertRegex(table, r"GPU 1 +[\d.]+ MiB .* of these weights and KV, \d layers and the output\n")
        one = self.done("estimate", support.MODEL, "--machine", "pc-rtx4090-64gb-gen4", "--json").json()
        self.assertEqual(one["gpu_parts"], [])

    def test_a_gpu_computes_prompts_of_what_streams_where_that_is_faster(self):
        model = self.folder / "moe.gguf"
        subprocess.run([os.environ["HYPURA_MAKE_MODEL"], "--preset", "moe-7g", "--sparse", "--out", model],
                       check=True, capture_output=True, timeout=120)
        machine = json.loads((support.REPO / "machines" / "pc-rtx4090-64gb-gen4.json").read_text())
        profile = self.folder / "profile.json"
        words = (model, "--machine", profile, "--ctx", 1024, "--gpu-budget", "2G", "--ram-budget", "3G")
        plans = {}
        for gbps in (0.5, 25):
            machine["gpus"][0]["upload_gbps"] = gbps
            profile.write_text(json.dumps(machine))
            plans[gbps] = self.done("estimate", *words, "--json").json()
        self.assertEqual([plan["gpu_places"] for plan in plans.values()], [0, 2])
        self.assertLess(plans[25]["gpu_bytes"], plans[0.5]["gpu_bytes"], "places take room")
        fast, slow = (plans[gbps]["predicted_prompt_tps"]["middle"] for gbps in (25, 0.5))
        self.assertGreater(fast, 1.5 * slow)
        table = self.done("estimate", *words, "--explain", "gpu").stdout
        self.assertIn("2 places for whole matrices and activations, to compute prompts with", table)
        saved = self.folder / "saved.json"
        self.done("estimate", *words, "--save", saved)
        self.assertTrue(json.loads(saved.read_text())["decisions"]["gpu_takes_batches"])

    def test_a_gpu_is_fuller_where_the_drive_is_waited_for(self):
        model = self.folder / "moe.gguf"
        subprocess.run([os.environ["HYPURA_MAKE_MODEL"], "--preset", "moe-7g", "--sparse", "--out", model],
                       check=True, capture_output=True, timeout=120)
        words = ("estimate", model, "--machine", "pc-rtx4090-64gb-gen4", "--ctx", 1024, "-ub", 16, "--exact", "--json")
        more = []
        for budget in range(1900, 2400, 50):
            roomy, tight = (self.done(*words, "--gpu-budget", f"{budget}M", "--ram-budget", ram).json()["gpu_bytes"]
                            for ram in ("30G", "3G"))
            more.append(tight - roomy)
        self.assertEqual(min(more), 0)
        self.assertGreater(max(more), 50e6, "a layer of three matrices gone, those of several that end FFNs there")

    def test_a_gpu_gets_larger_micro_batches_where_nobody_asks_for_one(self):
        model = self.folder / "moe.gguf"
        subprocess.run([os.environ["HYPURA_MAKE_MODEL"], "--preset", "qwen3-30b", "--sparse", "--out", model],
                       check=True, capture_output=True, timeout=120)
        words = (model, "--machine", "pc-rtx4090-64gb-gen4", "--gpu-budget", "6G", "--ram-budget", "6G")
        micro_batch = {}
        for asked in (("-c", 4096), ("-c", 1024), ("-c", 4096, "-b", 1024), ("-c", 4096, "-ub", 512)):
            plan = self.done("estimate", *words, *asked, "--json").json()
            micro_batch[asked] = plan["micro_batch"]
            self.assertEqual(plan["gpu_places"], 2)
        self.assertEqual(list(micro_batch.values()), [2048, 512, 512, 512], "no larger than context and batch")
        # What the decision is made by, and llama.cpp does.
        small = self.done("estimate", *words, "-c", 256, "-ub", 512, "--json").json()
        self.assertEqual(small["micro_batch"], 256, "no larger than the context")
        saved = self.folder / "saved.json"
        self.done("estimate", *words, "-c", 4096, "--save", saved)
        self.assertEqual(json.loads(saved.read_text())["decisions"]["micro_batch"], 2048)

    def test_experts_are_copied_to_a_gpu_where_its_bus_is_fast(self):
        machine = json.loads((support.REPO / "machines" / "pc-rtx4090-64gb-gen4.json").read_text())
        machine["memory"]["read_gbps"] = 4  # as slow as the model is small: layers are waited for, too
        profile = self.folder / "profile.json"
        saved = {}
        words = (support.MODEL, "--machine", profile, "--ctx", 1024, "-ub", 32, "--gpu-budget", "24M")
        for gbps in (2, 200):
            machine["gpus"][0]["upload_gbps"] = gbps
            profile.write_text(json.dumps(machine))
            saved[gbps] = self.folder / f"{gbps}.json"
            self.done("estimate", *words, "--save", saved[gbps])
            plan = self.done("estimate", *words, "--json").json()
            table = self.done("estimate", *words).stdout
            if gbps == 2:
                self.assertEqual((plan["gpu_cache_slots"], plan["gpu_places"]), (0, 0))
                self.assertIsNone(plan["gpu_expected_hit_rate"])
                self.assertNotIn("slots for", table)
        slots = plan["gpu_cache_slots"]
        self.assertTrue(4 <= slots < 16, "a token's experts, and not all of them")
        self.assertEqual(plan["mode"], "experts")
        self.assertTrue(0 < plan["gpu_expected_hit_rate"] < 1)
        self.assertGreater(plan["token"]["upload_bytes"], 0)
        taken = plan["gpu_cache_bytes"] + plan["gpu_places"] * plan["gpu_place_bytes"]
        self.assertLess(taken + plan["gpu_bytes"] + plan["gpu_kv_bytes"], 24 << 20)
        self.assertRegex(table, rf"GPU .* slots for {slots} of 16 experts a layer, expected hits \d+ %")
        self.assertRegex(table, r"GPU .* 2 places for whole tensors")
        why = self.done("estimate", *words, "--explain", "gpu").stdout
        self.assertIn(f"slots for {slots} of 16 experts a layer", why)
        why = self.done("estimate", *words, "--explain", "blk.1.ffn_up_exps.weight").stdout
        self.assertIn(f"copied to the GPU to be computed with, {slots} of 16 have slots there", why)
        exact = self.done("estimate", *words, "--exact", "--json").json()
        self.assertEqual(exact["gpu_cache_slots"], 0)
        diff = self.done("plan", "--diff", saved[2], saved[200]).stdout
        self.assertIn("experts copied to the GPU: false -> true", diff)

    def test_what_cannot_be_planned_is_refused(self):
        for words, fragment in ((("-p", "x"), "generates nothing"),
                                (("--kv-type", "auto", "-ctk", "q8_0"), "exclude each other"),
                                (("--json", "--explain", "mode"), "--explain")):
            with self.subTest(words=words):
                self.refused(support.USAGE, fragment, "plan", support.MODEL, *SMALL, *words)
        self.refused(support.FAILED, "--draft: cannot open", "plan", support.MODEL, *SMALL, "--draft",
                     self.folder / "absent.gguf")


if __name__ == "__main__":
    unittest.main()
