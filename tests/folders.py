"""Where tests find what they read."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
"""Recorded reference outputs of a tiny checkpoint."""
GOLDEN_REQUESTS = ROOT / "tests" / "golden_requests"
"""Recorded requests and readings of the official scorer."""
SHARED = ROOT.parent / "shared"
"""Published data beside the project; a test that needs it says so when it is absent."""
