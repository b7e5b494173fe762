"""A device that can be killed, with a pipeline; in the kernel with a service and a backend that echoes, too.

And what its tests have besides: ports, and a connection that goes on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from compiler.pipeline.assembly import pipeline
from tests.conformance.conftest import Device
from tests.conformance.kernel import Topology, config_of, topology
from tests.conformance.killing import Killable
from tests.conformance.talking import Talk, echoing
from tests.conformance.test_traffic import BACKEND, CLIENT, TARGET_PORT, VIP, VIP_PORT, write_with_finsy


@contextmanager
def ports_of(target: str, prefix: str) -> Generator[Topology | None]:
    """Of the kernel, whose names begin so; the model has none."""
    if target == "model":
        yield None
        return
    with topology(prefix) as made:
        yield made


@contextmanager
def talking(ports: Topology | None) -> Generator[Talk | None]:
    """A connection through the device of the kernel, which must not notice anything."""
    if ports is None:
        yield None
        return
    made = Talk(ports.behind(CLIENT), VIP, VIP_PORT)
    try:
        yield made
        assert made.goes_on()
    finally:
        made.end()
    assert made.failed is None


@contextmanager
def serving(folder: Path, ports: Topology | None) -> Generator[Killable]:
    """Until the end of the block; of the model without ports."""
    with ExitStack() as stack:
        device = stack.enter_context(Killable(folder, ports))
        device.start()
        config = config_of(pipeline(), "model" if ports is None else "kernel")
        if ports is None:
            client = device.primary()
            client.set_config("VERIFY_AND_COMMIT", config)
            client.close()
        else:
            stack.enter_context(echoing(ports.behind(BACKEND), TARGET_PORT))
            made = Device(target="kernel", address=device.address, config=config, pipeline=pipeline(), ports=ports)
            asyncio.run(write_with_finsy(made, 10, folder))
        yield device
