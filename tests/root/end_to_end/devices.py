"""Devices of a test's own that only hold tables: the model target, outside of any lab."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.root.end_to_end.shop import DEVICES, TURNOUT, Policies, find, shop_policies, write


def model_policies(folder: Path) -> Policies:
    policies = shop_policies(folder)
    for name in DEVICES:
        find(policies, "Device", name)["spec"]["profile"] = "model"
    return policies


@contextmanager
def model_device(folder: Path, name: str) -> Generator[str]:
    """A running device; its address."""
    address = f"unix:{folder}/{name}.sock"
    command = [TURNOUT, "device", "run", "--name", name, "--listen", address, "--target", "model"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == f"ready {address}\n"
            yield address
        finally:
            process.terminate()


@contextmanager
def model_devices(folder: Path) -> Generator[Path]:
    """Both devices of the shop; the file of policies for them."""
    with ExitStack() as running:
        for name in DEVICES:
            running.enter_context(model_device(folder, name))
        yield write(folder / "shop.yaml", model_policies(folder))
