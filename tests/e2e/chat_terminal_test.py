"""`run -i` on a terminal: editing, history, completion, commands, and what Ctrl-C and Ctrl-D end."""

import ctypes.util
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

import support

CTRL_A, CTRL_C, CTRL_D, TAB, UP = "\x01", "\x03", "\x04", "\t", "\x1b[A"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")
EDITS = ctypes.util.find_library("edit") is not None


class Terminal:
    """hypura on a terminal of its own; stdout goes there too."""

    def __init__(self, case, *words):
        self.case, self.seen = case, ""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 500, 0, 0))
        environment = {**os.environ, "TERM": "xterm", "XDG_STATE_HOME": str(case.folder / "state")}
        self.process = subprocess.Popen(
            support.command("run", support.MODEL, "-i", "--temp", 0, "-t", 1, *words), stdin=slave,
            stdout=slave, stderr=slave, env=environment, cwd=case.folder, close_fds=True,
            preexec_fn=self.own_terminal)
        os.close(slave)
        self.master = master
        case.addCleanup(os.close, master)
        case.addCleanup(self.process.wait)
        case.addCleanup(self.process.kill)

    @staticmethod
    def own_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def type(self, text):
        os.write(self.master, text.encode())

    def until(self, pattern):
        """What is seen up to and with `pattern`; later calls look behind it."""
        deadline = time.monotonic() + support.HANG_SECONDS
        while (found := re.search(pattern, self.seen)) is None:
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.master], [], [], left)[0]
            try:
                piece = os.read(self.master, 65536) if ready else b""
            except OSError:  # how Linux tells the end of a terminal
                piece = b""
            self.case.assertTrue(piece, f"no {pattern!r} in {self.seen[-1500:]!r}")
            self.seen += ESCAPES.sub("", piece.decode("utf-8", "replace"))
        before = self.seen[:found.end()]
        self.seen = self.seen[found.end():]
        return before

    def until_prompt(self, prompt="> "):
        """As until(); and what is typed now is read where it is edited."""
        before = self.until(r"(^|\n|\^C)" + re.escape(prompt))
        deadline = time.monotonic() + support.HANG_SECONDS
        while EDITS and termios.tcgetattr(self.master)[3] & termios.ICANON:
            self.case.assertLess(time.monotonic(), deadline, "the terminal does not become raw")
            time.sleep(0.002)
        return before.removesuffix(prompt)

    def say(self, line):
        """What comes behind the typed line and before the next prompt."""
        self.type(line + "\n")
        self.until(re.escape(line) + r"\n")
        return self.until_prompt()

    def code(self):
        return self.process.wait(support.HANG_SECONDS)


class TerminalTest(support.TestCase):
    def terminal(self, *words):
        terminal = Terminal(self, *words)
        terminal.until(r"/help says what can be typed here\n")
        terminal.until_prompt()
        return terminal


class ChatTerminal(TerminalTest):
    def test_answers_and_the_end_of_input(self):
        terminal = self.terminal("-n", 8)
        expected = support.greedy("-t", 1, "--mode", "resident", "--exact", count=8)["text"]
        self.assertIn(expected, terminal.say("Once upon a time"))
        self.assertIn("8 tokens at ", terminal.say("/stats"))
        terminal.type(CTRL_D)
        self.assertEqual(terminal.code(), support.DONE)

    def test_ctrl_c_ends_an_answer_and_not_the_chat(self):
        terminal = self.terminal("--ignore-eos", "--context-shift")
        terminal.type("Once upon a time\n")
        terminal.until("there was a king")
        terminal.type(CTRL_C)
        terminal.until_prompt()
        self.assertIn("num_predict     4\n", terminal.say("/set parameter num_predict 4")
                      + terminal.say("/set"))
        self.assertGreater(len(terminal.say("and then").strip()), 0)
        self.assertIn("4 tokens at ", terminal.say("/stats"))
        terminal.type("/quit\n")
        self.assertEqual(terminal.code(), support.DONE)

    def test_ctrl_c_as_an_answer_ends_leaves_the_next_one_whole(self):
        terminal = self.terminal("-n", 3)
        for _ in range(4):
            terminal.type("Once upon a time\n")
            terminal.until("there was a")
            # Behind the end of a line there is a prompt, whether or not the Ctrl-C came to one.
            terminal.type(CTRL_C)
            terminal.type("\n")
            terminal.until_prompt()
            terminal.say("/clear")
        terminal.say("Once upon a time")
        self.assertIn("3 tokens at ", terminal.say("/stats"))
        terminal.type("/quit\n")
        self.assertEqual(terminal.code(), support.DONE)

    def test_commands(self):
        terminal = self.terminal("-n", 6)
        self.assertIn("/retry", terminal.say("/help"))
        self.assertIn("did you mean /help?", terminal.say("/hlep"))
        first = terminal.say("Once upon a time")
        self.assertEqual(terminal.say("/retry"), first)
        second = terminal.say("and then")
        self.assertIn("saved 4 messages in chat.json", terminal.say("/save chat.json"))
        roles = [m["role"] for m in json.loads((self.folder / "chat.json").read_text())["messages"]]
        self.assertEqual(roles, ["user", "assistant"] * 2)
        terminal.say("/clear")
        self.assertEqual(terminal.say("Once upon a time"), first)
        self.assertRegex(terminal.say("/load chat.json"), r"loaded 4 messages and \d+ tokens")
        self.assertEqual(terminal.say("/retry"), second)
        self.assertIn("cannot read", terminal.say("/load none.json"))
        self.assertIn("weights", terminal.say("/show"))
        self.assertIn("6 tokens at ", terminal.say("/set verbose on") + terminal.say("Once"))
        terminal.type("/bye\n")
        self.assertEqual(terminal.code(), support.DONE)

    def test_lines_that_belong_together(self):
        terminal = self.terminal("-n", 2)
        terminal.type('"""Once upon\n')
        terminal.until_prompt("... ")
        terminal.type('a time"""\n')
        terminal.until_prompt()
        terminal.type("/save chat.json\n")
        terminal.until("saved 2 messages")
        messages = json.loads((self.folder / "chat.json").read_text())["messages"]
        self.assertEqual(messages[0]["content"], "Once upon\na time")
        terminal.type("/quit\n")
        self.assertEqual(terminal.code(), support.DONE)

    def test_sigterm_ends_the_chat(self):
        terminal = self.terminal()
        terminal.process.send_signal(signal.SIGTERM)
        self.assertIn(terminal.code(), (support.DONE, support.INTERRUPTED))


@unittest.skipUnless(EDITS, "libedit is not installed")
class Editing(TerminalTest):
    def test_ctrl_c_at_the_prompt(self):
        terminal = self.terminal("-n", 2)
        terminal.type("half a line" + CTRL_C)
        terminal.until(r"Ctrl-C again or /quit ends the chat\n")
        terminal.until_prompt()
        self.assertNotIn("half", terminal.say("Once upon a time"))
        terminal.type(CTRL_C)
        terminal.until(r"Ctrl-C again or /quit ends the chat\n")
        terminal.until_prompt()
        terminal.type(CTRL_C)
        self.assertEqual(terminal.code(), support.DONE)

    def test_a_line_is_edited_and_comes_again(self):
        terminal = self.terminal("-n", 2)
        terminal.type("show" + CTRL_A + "/\n")
        terminal.until("mode ")
        terminal.until_prompt()
        terminal.type(UP + "\n")
        terminal.until("mode ")
        terminal.until_prompt()
        terminal.type("größe 大\x7f\x7f\n")
        terminal.until_prompt()
        terminal.type("/save chat.json\n")
        terminal.until("saved 2 messages")
        messages = json.loads((self.folder / "chat.json").read_text())["messages"]
        self.assertEqual(messages[0]["content"], "größe")
        terminal.type("/quit\n")
        self.assertEqual(terminal.code(), support.DONE)
        history = self.folder / "state" / "hypura" / "history"
        self.assertIn("/show", history.read_text())
        self.assertEqual(history.stat().st_mode & 0o077, 0)
        again = self.terminal("-n", 2)
        again.type(UP + UP + UP + UP + "\n")  # what was typed in the chat before
        again.until("mode ")
        again.until_prompt()
        again.type(CTRL_D)
        self.assertEqual(again.code(), support.DONE)

    def test_tab_completes(self):
        terminal = self.terminal("-n", 2)
        terminal.type("/set para" + TAB + "temp" + TAB + "0.5\n")
        terminal.until_prompt()
        self.assertIn("temperature     0.5\n", terminal.say("/set"))
        self.file("my chat.json", b"{}")
        terminal.type("/load my" + TAB + "\n")
        terminal.until("error: my chat.json holds no chat")
        terminal.until_prompt()
        terminal.type("/quit\n")
        self.assertEqual(terminal.code(), support.DONE)


if __name__ == "__main__":
    unittest.main()
