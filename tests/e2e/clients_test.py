"""The clients that people have, npm's and PyPI's `ollama` and `openai`, against a running server."""

import os
import shutil
import subprocess
import sys
import unittest

import support
from chat_test import smollm2
from server_support import Server

CLIENTS = support.REPO / "tests" / "clients"
TEMPLATE = os.path.join(os.environ["HYPURA_TEMPLATES"], "Qwen-Qwen2.5-7B-Instruct.jinja")
NODE = 20
SKIPPED = 77  # what tools/fetch_clients.sh exits with where a registry is out of reach


def fetch():
    fetched = subprocess.run([support.REPO / "tools" / "fetch_clients.sh"], capture_output=True, text=True)
    if fetched.returncode == SKIPPED:
        raise unittest.SkipTest(fetched.stderr.strip())
    fetched.check_returncode()
    return fetched.stdout.strip()


class Clients(support.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.packages = fetch()
        cls.chat_model = smollm2()

    def drive(self, *command, **environment):
        models = self.folder / "models"
        models.mkdir()
        os.symlink(self.chat_model, models / "smol.gguf")
        shutil.copy(support.MODEL, self.folder / "pulled.gguf")
        # SmolLM2's own template knows of no functions.
        server = Server(self, support.MODEL, "--ctx", 512, "-t", 1, "--chat-template-file", TEMPLATE,
                        environment={"HYPURA_MODELS": str(models)})
        outcome = subprocess.run(
            [*command, server.url(), support.MODEL.stem, "smol", self.folder / "pulled.gguf"],
            env=dict(os.environ, **environment), capture_output=True, text=True,
            timeout=support.HANG_SECONDS)
        self.assertEqual(outcome.returncode, 0, f"{outcome.stdout}{outcome.stderr}\n{server.log()}")
        return outcome.stdout

    def test_python(self):
        said = self.drive(sys.executable, CLIENTS / "python_clients.py",
                          PYTHONPATH=f"{self.packages}/python")
        self.assertEqual(said.count("passed"), 7, said)

    def test_npm(self):
        version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
        if int(version.lstrip("v").split(".")[0]) < NODE:
            raise unittest.SkipTest(f"skipped: npm's openai wants node {NODE}, this is {version.strip()}")
        said = self.drive("node", CLIENTS / "npm_clients.mjs", self.packages)
        self.assertEqual(said.count("passed"), 2, said)


if __name__ == "__main__":
    unittest.main()
