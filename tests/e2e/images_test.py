"""Images: a model with a projector sees them, streamed as resident, through all protocols."""

import base64
import json
import unittest

import projector_file
import support
from server_support import Server

NAME = support.MODEL.stem
WIDTH = 512  # of the embedded model
WORDS = ("--ctx", 256, "--parallel", 1, "-t", 1)
STREAMED = ("--ram-budget", "min", *WORDS)
RESIDENT = ("--mode", "resident", "--exact", *WORDS)
QUESTION = "What is in the picture?"
RED = base64.b64encode(projector_file.png(200, 30, 30)).decode()
BLUE = base64.b64encode(projector_file.png(30, 30, 200)).decode()


class Images(support.TestCase):
    def setUp(self):
        super().setUp()
        self.projector = self.folder / "projector.gguf"
        projector_file.write_projector(self.projector, WIDTH)

    def serve(self, *words):
        return Server(self, support.MODEL, "--mmproj", self.projector, *words)

    def ask(self, server, image):
        content = [{"type": "text", "text": QUESTION}]
        if image:
            content.append({"type": "image_url",
                            "image_url": {"url": f"data:image/png;base64,{image}"}})
        status, answer = server.post("/v1/chat/completions", {
            "messages": [{"role": "user", "content": content}], "max_tokens": 8, "temperature": 0,
            "logprobs": True, "top_logprobs": 5})
        self.assertEqual(status, 200, answer)
        return answer

    def test_streamed_is_resident(self):
        streamed, resident = self.serve(*STREAMED), self.serve(*RESIDENT)
        seen = []
        for image in (RED, BLUE, None):
            one, other = self.ask(streamed, image), self.ask(resident, image)
            self.assertEqual(one["choices"], other["choices"])
            seen.append(one)
        # They are read: each image is its patches, and which it is counts.
        tokens = [answer["usage"]["prompt_tokens"] for answer in seen]
        self.assertEqual(tokens[:2], [tokens[2] + projector_file.TOKENS] * 2)
        red, blue = (answer["choices"][0]["logprobs"]["content"][0] for answer in seen[:2])
        self.assertNotEqual(red, blue)

    def test_ollama(self):
        server = self.serve(*STREAMED)
        _, shown = server.post("/api/show", {"model": NAME})
        self.assertIn("vision", shown["capabilities"])
        more = {"model": NAME, "stream": False, "options": {"num_predict": 8, "temperature": 0}}
        _, chat = server.post("/api/chat", {**more, "messages": [
            {"role": "user", "content": QUESTION, "images": [RED]}]})
        _, generated = server.post("/api/generate", {**more, "prompt": QUESTION, "images": [RED]})
        self.assertEqual(chat["message"]["content"], generated["response"])
        self.assertEqual(chat["prompt_eval_count"], self.ask(server, RED)["usage"]["prompt_tokens"])

    def test_its_memory_is_of_the_budget(self):
        def fixed(server):
            return server.get("/hypura/status")[1]["models"][0]["state"]["fixed_bytes"]

        with_projector = fixed(self.serve(*STREAMED))
        without = fixed(Server(self, support.MODEL, *STREAMED))
        self.assertGreater(with_projector - without, 0.9 * self.projector.stat().st_size)

    def test_what_is_no_projector(self):
        whole = self.projector.read_bytes()
        for data, words in ((whole[:-1000], "end"), (whole[:3000], ""), (b"", ""), (b"x" * 5000, ""),
                            (support.MODEL.read_bytes(), "no projector")):
            self.projector.write_bytes(data)
            with self.subTest(bytes=len(data)):
                outcome = support.hypura("serve", support.MODEL, "--mmproj", self.projector, *STREAMED)
                self.assertEqual(outcome.returncode, support.INVALID_MODEL, str(outcome))
                self.assertIn("projector", outcome.stderr)
                self.assertIn(words, outcome.stderr)

    def test_one_of_another_model(self):
        projector_file.write_projector(self.projector, WIDTH // 2)
        outcome = support.hypura("serve", support.MODEL, "--mmproj", self.projector, *STREAMED)
        self.assertEqual(outcome.returncode, support.INVALID_MODEL, str(outcome))
        self.assertIn(str(self.projector), outcome.stderr)

    def test_a_model_without_one_says_so(self):
        server = Server(self, support.MODEL, *STREAMED)
        for path, body in (
                ("/v1/chat/completions", {"messages": [{"role": "user", "content": [
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{RED}"}}]}]}),
                ("/api/chat", {"model": NAME, "messages": [
                    {"role": "user", "content": QUESTION, "images": [RED]}]})):
            status, _, text = server.ask("POST", path, body)
            self.assertIn(status, (400, 500), text)
            self.assertIn("image", json.dumps(json.loads(text)["error"]))


if __name__ == "__main__":
    unittest.main()
