"""The dashboard in headless Chromium: what is shown, answered and typed, and a server that is gone.

Skipped where Chromium or its driver is missing, unless HYPURA_TEST_ALL=1. Pictures go to the folder
HYPURA_SCREENSHOTS.
"""

import json
import os
import struct
import tempfile
import unittest
import zlib
from pathlib import Path
from urllib.parse import urlsplit

import browser
import dashboard_mock
import support
from server_support import Server

ALL = os.environ.get("HYPURA_TEST_ALL") == "1"
MISSING = browser.missing()
DESKTOP, PHONE = (1280, 860), (360, 740)


def has_pictures(png):
    """Whether a PNG has more than a few colours: something was drawn."""
    at, data = 8, b""
    while at < len(png):
        (length,), kind = struct.unpack_from(">I", png, at), png[at + 4:at + 8]
        if kind == b"IDAT":
            data += png[at + 8:at + 8 + length]
        at += length + 12
    return len(set(zlib.decompress(data))) > 32


class Checks:
    """What holds for any server. A subclass gives `server`: url, stop(), start() at the same address;
    and `question`, for an answer of more than 20 tokens at a speed that a test can follow."""

    question = "What is larger than memory?"

    @classmethod
    def setUpClass(cls):
        if MISSING and not ALL:
            raise unittest.SkipTest(f"skipped: {MISSING} is missing (Debian: chromium-driver)")
        cls.browser = browser.Browser()
        cls.addClassCleanup(cls.browser.close)

    def open(self, server=None):
        self.page = self.browser
        self.page.size(*DESKTOP)
        self.page.prefer("light")
        self.page.open((server or self.server).url)
        self.page.run("localStorage.clear(); sessionStorage.clear();")
        self.page.open((server or self.server).url)

    def open_connected(self):
        self.open()
        self.page.wait_text("#connection-text", "up ")

    def ask(self, text):
        self.page.type("#question", text + browser.ENTER)

    def wait_answered(self, count=1):
        self.page.wait("return document.querySelectorAll('.message.assistant').length === arguments[0]"
                       " && document.querySelector('#stop').hidden", count)

    def answers(self):
        return self.page.run("return [...document.querySelectorAll('.message.assistant > .text')]"
                             ".map((each) => each.textContent)")

    def meta(self):
        return self.page.text(".message:last-child .meta")

    def focused(self):
        return self.page.run("return document.activeElement.id")

    def colour(self):
        return self.page.run("return getComputedStyle(document.body).backgroundColor")

    def keep_screenshot(self, name):
        folder = Path(os.environ.get("HYPURA_SCREENSHOTS") or tempfile.gettempdir())
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"dashboard-{name}.png"
        self.page.screenshot(path)
        self.assertTrue(has_pictures(path.read_bytes()), path)

    # -- what any server answers

    def test_a_question_is_answered(self):
        self.open_connected()
        self.ask(self.question)
        self.wait_answered()
        self.assertGreater(len(self.answers()[0]), 20)
        self.assertRegex(self.meta(), r"\d+ tokens · [\d.]+ tokens/s · first token after [\d.]+ s")
        self.assertEqual(self.page.run("return document.querySelector('#question').value"), "")

    def test_a_status_is_shown_and_moves(self):
        self.open_connected()
        self.ask(self.question)
        self.page.wait_text("#memory-unit", "B")
        self.page.wait("return document.querySelector('#drive').textContent !== '–'")
        self.page.wait("return document.querySelector('#speed').textContent !== '–'")
        self.assertRegex(self.page.text("#speed"), r"^[\d.]+$")
        self.assertRegex(self.page.text("#requests-note"), r"\d+ queued, [\d,]+ served")
        self.assertGreater(self.page.run("return document.querySelectorAll('#why li').length"), 0)
        self.assertIn("threads", self.page.text("#facts"))
        self.assertIn("ready", self.page.text("#models"))
        before = self.page.text("#connection-text") + self.page.text("#models")
        self.page.wait("return document.querySelector('#connection-text').innerText"
                       " + document.querySelector('#models').innerText !== arguments[0]", before,
                       seconds=90)

    def test_layers_can_be_walked_with_keys(self):
        self.open_connected()
        count = self.page.wait("return document.querySelectorAll('.column').length")
        self.page.run("document.querySelector('.column').focus()")
        first = self.page.text("#layer-detail")
        self.assertRegex(first, r"B")
        self.page.press(browser.RIGHT)
        self.assertRegex(self.page.text("#layer-detail"), r"^Layer \d+: .*B")
        self.assertNotEqual(self.page.text("#layer-detail"), first)
        labels = self.page.run("return [...document.querySelectorAll('.column')]"
                               ".map((each) => each.getAttribute('aria-label'))")
        self.assertEqual(len(set(labels)), count)
        # One stop of the Tab key for all of them.
        self.assertEqual(self.page.run("return document.querySelectorAll('.column[tabindex=\"0\"]')"
                                       ".length"), 1)
        heights = self.page.run("return [...document.querySelectorAll('.column')].map((each) =>"
                                " [...each.children].reduce((sum, part) => sum +"
                                " part.getBoundingClientRect().height, 0))")
        self.assertGreater(max(heights), 50)

    def test_plots_are_drawn(self):
        self.open_connected()
        self.page.wait("return document.querySelectorAll('.plot canvas').length === 2")
        for plot in ("#speed-plot", "#drive-plot"):
            drawn = self.page.wait(
                "const canvas = document.querySelector(arguments[0] + ' canvas');"
                "const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);"
                "return data.some((value) => value > 0)", plot)
            self.assertTrue(drawn, plot)

    def test_keys(self):
        self.open_connected()
        self.page.run("document.activeElement.blur()")
        self.page.press("/")
        self.assertEqual(self.focused(), "question")
        self.page.press("a", browser.SHIFT, browser.ENTER, "/")
        self.assertEqual(self.page.run("return document.querySelector('#question').value"), "a\n/")
        self.assertEqual(self.page.run("return document.querySelectorAll('.message').length"), 0)
        outline = self.page.run("return getComputedStyle(document.activeElement).outlineStyle")
        self.assertEqual(outline, "solid")
        self.page.run("document.querySelector('#question').value = ' '")
        self.page.press(browser.ENTER)  # nothing to send
        self.assertEqual(self.page.run("return document.querySelectorAll('.message').length"), 0)
        reached = set()
        self.page.run("document.activeElement.blur()")
        for _ in range(12):
            self.page.press(browser.TAB)
            reached.add(self.focused())
        for name in ("model", "theme", "log", "question", "send"):
            self.assertIn(name, reached)

    def test_escape_stops(self):
        self.open_connected()
        self.ask(self.question)
        self.page.wait("return document.querySelector('.message.assistant > .text')?.textContent.length > 3")
        self.page.press(browser.ESCAPE)
        self.wait_answered()
        self.assertIn("stopped", self.meta())
        before = self.answers()
        self.assertGreater(len(before[0]), 3)
        self.page.wait("return document.querySelector('#send').checkVisibility()")
        self.ask(self.question)  # the next one is answered
        self.page.wait("return [...document.querySelectorAll('.message.assistant > .text')]"
                       ".at(-1).textContent.length > 3")
        self.assertEqual(self.answers()[0], before[0])
        self.page.click("#stop")
        self.wait_answered(2)

    def test_colours_follow_the_system_and_the_button(self):
        self.open_connected()
        light = self.colour()
        self.ask(self.question)
        for number in ("#speed", "#drive"):
            self.page.wait("return document.querySelector(arguments[0]).textContent !== '–'", number)
        self.keep_screenshot("light")
        self.page.prefer("dark")
        self.page.wait("return getComputedStyle(document.body).backgroundColor !== arguments[0]", light)
        dark = self.colour()
        self.keep_screenshot("dark")
        self.page.click("#theme")
        self.assertEqual(self.colour(), light)
        self.page.open(self.server.url)  # kept
        self.assertEqual(self.colour(), light)
        self.page.click("#theme")
        self.page.prefer("light")
        self.assertEqual(self.colour(), dark)

    def test_a_phone_shows_all_without_scrolling_sideways(self):
        self.open_connected()
        for width in (PHONE[0], 320, 700, 1000):
            self.page.size(width, PHONE[1])
            self.page.wait("return innerWidth === arguments[0]", width)
            # Plots follow a moment later.
            self.page.wait("return document.documentElement.scrollWidth <= innerWidth", seconds=5)
            outside = self.page.run(
                "return [...document.querySelectorAll('body *')].filter((each) => {"
                "  const { left, right, width } = each.getBoundingClientRect();"
                "  return width > 0 && !each.closest('.plot, .unseen, option') &&"
                "    (left < -1 || right > innerWidth + 1);"
                "}).map((each) => each.outerHTML.slice(0, 80))")
            self.assertEqual(outside, [], width)
        self.page.size(*PHONE, scale=2)
        self.ask(self.question)
        self.page.wait("return document.querySelector('#speed').textContent !== '–'")
        self.keep_screenshot("phone")

    def test_a_server_that_is_gone_is_said_and_found_again(self):
        self.open_connected()
        self.server.stop()
        self.page.wait_text("#notice", "does not answer")
        self.page.wait_text("#connection-text", "No answer")
        self.ask(self.question)
        self.page.wait_text(".message:last-child .meta", "out of reach")
        self.assertEqual(self.page.run("return document.querySelector('#question').value"),
                         self.question)
        self.server.start()
        self.page.wait_text("#connection-text", "up ")
        self.page.wait("return document.querySelector('#notice').hidden")
        self.page.press(browser.ENTER)
        self.wait_answered(2)
        self.assertGreater(len(self.answers()[1]), 20)

    def test_nobody_else_is_asked_and_nothing_is_complained_about(self):
        self.page = self.browser
        for kind in ("browser", "performance"):
            self.page.log(kind)
        self.open_connected()
        self.ask(self.question)
        self.wait_answered()
        self.page.click("#theme")
        asked = [urlsplit(url) for url in self._requests()]
        self.assertGreater(len(asked), 8)
        self.assertEqual({url.netloc for url in asked if url.scheme not in ("data", "blob")},
                         {urlsplit(self.server.url).netloc})
        complaints = [entry["message"] for entry in self.page.log("browser")]
        self.assertEqual(complaints, [])
        # The policy is there, and holds.
        refused = self.page.run("const script = document.createElement('script');"
                                "script.textContent = 'window.inline = 1';"
                                "document.body.append(script); return window.inline === undefined")
        self.assertTrue(refused)
        self.page.log("browser")

    def _requests(self):
        for entry in self.page.log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                yield message["params"]["request"]["url"]


class Served:
    """`hypura serve`, as Checks want it: it can be stopped, and comes back at the same address."""

    def __init__(self, test):
        self._test = test
        template = test.file("plain.jinja", b"{% for message in messages %}{{ message.content }}{% endfor %}")
        self._words = [support.MODEL, "--ram-budget", "36M", "--ctx", 1024, "--parallel", 1,
                       "-t", 1, "--chat-template-file", template]
        self._server = Server(test, *self._words)
        self.url = self._server.url()

    def stop(self):
        self._server.stop()

    def start(self):
        self._server = Server(self._test, *self._words, port=self._server.port)


class WithServe(Checks, support.TestCase):
    question = "Once upon a time there was a king who"

    def setUp(self):
        super().setUp()
        self.server = Served(self)


class WithMock(Checks, unittest.TestCase):
    """And what only a server that does as it is told can show."""

    def setUp(self):
        self.server = dashboard_mock.Mock()
        self.addCleanup(self.server.stop)

    def test_an_answer_is_the_servers_text(self):
        self.open_connected()
        self.ask("first")
        self.wait_answered()
        self.assertEqual(self.answers(), [dashboard_mock.ANSWER])
        self.assertIn("6.3 tokens/s", self.meta())  # the server's own measure
        self.ask("second")
        self.wait_answered(2)
        roles = [message["role"] for message in self.server.asked[1]["messages"]]
        self.assertEqual(roles, ["user", "assistant", "user"])
        self.assertEqual(self.server.asked[1]["messages"][1]["content"], dashboard_mock.ANSWER)
        self.assertEqual(self.server.asked[1]["model"], dashboard_mock.MODEL)
        self.page.click("#clear")
        self.ask("third")
        self.wait_answered()
        self.assertEqual(len(self.server.asked[2]["messages"]), 1)

    def test_reasoning_is_apart(self):
        self.open_connected()
        self.ask("think")
        self.wait_answered()
        self.assertEqual(self.answers(), [dashboard_mock.ANSWER])
        reasoning = self.page.run("return document.querySelector('.reasoning .text').textContent")
        self.assertEqual(reasoning, dashboard_mock.REASONING)
        self.assertFalse(self.page.run("return document.querySelector('.reasoning').open"))

    def test_text_is_never_html(self):
        hostile = "<img src=x onerror=window.hit=1><script>window.hit=1</script>"
        self.server.pieces = lambda question: iter([{"content": hostile}])
        self.open_connected()
        self.ask(hostile)
        self.wait_answered()
        self.assertEqual(self.answers(), [hostile])
        self.assertEqual(self.page.run("return document.querySelectorAll('#log img, #log script').length"), 0)
        self.assertTrue(self.page.run("return window.hit === undefined"))

    def test_stopping_tells_the_server(self):
        self.server.token_seconds = 0.1
        self.open_connected()
        self.ask("long")
        self.page.wait("return document.querySelector('.message.assistant > .text')?.textContent")
        self.page.press(browser.ESCAPE)
        self.assertTrue(self.server.given_up.wait(10))

    def test_an_error_is_said_and_the_question_comes_back(self):
        self.open_connected()
        self.ask("fail")
        self.page.wait_text(".meta.error", "the drive failed: Input/output error")
        self.assertEqual(self.page.run("return document.querySelector('#question').value"), "fail")
        self.page.log("browser")

    def test_a_key_is_asked_for_and_kept_for_the_session(self):
        self.server.key = "secret"
        self.open()
        self.page.wait("return document.activeElement.id === 'key'")
        self.page.type("#key", "wrong" + browser.ENTER)
        self.page.wait("return document.activeElement.id === 'key' &&"
                       " !document.querySelector('#key-form').hidden")
        self.page.wait("return document.querySelector('#key').value === ''")
        self.page.type("#key", "secret" + browser.ENTER)
        self.page.wait_text("#connection-text", "up ")
        self.ask("hello")
        self.wait_answered()
        self.assertEqual(self.answers(), [dashboard_mock.ANSWER])
        self.page.open(self.server.url)
        self.page.wait_text("#connection-text", "up ")
        self.assertEqual(self.page.run("return Object.values(localStorage).includes('secret')"), False)
        self.page.log("browser")

    def test_numbers_are_those_of_the_status(self):
        self.open_connected()
        self.page.wait_text("#hits", "91.3")  # of the last seconds; 88 % in all
        self.assertIn("88 %", self.page.text("#hits-note"))
        self.page.wait("return /^(29|30|31|32|33)$/.test(document.querySelector('#stall').innerText)")
        self.assertIn("predicted 6.4", self.page.text("#speed-note"))
        self.assertRegex(self.page.text("#drive-note"), r"^\d+ % of 2.4 GB/s$")
        self.assertIn("1 queued, 4", self.page.text("#requests-note"))
        self.assertIn("532 MiB GPU", self.page.text("#legend"))
        self.assertIn("10540 of 18432", self.page.text("#why"))
        self.assertIn("plan does not fit", self.page.text("#models .error"))
        first = self.page.text("#drive")
        self.page.wait("return document.querySelector('#drive').textContent !== arguments[0]", first)

    def test_a_model_without_a_state_shows_why(self):
        self.open_connected()
        for name, reason in ((dashboard_mock.OTHER, "first question loads it"),
                             (dashboard_mock.BROKEN, "could not be loaded")):
            self.page.run("const select = document.querySelector('#model'); select.value = arguments[0];"
                          "select.dispatchEvent(new Event('change'))", name)
            self.page.wait_text("#why", reason)
            self.assertEqual(self.page.text("#drive"), "–")
        self.page.wait_text("#notice", "plan does not fit")

    def rates(self, script):
        """What `script` returns; it has `rates`, and add() for a second and its counters."""
        return self.page.run("return import('/dashboard/rates.js').then(({ Rates }) => {"
                             "const rates = new Rates();"
                             "const add = (at, { pid = 1, bytes = 0, uses = 0, hits = 0, tokens = 0,"
                             "    seconds = 0, live = null }) => rates.add(at, { pid,"
                             "  reads: { bytes, stall_seconds: 0 }, experts: { uses, hits },"
                             "  tokens: { generated: tokens, generated_seconds: seconds } }, live);"
                             + script + "});")

    def test_rates_are_differences(self):
        self.open()
        self.assertEqual(self.rates(
            "add(0, { bytes: 5e9, uses: 100, hits: 100 });"
            "add(2, { bytes: 7e9, uses: 110, hits: 105 });"
            "return [rates.drive, rates.hitRate, rates.speed]"), [1e9, 0.5, None])
        # An answer that is counted at its end is spread over the time it took.
        self.assertEqual(self.rates(
            "for (let at = 0; at < 8; ++at) add(at, {});"
            "add(8, { tokens: 30, seconds: 5 });"
            "return rates.points.map((point) => point.speed)"), [None] * 3 + [6] * 6)
        self.assertEqual(self.rates(
            "add(0, {}); add(1, { live: 4 }); add(2, { tokens: 20, seconds: 2 });"
            "return rates.points.map((point) => point.speed)"), [10, 4, 10])
        # A process that was started again counts from nothing.
        self.assertEqual(self.rates(
            "add(0, { bytes: 9e9 }); add(1, { pid: 2, bytes: 1e6 });"
            "const gone = rates.drive; add(2, { pid: 2, bytes: 3e6 }); return [gone, rates.drive]"),
            [None, 2e6])
        self.assertEqual(self.rates(
            "for (let at = 0; at < 500; ++at) add(at, {}); return rates.points.length"), 121)

    def test_a_server_that_ends_says_so(self):
        self.server.draining = True
        self.open_connected()
        self.page.wait_text("#notice", "about to end")


if __name__ == "__main__":
    unittest.main()
