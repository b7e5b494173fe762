"""ImageConversions: modes and platforms in full, fields that contradict each other, two conversions to one place."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.diagnostic import Report
from compiler.policy import codes
from compiler.policy.imagekinds import MODE_ALIASES, ImageConversion
from compiler.policy.imagenames import parse_destination, parse_image_name
from compiler.policy.located import Located
from compiler.policy.policyset import ImageConversion as Resolved
from compiler.policy.references import Claims, check_annotations
from compiler.policy.signingkeys import parse_signing_key


def resolve_conversions(objects: Mapping[str, Located[ImageConversion]], report: Report) -> tuple[Resolved, ...]:
    claims = Claims(report)
    return tuple(_resolved(objects[name], name, claims, report) for name in sorted(objects))


def _resolved(located: Located[ImageConversion], name: str, claims: Claims, report: Report) -> Resolved:
    metadata, spec = located.model.metadata, located.model.spec
    check_annotations(located, metadata.annotations, (), report)
    mode = MODE_ALIASES.get(spec.image_mode, spec.image_mode)
    _check_fields(located, mode, report)
    destination = None if spec.dest_image is None else parse_destination(spec.dest_image)
    if destination is not None:
        message = f"image '{destination}' is written by two conversions"
        span = located.at("spec", "destImage")
        claims.claim(destination, f"ImageConversion '{name}'", span, codes.DUPLICATE_DESTINATION, message)
    return Resolved(
        name=metadata.name,
        namespace=metadata.namespace,
        source=parse_image_name(spec.source_image),
        destination=destination,
        mode=mode,
        virtual_size_gib=spec.virtual_size_by_gb,
        compression=spec.compression,
        platforms=tuple(dict.fromkeys(spec.platforms)),
        signed_by=tuple(parse_signing_key(text) for text in spec.signed_by),
        pool=spec.pool or "",
        labels=tuple(sorted(metadata.labels.items())),
        span=located.span,
    )


def _check_fields(located: Located[ImageConversion], mode: str, report: Report) -> None:
    spec = located.model.spec
    if spec.virtual_size_by_gb is not None and mode != "block":
        message = f"virtualSizeByGB is the size of a disk, and mode {mode} makes none"
        report.add(codes.CONFLICTING_FIELDS, located.key("spec", "virtualSizeByGB"), message)
    if spec.compression != "none" and mode == "block":
        message = f"compression {spec.compression} is of modes erofs and overlayfs, and mode block writes a disk"
        report.add(codes.CONFLICTING_FIELDS, located.key("spec", "compression"), message)
    if spec.pool is not None:
        report.add(codes.NOT_SUPPORTED, located.key("spec", "pool"), "pool is not written to yet")
