"""Whether something may be fetched, and whether the Hugging Face Hub can be reached, asked once and briefly.

    with without_network():
        benchmark.load()          what is in the cache, else UserError: a command that only looks starts no download

Its client tries again for half a minute before it says that there is no network. Who has none, and has what is wanted
in the cache, need not wait; who has not, is told at once.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

OFFLINE_VARIABLE = "HF_HUB_OFFLINE"
SECONDS = 5.0
_PROXIES = ("all_proxy", "https_proxy", "http_proxy")
_REFUSED = contextvars.ContextVar("refused", default=False)


@contextlib.contextmanager
def without_network() -> Iterator[None]:
    """Fetch nothing inside, and ask nobody. A thread that is started inside asks the network as ever."""
    token = _REFUSED.set(True)
    try:
        yield
    finally:
        _REFUSED.reset(token)


def may_fetch() -> bool:
    """Whether what is not here may be fetched."""
    return not _REFUSED.get() and os.environ.get(OFFLINE_VARIABLE, "").upper() not in {"1", "ON", "YES", "TRUE"}


def from_cache_only() -> dict[str, Any]:
    """What to give the Hub's client besides: `{"local_files_only": True}` where the Hub cannot be reached or may not be
    asked, else {}.

    Where `HF_HUB_OFFLINE` is set nobody is asked: the client asks nobody either.
    """
    from huggingface_hub import constants

    if _REFUSED.get():
        return {"local_files_only": True}
    if constants.HF_HUB_OFFLINE or _can_reach(constants.ENDPOINT):
        return {}
    return {"local_files_only": True}


@functools.cache
def _can_reach(address: str) -> bool:
    """Whether anybody answers at an address, whatever the answer; True where that cannot be asked."""
    proxies = (os.environ.get(name) or os.environ.get(name.upper()) or "" for name in _PROXIES)
    if any(proxy.startswith("socks") for proxy in proxies):
        return True  # urllib knows none
    try:
        request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": "mmjudge"})
        with urllib.request.urlopen(request, timeout=SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        # a certificate that Python does not know, and the client may: somebody is there
        return isinstance(error.reason, ssl.SSLError)
    except (OSError, ValueError, http.client.HTTPException):  # nobody, no address, or no server of pages
        return False
