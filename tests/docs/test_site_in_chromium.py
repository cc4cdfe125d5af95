"""The site in a real browser: it is searched without anything from elsewhere."""

from __future__ import annotations

import functools
import http.server
import threading
import time

from chromium import NEEDED, Browser

pytestmark = NEEDED
RESULTS = "return Array.from(document.querySelectorAll('.md-search-result__item a')).map(a => a.href)"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def test_the_search_finds_a_word_of_the_glossary(site, tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        browser = Browser(tmp_path / "profile")
        try:
            browser.driver.get(f"{address}index.html?q=post-stratified")
            found: list[str] = []
            until = time.monotonic() + 60
            while not found and time.monotonic() < until:
                time.sleep(0.2)
                found = browser.run(RESULTS)
            assert any("glossary.html" in link for link in found)
            asked = [url for url in browser.requests() if url.startswith(("http:", "https:", "ws"))]
            assert asked
            assert [url for url in asked if not url.startswith(address)] == []
        finally:
            browser.driver.quit()
            server.shutdown()
