"""A Ray cluster of several nodes on this machine, for tests: nodes come and go, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SMALL = {"include_dashboard": False, "object_store_memory": 80 << 20}


class Nodes:
    """address: of the cluster. Its head has no processors, so that every actor is on a node that can be killed."""

    def __init__(self, folder: str) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args={**SMALL, "num_cpus": 0, "temp_dir": folder})
        self._nodes: list[Any] = []
        self.address: str = self._cluster.address

    def be(self, number: int) -> None:
        """Add nodes of one processor, or kill some, until there are so many and Ray counts no more than those."""
        while len(self._nodes) > number:
            self.kill(self._nodes[0].node_id)
        while len(self._nodes) < number:
            self._nodes.append(self._cluster.add_node(num_cpus=1, **SMALL))
        self._cluster.wait_for_nodes(60)

    def kill(self, node_id: str) -> None:
        """As by a power cut."""
        node = next(node for node in self._nodes if node.node_id == node_id)
        self._nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def shut_down(self) -> None:
        """End every process of the cluster."""
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """For one module: starting takes seconds."""
    pytest.importorskip("ray", reason="the cluster extra is not installed")
    folder = tempfile.mkdtemp(prefix="ray-")  # short: the names of sockets are
    with pytest.MonkeyPatch.context() as patch:  # actors inherit what the nodes were started with
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        # Ray writes down its address below this folder, which it does not make; another run's would be overwritten
        patch.setenv("RAY_TMPDIR", folder)
        Path(folder, "ray").mkdir()
        found = Nodes(folder)
        yield found
        found.shut_down()
    shutil.rmtree(folder, ignore_errors=True)
