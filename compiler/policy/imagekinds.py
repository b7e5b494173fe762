"""The kind ImageConversion, as files and CustomResourceDefinitions write it. Explained in docs/policies.md."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from compiler.diagnostic import did_you_mean
from compiler.policy.imagenames import (
    DESTINATION_EXPECTED,
    EXPECTED,
    ImageNameError,
    parse_destination,
    parse_image_name,
)
from compiler.policy.kinds import ApiVersion
from compiler.policy.model import Model, NamespacedKind
from compiler.policy.scalar import shortened
from compiler.policy.signingkeys import EXPECTED as KEY_EXPECTED
from compiler.policy.signingkeys import LONGEST_PEM, SigningKeyError, parse_signing_key
from compiler.policy.values import Labels, Name, refusal

MODES: Final = ("erofs", "overlayfs", "block")
MODE_ALIASES: Final = {"overlaybd": "block"}
Compression = Literal["none", "lz4"]
_PLATFORM: Final = re.compile(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?")


def _check_image(value: str) -> str:
    try:
        parse_image_name(value)
    except ImageNameError as error:
        raise refusal(f"'{shortened(value)}' {error}", expected=EXPECTED) from None
    return value


def _check_destination(value: str) -> str:
    try:
        parse_destination(value)
    except ImageNameError as error:
        raise refusal(f"'{shortened(value)}' {error}", expected=DESTINATION_EXPECTED) from None
    return value


def _check_mode(value: str) -> str:
    if value not in MODES and value not in MODE_ALIASES:
        hint = did_you_mean(value, (*MODES, *MODE_ALIASES))
        raise refusal(
            f"'{shortened(value)}' is not a mode", expected="erofs, overlayfs or block (or overlaybd)", hint=hint
        )
    return value


def _check_platform(value: str) -> str:
    if not _PLATFORM.fullmatch(value):
        raise refusal(
            f"'{shortened(value)}' is not a platform", expected="os/architecture[/variant], such as linux/arm64"
        )
    return value


def _check_key(value: str) -> str:
    try:
        parse_signing_key(value)
    except SigningKeyError as error:
        raise refusal(f"the key {error}", expected=KEY_EXPECTED) from None
    return value


ImageText = Annotated[str, AfterValidator(_check_image)]
DestinationText = Annotated[str, AfterValidator(_check_destination)]
ImageMode = Annotated[str, AfterValidator(_check_mode), Field(json_schema_extra={"enum": [*MODES, *MODE_ALIASES]})]
KeyText = Annotated[str, AfterValidator(_check_key), Field(json_schema_extra={"maxLength": LONGEST_PEM})]
PlatformText = Annotated[
    str, AfterValidator(_check_platform), WithJsonSchema({"type": "string", "pattern": f"^{_PLATFORM.pattern}$"})
]


class ImageConversionSpec(Model):
    field_hints: ClassVar[dict[str, str]] = {
        "image": "write 'sourceImage'",
        "platform": "write a list, 'platforms'",
        "key": "write a list, 'signedBy'",
        "publicKey": "write a list, 'signedBy'",
        "virtualSizeByGb": "write 'virtualSizeByGB'",
        "selector": "write 'nodeSelector'",
    }

    source_image: Annotated[ImageText, Field(description="What is converted: a registry's image, or a layout.")]
    dest_image: Annotated[
        DestinationText | None, Field(description="Where the image is pushed to, with hints about its volumes.")
    ] = None
    image_mode: Annotated[ImageMode, Field(description="erofs, overlayfs or block; overlaybd is block.")] = "erofs"
    virtual_size_by_gb: Annotated[
        int | None, Field(alias="virtualSizeByGB", ge=1, le=65_536, description="Size of the disk in GiB; for block.")
    ] = None
    compression: Annotated[
        Compression,
        Field(description="Of the volumes' files: none, or lz4 for fewer bytes over a link; not for block."),
    ] = "none"
    platforms: Annotated[
        tuple[PlatformText, ...], Field(description="os/architecture[/variant]; default: that of the machine.")
    ] = ()
    signed_by: Annotated[
        tuple[KeyText, ...],
        Field(max_length=10, description="PEM public keys; one of them must have signed the image."),
    ] = ()
    pool: Annotated[Name | None, Field(description="Where volumes are made; default: the machine's own store.")] = None
    node_selector: Annotated[
        Labels, Field(description="In a cluster: labels of the nodes that adopt it by themselves; default: all.")
    ] = Field(default_factory=dict)


class ImageBlock(Model):
    """One volume of the result."""

    name: Annotated[str, Field(description="The volume's digest.")]
    role: Annotated[Literal["root", "layers", "disk", "changes"], Field(description="What it is to the image.")]
    platform: str = ""
    size_bytes: Annotated[int, Field(ge=0)] = 0


class ConvertedImage(Model):
    """What it was made from: one platform's image."""

    digest: Annotated[str, Field(description="Of its manifest.")]
    platform: str = ""


class Adoption(Model):
    """How far other nodes are, as they have told."""

    nodes: Annotated[int, Field(ge=0, description="That it concerns.")] = 0
    adopted: Annotated[int, Field(ge=0, description="Of these, that start containers from the volumes.")] = 0


class Condition(Model):
    """As metav1.Condition."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class ImageConversionStatus(Model):
    """What a conversion has come to. A cluster's is written by `turnout agent image-controller`."""

    phase: Annotated[
        Literal["Pending", "Pulling", "Converting", "Publishing", "Succeeded", "Failed"],
        Field(description="What is being done."),
    ] = "Pending"
    progress: Annotated[int, Field(ge=0, le=100, description="Percent of the phase.")] = 0
    blocks: Annotated[tuple[ImageBlock, ...], Field(description="The volumes that there are.")] = ()
    images: Annotated[tuple[ConvertedImage, ...], Field(description="What the volumes were made from.")] = ()
    conditions: Annotated[
        tuple[Condition, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = ()
    ready: Annotated[bool, Field(description="Containers start from the volumes.")] = False
    node: Annotated[str, Field(description="In a cluster: the node that converts, or has the volumes.")] = ""
    server: Annotated[str, Field(description="In a cluster: where other nodes read the volumes.")] = ""
    adoption: Annotated[Adoption | None, Field(description="In a cluster: how many nodes have adopted it.")] = None
    observed_generation: Annotated[
        int, Field(ge=0, description="In a cluster: the metadata.generation that this is about.")
    ] = 0


class ImageConversion(NamespacedKind):
    """An image made into volumes once, so that containers start from them without pulling."""

    api_version: ApiVersion
    kind: Literal["ImageConversion"]
    spec: ImageConversionSpec
    status: ImageConversionStatus | None = None
