"""Headless Chromium by the WebDriver protocol: HTTP and JSON, nothing else is needed."""

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request

ENTER, ESCAPE, SHIFT, TAB, RIGHT = "\ue007", "\ue00c", "\ue008", "\ue004", "\ue014"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing():
    """What is not installed, or None."""
    for program in ("chromedriver", "chromium"):
        if shutil.which(program) is None:
            return program
    return None


class Browser:
    """One browser with one page. close() ends it."""

    def __init__(self, seconds=30):
        self.seconds = seconds  # that a condition may take
        self._driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        port = next(line.split()[-1].rstrip(".") for line in self._driver.stdout
                    if "started successfully on port" in line)
        self._root = f"http://127.0.0.1:{port}/session"
        arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", "--hide-scrollbars"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        options = {"binary": shutil.which("chromium"), "args": arguments}
        wanted = {"goog:chromeOptions": options,
                  "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        session = self._post("", {"capabilities": {"alwaysMatch": wanted}})
        self._root += "/" + session["sessionId"]
        # Whatever Tab reached last, a page has the focus.
        self.devtools("Emulation.setFocusEmulationEnabled", enabled=True)

    def close(self):
        try:
            self._send("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait()
            self._driver.stdout.close()

    def _send(self, method, path, body=None):
        request = urllib.request.Request(self._root + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()[:600]}") from None

    def _post(self, path, body):
        return self._send("POST", path, body)

    def open(self, url):
        self._post("/url", {"url": url})

    def run(self, script, *arguments):
        """What `script`, the body of a function, returns."""
        return self._post("/execute/sync", {"script": script, "args": list(arguments)})

    def devtools(self, command, **parameters):
        return self._post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def log(self, kind):
        """Entries of "browser" (the console) or "performance" (the network) since the last call."""
        return self._post("/se/log", {"type": kind})

    def find(self, selector):
        return self._post("/element", {"using": "css selector", "value": selector})[_ELEMENT]

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def click(self, selector):
        self._post(f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self._post(f"/element/{self.find(selector)}/value", {"text": text})

    def press(self, *keys):
        """Keys for whatever has the focus; a SHIFT before one is held with it."""
        actions, held = [], []
        for key in keys:
            actions.append({"type": "keyDown", "value": key})
            if key == SHIFT:
                held.append(key)
                continue
            actions += [{"type": "keyUp", "value": each} for each in [key, *held]]
            held = []
        self._post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def wait(self, script, *arguments, seconds=None):
        """Until `script` returns something true, which is returned."""
        end = time.monotonic() + (seconds or self.seconds)
        while True:
            value = self.run(script, *arguments)
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"not in {seconds or self.seconds} s: {script} {arguments}")
            time.sleep(0.05)

    def wait_text(self, selector, text, seconds=None):
        return self.wait("return document.querySelector(arguments[0])?.innerText"
                         ".includes(arguments[1])", selector, text, seconds=seconds)

    def size(self, width, height, scale=1):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=scale, mobile=width < 600)

    def prefer(self, colours):
        self.devtools("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": colours}])

    def screenshot(self, path, whole=False):
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
