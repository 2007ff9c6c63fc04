"""`run --json` prints one object with the keys that others build on."""

import unittest

import support

NUMBER = (int, float)
KEYS = {
    "schema": int, "token_ids": list, "text": str, "prompt_tokens": int, "tokens_generated": int,
    "load_seconds": NUMBER, "ttft_seconds": NUMBER, "prefill_tps": NUMBER, "decode_tps": NUMBER,
    "mode": str, "bytes_read": int, "bytes_read_per_token": NUMBER, "stall_seconds": NUMBER,
    "io_gbps": NUMBER, "decode": dict, "rss_peak_bytes": int, "process_base_bytes": int, "budgets": dict,
    "numerics": dict,
}
NULLABLE = ["expert_hit_rate", "io_roofline_gbps", "io_efficiency", "bound_seconds",
            "predicted_decode_tps"]
NUMERICS = {"threads": int, "threads_batch": int, "batch": int, "micro_batch": int, "context": int,
            "flash_attention": bool, "type_k": str, "type_v": str, "repack": bool,
            "gpu_weight_bytes": int}


class Json(support.TestCase):
    def test_keys_and_types(self):
        for words in (["--ram-budget", "min"], ["--mode", "resident", "--exact"], []):
            with self.subTest(words=words):
                answer = support.greedy("-t", 1, *words, count=8)
                for key, kind in KEYS.items():
                    self.assertIsInstance(answer[key], kind, key)
                    if kind in (int, NUMBER):
                        self.assertGreaterEqual(answer[key], 0, key)
                for key in NULLABLE:
                    self.assertIsInstance(answer[key], (int, float, type(None)), key)
                self.assertIs(type(answer["budgets"]["repacked_bytes"]), int)
                self.assertIsNone(answer["gpu"], "there is none")
                for key, kind in NUMERICS.items():
                    self.assertIs(type(answer["numerics"][key]), kind, key)

    def test_figures_agree_with_each_other(self):
        answer = support.greedy("-t", 1, "--ram-budget", "min", count=8)
        self.assertEqual(answer["schema"], 1)
        self.assertEqual(answer["tokens_generated"], len(answer["token_ids"]))
        self.assertEqual(answer["tokens_generated"], 8)
        self.assertEqual(answer["prompt_tokens"], 5)
        self.assertGreater(answer["bytes_read"], 0)
        decode = answer["decode"]
        self.assertEqual(decode["steps"], 7)
        self.assertTrue(0 < decode["bytes_read"] < answer["bytes_read"])
        self.assertTrue(0 < decode["stall_seconds"] < answer["stall_seconds"])
        self.assertAlmostEqual(decode["steps"] / decode["seconds"], answer["decode_tps"])
        self.assertTrue(0 <= decode["expert_hit_rate"] <= 1)
        self.assertTrue(0 <= answer["expert_hit_rate"] <= 1)
        self.assertFalse(answer["numerics"]["repack"])
        self.assertEqual(answer["numerics"]["threads"], 1)

    def test_a_resident_model_reads_nothing_and_has_no_hit_rate(self):
        answer = support.greedy("-t", 1, "--mode", "resident", "--exact", count=4)
        self.assertEqual(answer["mode"], "resident")
        self.assertEqual(answer["bytes_read"], 0)
        self.assertIsNone(answer["expert_hit_rate"])

    def test_repacking_is_reported(self):
        self.assertTrue(support.greedy("-t", 1, count=1)["numerics"]["repack"])

    def test_stdout_is_one_object_and_stderr_is_silent(self):
        outcome = support.hypura("run", support.MODEL, "-p", support.PROMPT, "-n", 4, "--json",
                                 "--ram-budget", "min")
        self.assertEqual(outcome.json()["tokens_generated"], 4)
        self.assertEqual(outcome.stderr, "")

    def test_inspect(self):
        outcome = support.hypura("inspect", support.MODEL, "--json")
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertEqual(outcome.json()["expert_count"], 16)


if __name__ == "__main__":
    unittest.main()
