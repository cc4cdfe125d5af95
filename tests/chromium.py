"""Pages in a real browser, for tests of what people see: `from chromium import NEEDED, Browser`."""

import contextlib
import json
import shutil
import socket
import tempfile

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
NEEDED = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="chromium and chromedriver are not here (Debian: make browser)"
)
QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


@contextlib.contextmanager
def in_browser(kind=None):
    """A browser until the end of the block. kind: a class of `Browser`, itself where none is given."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:  # its processes end a little later
        browser = (kind or Browser)(profile)
        try:
            yield browser
        finally:
            browser.driver.quit()


def reserved_port():
    """A port that nobody else is given for the next minute, and that a server may take.

    A connection that its server closed first stays in TIME_WAIT there: the system passes such a port over when it looks
    for a free one, but lets it be bound by name.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""
    return port


class Browser:
    """A browser with its logs. profile: an empty folder."""

    def __init__(self, profile):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in (*QUIET, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER, port=reserved_port()))

    def resize(self, width, height):
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def fresh(self, address, width, height):
        """Open a page as the first of all: what an earlier one has logged is forgotten."""
        self.resize(width, height)
        self.driver.get("about:blank")
        self.errors()
        self.driver.get_log("performance")
        self.driver.get(address)

    def errors(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def run(self, script):
        return self.driver.execute_script(script)

    def wait(self, script):
        """Until `script` returns what is true."""
        WebDriverWait(self.driver, 120, poll_frequency=0.02).until(lambda _: self.run(script), script)

    def text(self, id_):
        return self.run(f"return document.getElementById({json.dumps(id_)}).textContent")

    def keys(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()
