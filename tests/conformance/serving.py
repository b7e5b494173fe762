"""A device that can be killed, with a pipeline; in the kernel with a service and a backend that echoes, too."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from compiler.pipeline.assembly import pipeline
from tests.conformance.conftest import Device
from tests.conformance.kernel import Topology, config_of
from tests.conformance.killing import Killable
from tests.conformance.talking import echoing
from tests.conformance.test_traffic import BACKEND, TARGET_PORT, write_with_finsy


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
