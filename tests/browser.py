"""Browser: a real Chromium, driven over WebDriver with nothing but http.client and json.

Only a missing program skips a test; one that is there and does not start is a failure, and says why.

    def test_page(serve: Callable[..., Server], browser: Browser) -> None:
        browser.open(serve(router).url)
        browser.type("#name", "ann")
        browser.click("button")
        browser.wait_for("return document.title == 'Hello, ann'")

The fixture `browser` is one browser for all tests, made as good as new for each; a test that makes its own
is marked `@needs_browser`. `make browser` installs Debian's Chromium and its driver.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")

MISSING = "chromium or chromedriver is not installed: make browser"
needs_browser = pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason=MISSING)

ARGUMENTS = [
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # that of a container is 64 MB
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
if hasattr(os, "geteuid") and os.geteuid() == 0:
    ARGUMENTS.append("--no-sandbox")  # as root Chromium starts only so

STARTED = re.compile(r"started successfully on port (\d+)")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name of a reference to one (WebDriver §12.2)
PATIENCE = 30.0  # seconds for Chromium to start, on a slow machine


class BrowserError(Exception):
    """What the driver says is wrong: `no such element: …`."""


class Browser:
    """One Chromium with a fresh profile; as a context manager it ends with the block.

    A CSS selector finds the first element that fits, and waits five seconds for it. With `network=True` it
    notes what pages ask of the network: see `asked`.
    """

    def __init__(self, network: bool = False) -> None:
        if CHROMIUM is None or DRIVER is None:
            raise BrowserError(MISSING)
        self.folder = Path(tempfile.mkdtemp(prefix="kissapi-browser-"))
        self.log = self.folder / "chromedriver.log"
        self.session = ""
        with self.log.open("wb") as log:
            self.driver = subprocess.Popen(
                [DRIVER, "--port=0"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, for `close` to end all that it has started
            )
        try:
            self.port = self._port()
            options = {
                "binary": CHROMIUM,
                "args": [*ARGUMENTS, f"--user-data-dir={self.folder / 'profile'}"],
            }
            capabilities = {
                "acceptInsecureCerts": True,
                "timeouts": {"implicit": 5000, "pageLoad": 30_000, "script": 30_000},
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL", **({"performance": "ALL"} if network else {})},
            }
            answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
            self.session = f"/session/{answer['sessionId']}"
        except BaseException as error:
            error.add_note(f"chromedriver had said:\n{self.log.read_text(errors='replace')}")
            self.close()
            raise

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End Chromium and its driver, and remove its profile."""
        try:
            if self.session:
                self._ask("DELETE", self.session)
        finally:
            self.session = ""
            try:
                os.killpg(self.driver.pid, signal.SIGTERM)
                self.driver.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.driver.pid, signal.SIGKILL)
                self.driver.wait()
            except ProcessLookupError:
                self.driver.wait()
            # Helpers of Chromium may outlive it by a moment, and write to the profile meanwhile.
            shutil.rmtree(self.folder, ignore_errors=True)

    def open(self, url: str) -> None:
        """Go to `url`, and wait until the page is loaded."""
        self._do("POST", "/url", {"url": url})

    def reload(self) -> None:
        """Load the page again."""
        self._do("POST", "/refresh", {})

    @property
    def url(self) -> str:
        """Where the page is from."""
        return str(self._do("GET", "/url"))

    @property
    def title(self) -> str:
        """The title of the page."""
        return str(self._do("GET", "/title"))

    def run(self, script: str, *arguments: Any) -> Any:
        """What `script` returns: the body of a JavaScript function, `arguments` are its arguments.

        A promise is waited for: `run("return fetch('/x').then((answer) => answer.text())")`. Elements that
        `find` gives can be arguments. Raises `BrowserError` with what the script has thrown.
        """
        return self._do("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait_for(self, script: str, seconds: float = 10, *arguments: Any) -> Any:
        """Run `script` until it returns something true, and give that. `AssertionError` if it never does."""
        end = time.monotonic() + seconds
        while not (value := self.run(script, *arguments)):
            if time.monotonic() > end:
                console = "\n".join(self.console())
                raise AssertionError(f"not within {seconds} s: {script}\nconsole: {console or 'nothing'}")
            time.sleep(0.02)
        return value

    def find(self, css: str) -> dict[str, str]:
        """A reference to the first element that fits; `BrowserError` if there is none."""
        found = self._do("POST", "/element", {"using": "css selector", "value": css})
        return {ELEMENT: found[ELEMENT]}

    def text(self, css: str) -> str:
        """The text one sees in an element."""
        return str(self._do("GET", f"/element/{self.find(css)[ELEMENT]}/text"))

    def click(self, css: str) -> None:
        """Click on an element."""
        self._do("POST", f"/element/{self.find(css)[ELEMENT]}/click", {})

    def type(self, css: str, text: str) -> None:
        """Type `text` into an element, key by key; `"\\n"` is Enter."""
        self._do("POST", f"/element/{self.find(css)[ELEMENT]}/value", {"text": text})

    def upload(self, css: str, path: str | Path) -> None:
        """Choose the file at `path` in an `<input type=file>`."""
        self.type(css, str(Path(path).resolve(strict=True)))

    @property
    def windows(self) -> list[str]:
        """The windows that are open."""
        return list(self._do("GET", "/window/handles"))

    def new_window(self, url: str | None = None) -> str:
        """Open a window (a tab), and switch to it."""
        window = str(self._do("POST", "/window/new", {"type": "tab"})["handle"])
        self.switch(window)
        if url is not None:
            self.open(url)
        return window

    def switch(self, window: str) -> None:
        """Go on in `window`, one of `windows`."""
        self._do("POST", "/window", {"handle": window})

    def close_window(self) -> None:
        """Close this window, and switch to the first that is left."""
        left = self._do("DELETE", "/window")
        if left:
            self.switch(left[0])

    def cookies(self) -> dict[str, dict[str, Any]]:
        """The cookies that the page's server gets, by name, with their attributes."""
        return {cookie["name"]: cookie for cookie in self._do("GET", "/cookie")}

    def console(self) -> list[str]:
        """What the console of the page has said since it was last asked: errors of scripts, refused loads.

        Not that there is no /favicon.ico, which it asks every server for.
        """
        said = [entry["message"] for entry in self._do("POST", "/se/log", {"type": "browser"})]
        return [message for message in said if "/favicon.ico" not in message]

    def asked(self) -> list[str]:
        """The URLs that pages have asked for since this was last called, those that failed included.

        Not those of Chromium's own pages, such as that of a new tab.
        """
        entries = self._do("POST", "/se/log", {"type": "performance"})
        events = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent if not each["documentURL"].startswith("chrome")]

    def resize(self, width: int, height: int) -> None:
        """Be a screen of so many pixels; one of less than 500 across is a phone's."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self._cdp("Emulation.setDeviceMetricsOverride", **size)

    def prefer(self, scheme: str) -> None:
        """Be of a user who likes pages "light" or "dark"."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._cdp("Emulation.setEmulatedMedia", features=features)

    def picture(self) -> bytes:
        """What the window shows, as PNG."""
        return base64.b64decode(self._do("GET", "/screenshot"))

    def forget(self) -> None:
        """Be as good as new: one window, empty, no cookies."""
        first, *others = self.windows
        for window in others:
            self.switch(window)
            self._do("DELETE", "/window")
        self.switch(first)
        self._cdp("Network.clearBrowserCookies")
        self._cdp("Network.clearBrowserCache")
        self._cdp("Emulation.clearDeviceMetricsOverride")
        self._cdp("Emulation.setEmulatedMedia", features=[])
        self.open("about:blank")
        self.console()

    def _cdp(self, command: str, **parameters: Any) -> None:
        self._do("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _do(self, method: str, path: str, body: Any = None) -> Any:
        return self._ask(method, self.session + path, body)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2 * PATIENCE)
        try:
            data = None if body is None else json.dumps(body).encode()
            client.request(method, path, data, {"Content-Type": "application/json"})
            value = json.loads(client.getresponse().read())["value"]
        finally:
            client.close()
        if isinstance(value, dict) and "error" in value and "stacktrace" in value:
            raise BrowserError(f"{value['error']}: {value['message']}")
        return value

    def _port(self) -> int:
        """The free port that the driver has found."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := STARTED.search(self.log.read_text(errors="replace")):
                return int(found[1])
            if self.driver.poll() is not None:
                raise BrowserError(f"chromedriver has ended with {self.driver.returncode}")
            time.sleep(0.01)
        raise BrowserError(f"chromedriver has not started within {PATIENCE:g} s")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One for all tests: it takes a second to start."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip(MISSING)
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """A browser as good as new."""
    chromium.forget()
    return chromium
