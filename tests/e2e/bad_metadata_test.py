"""A well-formed file whose metadata says absurd things is refused, or its word is not taken."""

import struct
import unittest

import support

INTACT = support.MODEL.read_bytes()
HUGE = 2**32 - 1
# What no model can run with.
REFUSED = {
    "block_count": [0, 1, 5, 7, 65535, HUGE],
    "embedding_length": [0, 1, 511, HUGE],
    "attention.head_count": [0, 7, HUGE],
    "attention.head_count_kv": [0, 3, HUGE],
    "attention.key_length": [0, 63, HUGE],
    "attention.value_length": [0, 63, HUGE],
    "rope.dimension_count": [0, 3, 63, 128, HUGE],
    "expert_count": [0, 1, 3, 15, 17, HUGE],
    "expert_used_count": [0, 17, 65535, HUGE],
    "expert_feed_forward_length": [255, HUGE],
}
# What some file may say and the run gets along with: done, or refused cleanly.
TOLERATED = {"context_length": [0, 1, HUGE], "vocab_size": [0, 1, HUGE], "feed_forward_length": [0, HUGE],
             "expert_feed_forward_length": [0]}
FIGURES = {"attention.layer_norm_rms_epsilon": [0.0, -1.0, float("nan"), float("inf")],
           "rope.freq_base": [0.0, -1.0, float("nan"), float("inf")]}
OTHER_ARCHITECTURES = ["llama", "mamba", "bert", "t5", "clip", "gemma3n", "deepseek2", "rwkv7",
                       "gpt-oss", "qwen35moe", "nonsense", ""]
TOKENIZERS = ["llama", "bert", "t5", "rwkv", "plamo2", "no_vocab", "nonsense"]


class BadMetadata(support.TestCase):
    def run_changed(self, change, budget):
        changed = support.Gguf(INTACT)
        change(changed)
        path = self.file("changed.gguf", changed.encoded())
        return support.hypura("run", path, "-p", support.PROMPT, "-n", 3, "--temp", 0, "-t", 1,
                              "--ram-budget", budget)

    def assert_refused(self, what, change):
        for budget in ("min", "1G"):
            with self.subTest(what=what, budget=budget):
                outcome = self.run_changed(change, budget)
                self.assert_error(outcome, support.INVALID_MODEL)
                self.assertNotIn("/src/", outcome.stderr, "a user is told about source files")

    def assert_survived(self, what, change):
        for budget in ("min", "1G"):
            with self.subTest(what=what, budget=budget):
                outcome = self.run_changed(change, budget)
                if outcome.returncode != support.DONE:
                    self.assert_error(outcome, support.INVALID_MODEL)

    def test_the_file_survives_being_rewritten(self):
        self.assertEqual(support.Gguf(INTACT).encoded(), INTACT)

    def test_impossible_numbers(self):
        for key, values in REFUSED.items():
            for value in values:
                self.assert_refused((key, value), lambda g: g.change(f"qwen3moe.{key}", value))

    def test_doubtful_numbers(self):
        for key, values in {**TOLERATED, **FIGURES}.items():
            for value in values:
                self.assert_survived((key, value), lambda g: g.change(f"qwen3moe.{key}", value))

    def test_special_tokens_beyond_the_vocabulary(self):
        for key in ("bos_token_id", "eos_token_id", "padding_token_id"):
            for value in (8192, HUGE):
                self.assert_survived((key, value), lambda g: g.change(f"tokenizer.ggml.{key}", value))

    def test_no_vocabulary(self):
        for key in ("tokens", "token_type", "merges"):
            self.assert_survived(key, lambda g: g.empty_array(f"tokenizer.ggml.{key}"))
        self.assert_refused("tokens", lambda g: g.empty_array("tokenizer.ggml.tokens"))
        self.assert_refused("model", lambda g: g.metadata.pop("tokenizer.ggml.model"))

    def test_missing_keys(self):
        for key in ("general.architecture", "qwen3moe.block_count", "qwen3moe.embedding_length",
                    "qwen3moe.attention.head_count", "qwen3moe.expert_used_count"):
            self.assert_refused(key, lambda g: g.metadata.pop(key))

    def test_another_architecture(self):
        for name in OTHER_ARCHITECTURES:
            self.assert_refused(name, lambda g: rename_architecture(g, name))

    def test_another_tokenizer(self):
        for name in TOKENIZERS:
            self.assert_survived(name, lambda g: g.set_string("tokenizer.ggml.model", name))

    def test_another_type_of_value(self):
        key = "qwen3moe.block_count"
        self.assert_refused("string", lambda g: g.set_string(key, "6"))
        self.assert_refused("float", lambda g: g.set(key, support.FLOAT32, 6.0))
        self.assert_refused("array", lambda g: g.metadata.update(
            {key: (support.ARRAY, struct.pack("<IQ", support.UINT32, 0))}))


def rename_architecture(gguf, name):
    gguf.set_string("general.architecture", name)
    gguf.metadata = {key.replace("qwen3moe.", f"{name}.", 1): value for key, value in gguf.metadata.items()}


if __name__ == "__main__":
    unittest.main()
