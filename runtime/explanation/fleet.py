"""The devices that can be asked: what was applied to each, where it is, and a connection to it once it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from compiler.diagnostic import Diagnostic
from compiler.ir.nodes import Pipeline
from compiler.policy.loading import Loaded, load_texts
from compiler.policy.policyset import Device, PolicySet
from runtime.applied import Applied
from runtime.client.channels import ClientTls
from runtime.client.errors import ClientError
from runtime.client.session import Session, Waits, silently
from runtime.explanation.livedevice import LiveDevice
from runtime.explanation.question import QuestionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A device with the policies that were applied to it, and what these had to say."""

    device: Device
    policies: PolicySet
    diagnostics: tuple[Diagnostic, ...] = field(repr=False)
    sources: Mapping[str, str] = field(repr=False)


SeedOf = Callable[[str, str], int | None]
"""Of a device's name and address."""


class Fleet:
    """A context manager. Devices are opened once, when they are first asked for."""

    def __init__(
        self,
        placed: Mapping[str, Placed],
        pipeline: Pipeline,
        seed_of: SeedOf,
        *,
        tls: ClientTls | None = None,
        waits: Waits = silently,
    ) -> None:
        self.placed = dict(placed)
        self._pipeline, self._seed_of, self._tls, self._waits = pipeline, seed_of, tls, waits
        self._opened: dict[str, LiveDevice | ClientError] = {}
        self._sessions = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sessions.close()

    @property
    def views(self) -> dict[str, PolicySet]:
        return {name: placed.policies for name, placed in self.placed.items()}

    def device(self, name: str) -> LiveDevice:
        """Raises `ClientError`, the same one again when it is asked for again."""
        if name not in self._opened:
            try:
                self._opened[name] = self._open(name)
            except ClientError as problem:
                self._opened[name] = problem
        found = self._opened[name]
        if isinstance(found, ClientError):
            raise found
        return found

    def _open(self, name: str) -> LiveDevice:
        if name not in self.placed:
            raise ClientError(f"it is not among the devices that can be asked: {', '.join(self.placed)}")
        placed = self.placed[name]
        device = placed.device
        opened = Session(device.address, device.device_id, tls=self._tls, waits=self._waits)
        session = self._sessions.enter_context(opened)
        seed = self._seed_of(name, device.address)
        return LiveDevice(device, placed.policies, session, self._pipeline, seed)


def placed_by_records(records: Iterable[Applied]) -> dict[str, Placed]:
    """Raises `QuestionError` for policies that this version of Turnout refuses."""
    loaded: dict[tuple[tuple[str, str], ...], Loaded] = {}
    found: dict[str, Placed] = {}
    for record in records:
        texts = tuple(sorted(record.sources.items()))
        if texts not in loaded:
            loaded[texts] = load_texts(record.sources)
        device = next((d for d in loaded[texts].policies.devices if d.name == record.device), None)
        if device is None:
            raise QuestionError(
                f"what was applied to device '{record.device}' is refused by this version of Turnout; apply again"
            )
        found[record.device] = _placed(replace(device, address=record.address), loaded[texts])
    return found


def placed_by_policies(loaded: Loaded) -> dict[str, Placed]:
    """All devices of policies, as if these had been applied."""
    return {device.name: _placed(device, loaded) for device in loaded.policies.devices}


def _placed(device: Device, loaded: Loaded) -> Placed:
    return Placed(device=device, policies=loaded.policies, diagnostics=loaded.diagnostics, sources=loaded.sources)
