"""Whether and how digests are told: DigestEntry written and read (specification, "DigestEntry")."""

from __future__ import annotations

from collections.abc import Iterator

from finsy.proto import p4r

from compiler.ir.controller import Digest
from runtime.device.contents import Contents
from runtime.device.records import DigestConfig
from runtime.device.refusals import exists, invalid, not_found
from runtime.device.schema import Schema
from runtime.device.undo import UndoLog

INSERT, DELETE = p4r.Update.INSERT, p4r.Update.DELETE


class DigestWriter:
    def __init__(self, schema: Schema, contents: Contents, undo: UndoLog) -> None:
        self._schema, self._configs, self._undo = schema, contents.digests, undo

    def entry(self, kind: int, given: p4r.DigestEntry) -> None:
        """Raises INVALID_ARGUMENT, ALREADY_EXISTS, NOT_FOUND."""
        digest = self._schema.digest(given.digest_id)
        is_there = digest.name in self._configs
        if kind == INSERT and is_there:
            raise exists(f"digest {digest.name}: it is told already")
        if kind != INSERT and not is_there:
            raise not_found(f"digest {digest.name}: it is not told")
        if kind == DELETE:
            self._undo.pop(self._configs, digest.name)
        else:
            self._undo.put(self._configs, digest.name, _decode(digest, given.config))


class DigestReader:
    def __init__(self, schema: Schema, contents: Contents) -> None:
        self._schema, self._configs = schema, contents.digests

    def entries(self, asked: p4r.DigestEntry) -> Iterator[p4r.Entity]:
        """All that are told, or one. Raises INVALID_ARGUMENT."""
        wanted = [self._schema.digest(asked.digest_id)] if asked.digest_id else self._schema.digests.values()
        told = [(digest, self._configs[digest.name]) for digest in wanted if digest.name in self._configs]
        return iter([_encode(digest, config) for digest, config in told])


def _decode(digest: Digest, given: p4r.DigestEntry.Config) -> DigestConfig:
    values = {
        "max_timeout_ns": given.max_timeout_ns,
        "max_list_size": given.max_list_size,
        "ack_timeout_ns": given.ack_timeout_ns,
    }
    for name, value in values.items():
        if value < 0:
            raise invalid(f"digest {digest.name}: {name} is {value}, it cannot be negative")
    return DigestConfig(**values)


def _encode(digest: Digest, config: DigestConfig) -> p4r.Entity:
    made = p4r.DigestEntry.Config(
        max_timeout_ns=config.max_timeout_ns,
        max_list_size=config.max_list_size,
        ack_timeout_ns=config.ack_timeout_ns,
    )
    return p4r.Entity(digest_entry=p4r.DigestEntry(digest_id=digest.id, config=made))
