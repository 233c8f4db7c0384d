"""A real Chromium without a window, driven over its own DevTools socket.

The binary is that of the npm package `@sparticuz/chromium`, or the one that
TAPEDECK_CHROMIUM names; it is unpacked once, beside the installed packages.
"""

import contextlib
import http.server
import itertools
import json
import os
import platform
import shutil
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import websocket

from local import node_setup
from local.file_lock import exclusive

START_S = 20
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-extensions", "--mute-audio", "--disable-dev-shm-usage", "--no-zygote"),
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
_UNPACK = (
    'import("@sparticuz/chromium").then(async (one) => {'
    "one.default.setGraphicsMode = false; console.log(await one.default.executablePath());})"
)


class NoBrowserError(Exception):
    """There is no Chromium for this machine; the text says what to do."""


class Browser:
    """One browser; `open(html)` gives a page."""

    def __init__(self, node, profile, wait_until):
        command = [_executable(node), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._log = (profile / "log").open("wb")
        self._process = subprocess.Popen(
            list(map(str, command)), stdout=self._log, stderr=self._log, env=_environment()
        )
        self._address = _address(self._process, profile, wait_until)
        self._pages = []
        self._wait_until = wait_until

    def open(self, html, query=""):
        """A page of its own origin, `http://localhost:…`, with this text."""
        page = Page(self._address, html, query, self._wait_until)
        self._pages.append(page)
        return page

    def close(self):
        for page in self._pages:
            page.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Page:
    """A page; `console` has what it wrote there, `run` evaluates in it."""

    def __init__(self, address, html, query, wait_until):
        self._wait_until = wait_until
        self._server = _serve(html)
        url = f"http://localhost:{self._server.server_port}/{query}"
        request = urllib.request.Request(f"http://{address}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            target = json.load(answer)["webSocketDebuggerUrl"]
        self._socket = websocket.create_connection(target, timeout=20, suppress_origin=True)
        self._numbers = itertools.count(1)
        self.console = []
        self._ask("Runtime.enable")
        self._ask("Page.enable")
        self._ask("Page.navigate", url=url)

    def run(self, program):
        """The value of an expression in the page's own scope; an exception there fails."""
        answer = self._ask("Runtime.evaluate", expression=program, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def becomes(self, program, seconds=20):
        """The value of an expression, once it is something."""
        return self._wait_until(lambda: self.run(program), seconds, program)

    def logs(self, words, seconds=20):
        """The console line with these words, once it is there."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for line in self.console:
                if words in line:
                    return line
            self._receive(max(0.05, until - time.monotonic()))
        raise AssertionError(f"{words!r} is not on the console: {self.console}")

    def close(self):
        self._socket.close()
        self._server.shutdown()
        self._server.server_close()

    def _ask(self, method, **parameters):
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = self._receive(20)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def _receive(self, seconds):
        self._socket.settimeout(seconds)
        try:
            message = json.loads(self._socket.recv())
        except websocket.WebSocketTimeoutException:
            return {}
        if message.get("method") == "Runtime.consoleAPICalled":
            self.console.append(" ".join(map(_text, message["params"]["args"])))
        elif message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.console.append(f"exception: {_text(details.get('exception', details))}")
        return message


def _text(value):
    if "value" in value:
        return str(value["value"])
    properties = value.get("preview", {}).get("properties", ())
    shown = ", ".join(f"{one['name']}: {one.get('value')}" for one in properties)
    return f"{value.get('description', '')} {{{shown}}}" if shown else value.get("text", "")


def _serve(html):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path.partition("?")[0] == "/"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            if found:
                self.wfile.write(html.encode())

        def log_message(self, *_):
            """The test's own output stays readable."""

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


def _executable(node):
    named = os.environ.get("TAPEDECK_CHROMIUM")
    if named:
        return Path(named)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        found = shutil.which("chromium") or shutil.which("google-chrome")
        if found:
            return Path(found)
        raise NoBrowserError("no Chromium for this machine: name one in TAPEDECK_CHROMIUM")
    return _unpacked(node)


def _unpacked(node):
    folder = node_setup.modules() / ".cache" / "chromium"
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / ".unpacking"):
        done = subprocess.run(
            [node, "-e", _UNPACK],
            cwd=node_setup.EXAMPLES,
            env=os.environ | {"TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip().splitlines()[-1])


def _environment():
    return {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}


def _address(process, profile, wait_until):
    file = profile / "DevToolsActivePort"
    wait_until(lambda: file.exists() or process.poll() is not None, START_S, "Chromium's start")
    with contextlib.suppress(FileNotFoundError):
        lines = wait_until(lambda: file.read_text().splitlines(), 5, "the port of Chromium")
        return f"127.0.0.1:{int(lines[0])}"
    raise NoBrowserError(
        "Chromium did not start (its libraries may be missing: Debian's libnss3 has them): "
        + (profile / "log").read_text(errors="replace")[-300:]
    )
