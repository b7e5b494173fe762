"""A pipeline config with all that belongs to it: codecs, what was written into it, its place in the target."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from finsy.proto import p4i, p4r

from compiler.ir.nodes import Pipeline
from compiler.printers.bundle import Bundle, BundleError, read_bundle
from compiler.printers.p4info import p4info
from runtime.device.contents import Contents, empty_contents
from runtime.device.fit import first_difference
from runtime.device.portnames import NO_PORTS, PortNames
from runtime.device.reads import Reader
from runtime.device.refusals import invalid
from runtime.device.schema import Schema, schema
from runtime.device.target import Instance
from runtime.device.updates import Writer
from runtime.verified import NOT_VERIFIED, RecordError, program_digests, program_standing, read_verification

LOG = logging.getLogger("turnout.device")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration, its codecs, what was written into it, and its place in the target."""

    config: p4r.ForwardingPipelineConfig
    schema: Schema
    contents: Contents
    instance: Instance
    writer: Writer
    reader: Reader

    @property
    def pipeline(self) -> Pipeline:
        return self.schema.pipeline

    def moved_to(self, instance: Instance) -> Loaded:
        """The same contents, in another place."""
        writer = Writer(self.schema, self.contents, instance)
        reader = Reader(self.schema, self.contents, instance)
        return replace(self, instance=instance, writer=writer, reader=reader)


def loaded(
    config: p4r.ForwardingPipelineConfig, pipeline: Pipeline, instance: Instance, ports: PortNames = NO_PORTS
) -> Loaded:
    """With nothing written into it yet."""
    codecs = schema(pipeline, ports)
    contents = empty_contents(pipeline, tuple(codecs.tables.values()), codecs.translations.numbers)
    return Loaded(
        config=config,
        schema=codecs,
        contents=contents,
        instance=instance,
        writer=Writer(codecs, contents, instance),
        reader=Reader(codecs, contents, instance),
    )


def read_config(config: p4r.ForwardingPipelineConfig) -> Bundle:
    """Raises INVALID_ARGUMENT."""
    if not config.p4_device_config:
        raise invalid("the config has no p4_device_config: the bundle that `turnout compile` writes")
    try:
        bundle = read_bundle(config.p4_device_config)
    except BundleError as problem:
        raise invalid(f"p4_device_config is not a bundle: {problem}") from problem
    check_fit(config.p4info, bundle.pipeline)
    LOG.info("pipeline %s %s: %s", bundle.pipeline.name, bundle.pipeline.version, _standing(bundle))
    return bundle


def check_fit(given: p4i.P4Info, pipeline: Pipeline) -> None:
    """Raises INVALID_ARGUMENT."""
    difference = first_difference(given, p4info(pipeline))
    if difference is not None:
        raise invalid(f"the P4Info is not that of pipeline {pipeline.name}: {difference}")


def _standing(bundle: Bundle) -> str:
    """Whether somebody has verified this very program, for who reads the log: nothing depends on it."""
    if bundle.verification is None:
        return NOT_VERIFIED
    try:
        record = read_verification(bundle.verification)
    except RecordError as problem:
        return f"{NOT_VERIFIED}: {problem}"
    return program_standing(record, program_digests(bundle.pipeline, bundle.tc, bundle.xdp))
