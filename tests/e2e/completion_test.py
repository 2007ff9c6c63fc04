"""`hypura completion` and `hypura man`: what --help lists, shells complete and man pages tell."""

import os
import re
import shutil
import subprocess
import unittest

import support

OPTION = re.compile(r"^ {0,6}(-[^ ].*)$")
NAME = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")


def help_of(*words):
    outcome = support.hypura(*words, "--help")
    assert outcome.returncode == support.DONE, str(outcome)
    return outcome.stdout


def command_names():
    return sorted(set(re.findall(r"^  hypura ([a-z]+)", help_of(), re.MULTILINE)))


def options_of(command):
    """The options at the starts of help's lines: all before the two spaces that part the text."""
    names = []
    for line in help_of(command).splitlines():
        if option := OPTION.match(line):
            names += NAME.findall(re.split(r" {2,}", option[1])[0])
    return names


def as_seen(printed):
    """Without the letters that are printed over each other to make them bold."""
    return re.sub(".\b", "", printed)


def shell_or_skip(name):
    if shutil.which(name) is None:
        raise unittest.SkipTest(f"{name} is not installed")
    return name


class Completion(support.TestCase):
    def setUp(self):
        super().setUp()
        self.here = self.folder / "here"
        self.here.mkdir()
        path = self.folder / "bin"
        path.mkdir()
        (path / "hypura").symlink_to(support.BINARY)
        self.env = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "HOME": str(self.folder),
                    "XDG_CONFIG_HOME": str(self.folder), "HYPURA_MODELS": str(self.folder / "models")}

    def pull(self, name):
        outcome = support.hypura("pull", support.MODEL, "--name", name, env=self.env)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))

    def script(self, shell):
        outcome = support.hypura("completion", shell)
        self.assertEqual(outcome.returncode, support.DONE, str(outcome))
        self.assertEqual(outcome.stderr, "")
        return self.file(f"completion.{shell}", outcome.stdout.encode())

    def run_shell(self, *words, script):
        done = subprocess.run(words, input=script, capture_output=True, text=True, cwd=self.here,
                              env=self.env, timeout=support.HANG_SECONDS)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout.splitlines()

    def bash(self, *words):
        """What bash's function offers for the last of `words` behind `hypura`."""
        typed = " ".join("'" + word + "'" for word in ("hypura", *words))
        return self.run_shell(
            shell_or_skip("bash"), "--noprofile", "--norc", script=f"""
            source {self.script("bash")}
            complete -p hypura | grep -q -- '-F _hypura' || exit 9
            COMP_WORDS=({typed}) COMP_CWORD={len(words)}
            _hypura hypura '{words[-1]}' ''
            [[ ${{#COMPREPLY[@]}} == 0 ]] || printf '%s\\n' "${{COMPREPLY[@]}}"
            """)

    def test_bash_knows_every_command(self):
        self.assertLessEqual(set(command_names()), set(self.bash("")))
        self.assertEqual(self.bash("ins"), ["inspect"])
        self.assertIn("--version", self.bash("--"))

    def test_bash_knows_every_option(self):
        for command in command_names():
            with self.subTest(command=command):
                options = options_of(command)
                self.assertIn("--help", options)
                self.assertLessEqual(set(options), set(self.bash(command, "-")))

    def test_bash_knows_values(self):
        self.assertEqual(set(self.bash("run", "--mode", "")),
                         {"auto", "resident", "experts", "dense"})
        self.assertEqual(self.bash("run", "--mode", "re"), ["resident"])
        self.assertEqual(self.bash("run", "--mode", "=", "re"), ["resident"])
        self.assertIn("auto", self.bash("run", "--mode", "="))
        self.assertEqual(set(self.bash("run", "-fa", "o")), {"on", "off"})
        self.assertEqual(self.bash("run", "-n", ""), [])
        self.assertEqual(set(self.bash("completion", "")), {"bash", "zsh", "fish"})
        self.assertLessEqual(set(command_names()), set(self.bash("man", "")))

    def test_bash_knows_files(self):
        for name in ("a model.gguf", "b.gguf", "b.txt"):
            (self.here / name).touch()
        (self.here / "beneath").mkdir()
        self.assertEqual(set(self.bash("run", "")), {"a model.gguf", "b.gguf", "beneath"})
        self.assertEqual(set(self.bash("run", "-f", "b")), {"b.gguf", "b.txt", "beneath"})
        self.assertEqual(set(self.bash("run", "--draft", "")),
                         {"a model.gguf", "b.gguf", "beneath", "lookup"})
        self.assertEqual(self.bash("man", "--dir", ""), ["beneath"])

    def test_bash_knows_models_by_name(self):
        self.pull("tale:small")
        self.pull("tale:large")
        self.assertEqual(set(self.bash("run", "ta")), {"tale:small", "tale:large"})
        # As bash takes a colon apart.
        self.assertEqual(set(self.bash("run", "tale", ":")), {"small", "large"})
        self.assertEqual(self.bash("run", "tale", ":", "sm"), ["small"])
        self.assertEqual(self.bash("run", "--draft", "tale", ":", "la"), ["large"])

    def test_zsh(self):
        shell_or_skip("zsh")
        script = self.script("zsh")
        self.run_shell("zsh", "-f", "-n", str(script), script="")
        # compinit needs a terminal only to ask about folders, which -u does not.
        loaded = self.run_shell("zsh", "-f", script=f"""
            autoload -Uz compinit && compinit -u -D
            source {script}
            print ${{_comps[hypura]}}
            """)
        self.assertEqual(loaded, ["_hypura"])
        text = script.read_text()
        for command in command_names():
            for option in options_of(command):
                self.assertRegex(text, rf"[*{{,]{re.escape(option)}[\[,}}]")

    def test_zsh_on_a_terminal(self):
        shell_or_skip("zsh")
        (self.here / "b.gguf").touch()
        (self.here / "b.txt").touch()
        self.pull("tale:small")
        for typed, completed in (("insp", "inspect"), ("run b", "run b.gguf"),
                                 ("show ta", "show tale:small"),
                                 ("run --mode re", "run --mode resident"),
                                 ("run --kv-ty", "run --kv-type"),
                                 ("completion fi", "completion fish")):
            with self.subTest(typed=typed):
                self.assertEqual(self.typed_in_zsh(typed), f"hypura {completed}")

    def typed_in_zsh(self, typed):
        """The command line once Tab was pressed behind `hypura typed`, in a zsh of zpty."""
        lines = self.run_shell("zsh", "-f", script=f"""
            zmodload zsh/zpty
            zpty shell 'exec zsh -f -i'
            zpty -w shell 'PS1= TERM=dumb; unsetopt prompt_sp
              autoload -Uz compinit; compinit -u -D
              source {self.script("zsh")}
              show() {{ print -r -- "<<$BUFFER>>" > {self.folder}/line; zle send-break }}
              complete-and-show() {{ zle expand-or-complete; show }}
              zle -N complete-and-show; bindkey "^X" complete-and-show
              print ready > {self.folder}/ready'
            repeat 2000 {{ [[ -s {self.folder}/ready ]] && break; sleep 0.05 }}
            zpty -w -n shell $'hypura {typed}\\x18'
            repeat 2000 {{ [[ -s {self.folder}/line ]] && break; sleep 0.05 }}
            cat {self.folder}/line
            rm -f {self.folder}/line {self.folder}/ready
            zpty -d shell
            """)
        return lines[0].removeprefix("<<").removesuffix(">>").strip()

    def fish(self, typed, script):
        offered = self.run_shell("fish", "--private",
                                 script=f"source {script}; complete -C 'hypura {typed}'")
        return [line.split("\t")[0] for line in offered]

    def test_fish(self):
        shell_or_skip("fish")
        script = self.script("fish")
        self.run_shell("fish", "--no-execute", str(script), script="")
        self.assertLessEqual(set(command_names()), set(self.fish("", script)))
        self.assertEqual(self.fish("run --mode re", script), ["resident"])
        self.assertEqual(set(self.fish("completion ", script)), {"bash", "zsh", "fish"})
        (self.here / "b.gguf").touch()
        self.assertIn("b.gguf", self.fish("run ", script))
        self.pull("tale:small")
        self.assertEqual(self.fish("run ta", script), ["tale:small"])
        self.assertNotIn("b.gguf", self.fish("run -n ", script))
        for command in command_names():
            offered = self.fish(f"{command} -", script) + self.fish(f"{command} --", script)
            self.assertLessEqual(set(options_of(command)), set(offered), command)

    def test_another_shell(self):
        self.assert_error(support.hypura("completion", "tcsh"), support.USAGE)
        self.assert_error(support.hypura("completion"), support.USAGE)


class Man(support.TestCase):
    def pages(self):
        folder = self.folder / "man"
        outcome = support.hypura("man", "--dir", folder)
        self.assertEqual((outcome.returncode, outcome.stdout), (support.DONE, ""), str(outcome))
        return {page.name: page for page in folder.iterdir()}

    def test_a_page_a_command(self):
        pages = self.pages()
        names = command_names()
        self.assertEqual(set(pages), {"hypura.1", *(f"hypura-{name}.1" for name in names)})
        for name in names:
            page = pages[f"hypura-{name}.1"].read_text()
            self.assertEqual(support.hypura("man", name).stdout, page)
            self.assertIn(f"hypura\\-{name}", pages["hypura.1"].read_text())
        self.assertEqual(support.hypura("man").stdout, pages["hypura.1"].read_text())

    def test_every_option_is_told(self):
        pages = self.pages()
        for name in command_names():
            text = pages[f"hypura-{name}.1"].read_text().replace("\\-", "-")
            for option in options_of(name):
                self.assertIn(f"\\fB{option}\\fR", text, name)

    def test_groff_formats_all_without_a_warning(self):
        groff = shell_or_skip("groff")
        for name, page in self.pages().items():
            done = subprocess.run([groff, "-k", "-man", "-Tutf8", "-ww", "-P-c", page],
                                  capture_output=True, text=True, timeout=support.HANG_SECONDS)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
            text = as_seen(done.stdout)
            self.assertIn(f"NAME\n       {name.removesuffix('.1')} - ", text)
            if name != "hypura.1":
                for option in options_of(name.removeprefix("hypura-").removesuffix(".1")):
                    self.assertTrue(re.search(rf"^ .*{option}\b", text, re.MULTILINE), option)

    def test_man_shows_all_without_a_warning(self):
        man = shell_or_skip("man")
        for name, page in self.pages().items():
            done = subprocess.run([man, "--warnings", "-l", page], capture_output=True, text=True,
                                  timeout=support.HANG_SECONDS,
                                  env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
            self.assertTrue("SEE ALSO" in as_seen(done.stdout), name)

    def test_no_such_page(self):
        outcome = support.hypura("man", "rnu")
        self.assert_error(outcome, support.USAGE)
        self.assertIn("did you mean run?", outcome.stderr)
        self.assert_error(support.hypura("man", "run", "--dir", self.folder), support.USAGE)
        self.assert_error(support.hypura("man", "--dir", self.file("file", b"")), support.FAILED)


if __name__ == "__main__":
    unittest.main()
