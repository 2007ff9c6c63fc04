"""The programs that compare.py runs: their command lines, and how to read what they print."""

import json
import re
from dataclasses import dataclass, field

EVAL = re.compile(
    r"(?<!prompt )eval time\s*=\s*[\d.]+ ms\s*/\s*(\d+) runs\s*\(.*?([\d.]+) tokens per second")
PROMPT = re.compile(
    r"prompt eval time\s*=\s*[\d.]+ ms\s*/\s*(\d+) tokens\s*\(.*?([\d.]+) tokens per second")


@dataclass
class Sample:
    """What one run achieved. decode_tps None: it did not get there, and `failure` says why."""

    decode_tps: float | None = None
    prefill_tps: float | None = None
    tokens: int = 0
    text: str = ""
    failure: str | None = None
    peak_bytes: int | None = None
    details: dict = field(default_factory=dict)


class Hypura:
    name = "hypura"

    def __init__(self, options):
        self.options = options

    def command(self):
        o = self.options
        return [o.hypura, "run", o.model, "-p", o.prompt, "-n", str(o.n_hypura), "--temp", "0",
                "-t", str(o.threads), "-c", str(o.ctx), "-ub", str(o.ubatch), "--ignore-eos",
                "--ram-budget", str(o.budget_bytes or "auto"), "--json",
                *o.common_args.split(), *o.hypura_args.split()]

    def parse(self, out, _err):
        result = json.loads(out)
        keep = ("mode", "bytes_read", "bytes_read_per_token", "expert_hit_rate", "io_gbps",
                "io_roofline_gbps", "io_efficiency", "stall_seconds", "predicted_decode_tps",
                "bound_seconds", "rss_peak_bytes", "process_base_bytes", "token_ids", "numerics")
        return Sample(decode_tps=result["decode_tps"], prefill_tps=result["prefill_tps"],
                      tokens=result["tokens_generated"], text=result["text"],
                      details={key: result[key] for key in keep if key in result})


class Stock:
    """llama.cpp with the file mapped. Without --no-repack it copies the weights and is killed."""

    name = "llama.cpp"

    def __init__(self, options):
        self.options = options

    def command(self):
        o = self.options
        return [o.stock, "-m", o.model, "-p", o.prompt, "-n", str(o.n_stock), "--temp", "0",
                "-t", str(o.threads), "-c", str(o.ctx), "-ub", str(o.ubatch), "--ignore-eos",
                "-no-cnv", "--no-warmup", "--no-display-prompt",
                *([] if o.stock_repack else ["--no-repack"]),
                *o.common_args.split(), *o.stock_args.split()]

    def parse(self, out, err):
        decoded, prompt = EVAL.search(err), PROMPT.search(err)
        if decoded is None:
            raise ValueError("no 'eval time' line")
        return Sample(decode_tps=float(decoded[2]), tokens=int(decoded[1]) + 1, text=out,
                      prefill_tps=float(prompt[2]) if prompt else None)


def self_test():
    err = ("0.1 I common_perf_print: prompt eval time =  9378.40 ms /  6 tokens "
           "( 1563.07 ms per token,     0.64 tokens per second)\n"
           "0.1 I common_perf_print:        eval time = 42233.73 ms / 23 runs   "
           "( 1836.25 ms per token,     0.54 tokens per second)\n")
    sample = Stock(None).parse("the text", err)
    assert (sample.decode_tps, sample.prefill_tps, sample.tokens) == (0.54, 0.64, 24), sample
    out = json.dumps({"decode_tps": 5.0, "prefill_tps": 9.0, "tokens_generated": 2, "text": "ab",
                      "bytes_read": 7})
    sample = Hypura(None).parse(out, "")
    assert sample.decode_tps == 5.0 and sample.details == {"bytes_read": 7}
