"""What one run has read and resolved, so that the next one reads and resolves what is new.

Of thousands of services a few change. What is remembered is looked up by the digest of the very text that it came from,
only of what nothing had to be said about, and only in three steps that look at nothing but what the digests are of:

* a part of a file (`division`) that is one Service or EndpointSlice: its name, and read again when more is asked;
* a Service: what it was resolved to, by its own part, those of its slices, and all that is neither;
* all checks between services are made each time.

So a run with a memory finds what one without would (tests/property/test_policy_memory.py). Pure: where a memory lies
between runs is `runtime.policymemory`'s affair.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import groupby, islice
from typing import Any, Final, NamedTuple, cast

from pydantic import ValidationError

from compiler.diagnostic import Report
from compiler.policy.division import Part, digest_of, divided, joined
from compiler.policy.document import MappingNode, read_documents
from compiler.policy.encoding import NotPlainError, decoded, encoded
from compiler.policy.endpoints import SERVICE_LABEL
from compiler.policy.kubernetes import EndpointSlice, KubernetesService
from compiler.policy.located import Located, Objects
from compiler.policy.model import Model
from compiler.policy.policyset import Network, Service, Workload
from compiler.policy.references import object_name
from compiler.policy.shapes import Outline, Shape, Shaped, Words, may_have_shape, outline_of, shape_of
from compiler.policy.validation import collect_objects
from compiler.span import InternalError

_KINDS: Final[tuple[type[Model], ...]] = (KubernetesService, EndpointSlice)
_MOST_GAPS: Final = 200
"""Where more parts than these are new, here and there, a file is read as a whole."""

_LEAST_ALIKE: Final = 4
"""Parts with the same outline; to find out how to read fewer of them takes as long as to read them."""


class Card(NamedTuple):
    """A part that holds one object: which kind (a place in `_KINDS`), its name, of a slice that of its service."""

    kind: int
    name: str
    service: str


class Remembered(Located[Any]):
    """An object of which the name is known. Its text is read when anything else is asked."""

    __slots__ = ("_kind", "_read")
    _kind: type[Model]
    _read: Any

    def __init__(self, card: Card, part: Part) -> None:
        keep = object.__setattr__  # a dataclass that is frozen
        keep(self, "origin", part)
        keep(self, "known_name", card.name)
        keep(self, "known_service", card.service)
        keep(self, "_kind", _KINDS[card.kind])
        keep(self, "_read", None)

    @property
    def kind(self) -> type[Model]:
        return self._kind

    @property
    def model(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._located.model

    @property
    def node(self) -> MappingNode:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._located.node

    @property
    def _located(self) -> Located[Any]:
        if self._read is None:
            object.__setattr__(self, "_read", _read_alone(self.origin))
        return cast("Located[Any]", self._read)


def _read_alone(part: Part | None) -> Located[Any]:
    report, objects = Report(), Objects()
    if part is not None:
        for node in part.objects(read_documents(part.path, part.placed_text, report)) or ():
            collect_objects(node, objects, report)
    found = list(objects)
    if len(found) != 1 or report.count:
        raise InternalError(f"{part and part.path}: a part is not what it was when it was read before")
    return found[0]


class Memory:
    """What is known from runs before, and what this one finds; for one run."""

    def __init__(
        self, cards: Mapping[str, Sequence[Any]] | None = None, services: Mapping[str, list[Any]] | None = None
    ) -> None:
        """Of a run before: its `cards` and `services`. Without them it knows nothing."""
        self._cards, self._services = cards or {}, services or {}
        self.cards = dict[str, Sequence[Any]]()
        """Of this run's parts, by their digests."""
        self._kept = dict[str, list[Any]]()
        self._new = dict[str, tuple[Service, Sequence[Part]]]()
        """Services that are to be encoded, which may wait until nobody waits for it."""
        self._learned = 0
        self._surroundings = list[str]()

    @property
    def services(self) -> Mapping[str, list[Any]]:
        """Of this run's services, by the digest of all that they follow from."""
        self.encode()
        return self._kept

    @property
    def learned(self) -> int:
        """How many cards and services were not known before."""
        self.encode()
        return self._learned

    def read(self, path: str, text: str, objects: Objects) -> bool:
        """Put a file's objects into `objects`. False if there is something to be said: it is to be read as a whole."""
        parts = divided(path, text)
        found = None if parts is None else self._objects_of(parts)
        if found is None:
            self._surroundings.append(digest_of(text))
            return False
        for located in found:
            objects.add(located)
        return True

    def _objects_of(self, parts: Sequence[Part]) -> list[Located[Any]] | None:
        known: list[Located[Any] | None] = [self._known(part) for part in parts]
        _read_by_shape(parts, known)
        runs = [(is_new, list(run)) for is_new, run in groupby(range(len(parts)), lambda at: known[at] is None)]
        if sum(is_new for is_new, _ in runs) > _MOST_GAPS:
            runs = [(True, list(range(len(parts))))]
        found: list[Located[Any]] = []
        surroundings: list[str] = []
        for is_new, run in runs:
            if is_new:
                fresh = _read_together([parts[at] for at in run])
                if fresh is None:
                    return None
                for part, objects in fresh:
                    found.extend(objects)
                    if objects[0].origin is None:
                        surroundings.append(part.digest)
            else:
                found.extend(one for at in run if (one := known[at]) is not None)
        self._surroundings.extend(surroundings)
        return found

    def _known(self, part: Part) -> Remembered | None:
        plain = self._cards.get(part.digest)
        return None if plain is None else Remembered(Card(*plain), part)

    def keep(self, located: Located[Any]) -> None:
        """For the next run, an object by itself of which nothing had to be said."""
        if located.origin is None:
            return
        card = self._cards.get(located.origin.digest)
        if card is None:
            self._learned += 1
            metadata = located.model.metadata
            service = f"{metadata.namespace}/{metadata.labels.get(SERVICE_LABEL, '')}"
            card = Card(_KINDS.index(located.kind), object_name(metadata), service)
        self.cards[located.origin.digest] = card

    def resolved(
        self,
        located: Located[KubernetesService],
        slices: Sequence[Located[EndpointSlice]],
        resolve: Callable[[Located[KubernetesService]], Service | None],
        networks: Mapping[str, Network],
        workloads: Mapping[str, Workload],
        report: Report,
    ) -> Service | None:
        """As `resolve` does, which is asked if it is not known. After everything has been read."""
        parts = [one.origin for one in (located, *slices) if one.origin is not None]
        if len(parts) != 1 + len(slices):
            return resolve(located)
        self.keep(located)
        key = digest_of(self._all_else, *(part.digest for part in parts))
        known = self._services.get(key)
        if known is not None:
            self._kept[key] = known
            return decoded(known, parts, networks, workloads)
        before = report.count
        service = resolve(located)
        if service is not None and report.count == before:
            self._new[key] = service, parts
        return service

    def encode(self, most: int | None = None) -> None:
        """Services that are still to be, or so many of them: by and by, where somebody waits for something else."""
        for key in [*islice(self._new, most)]:
            service, parts = self._new.pop(key)
            try:
                self._kept[key] = encoded(service, parts)
            except NotPlainError:
                continue
            self._learned += 1

    @cached_property
    def _all_else(self) -> str:
        return digest_of(*self._surroundings)


def _read_by_shape(parts: Sequence[Part], known: list[Located[Any] | None]) -> None:
    """Put what other parts show how to read into `known`; what there is something to be said about is left out."""
    by_outline: dict[Outline, list[tuple[int, Words]]] = {}
    for at, part in enumerate(parts):
        if known[at] is None:
            outline, words = outline_of(part.text)
            by_outline.setdefault(outline, []).append((at, words))
    for outline, found in by_outline.items():
        if len(found) < _LEAST_ALIKE or not may_have_shape(outline):
            continue
        first, words = found[0]
        shape = _shape(parts[first], outline, words)
        if shape is not None:
            for at, words in found:
                known[at] = _shaped(parts[at], shape, words)


def _shape(part: Part, outline: Outline, words: Words) -> Shape | None:
    read = _read_together([part])
    match read:
        case [(_, [Located(origin=Part()) as example])]:
            return shape_of(part, example, outline, words)
        case _:
            return None


def _shaped(part: Part, shape: Shape, words: Words) -> Shaped | None:
    try:
        model = shape.model.model_validate(shape.plain(words))
    except ValidationError:
        return None  # to be told by whoever reads it the plain way
    return Shaped(model, part, shape, words, _node_of)


def _node_of(part: Part) -> MappingNode:
    return _read_alone(part).node


def _read_together(parts: Sequence[Part]) -> list[tuple[Part, list[Located[Any]]]] | None:
    """What is in parts that follow each other, those with nothing left out; None if there is something to be said.

    An object has where it is from if it is all of its part, and of a kind that is remembered.
    """
    whole, report = joined(parts), Report()
    lines = [part.line for part in parts]
    found: dict[int, list[Located[Any]]] = {}
    nodes = whole.objects(read_documents(whole.path, whole.placed_text, report))
    for node in nodes or ():
        objects = Objects()
        collect_objects(node, objects, report)
        found.setdefault(bisect_right(lines, node.start.line) - 1, []).extend(objects)
    if report.count or nodes is None:
        return None
    return [(parts[at], _with_origin(parts[at], objects)) for at, objects in found.items() if objects]


def _with_origin(part: Part, objects: list[Located[Any]]) -> list[Located[Any]]:
    if len(objects) == 1 and type(objects[0].model) in _KINDS:
        return [Located(objects[0].model, objects[0].node, part)]
    return objects
