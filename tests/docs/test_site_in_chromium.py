"""The site in a real browser: it is searched without anything from elsewhere."""

from __future__ import annotations

import functools
import http.server
import threading

from chromium import NEEDED, in_browser

pytestmark = NEEDED
FOUND = "return [...document.querySelectorAll('.md-search-result__item a')].some(a => a.href.includes('glossary.html'))"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def test_the_search_finds_a_word_of_the_glossary(site):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        try:
            with in_browser() as browser:
                browser.driver.get(f"{address}index.html?q=post-stratified")
                browser.wait(FOUND)
                asked = [url for url in browser.requests() if url.startswith(("http:", "https:", "ws"))]
            assert asked
            assert [url for url in asked if not url.startswith(address)] == []
        finally:
            server.shutdown()
