"""What all kinds share: the model's rules, and Kubernetes metadata."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from compiler.policy.values import Annotations, LabelName, Labels, Name


class Model(BaseModel):
    """Frozen, strict, camelCase in files, unknown fields refused. A null field counts as left out, as in Kubernetes."""

    # A validator is built when its kind is met first: all of them take a twentieth of a second.
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", alias_generator=to_camel, defer_build=True)

    field_hints: ClassVar[dict[str, str]] = {}
    """The hint for a field that people may expect but that does not exist here."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if isinstance(data, dict) and None in data.values():  # pyright: ignore[reportUnknownMemberType]
            known = field_aliases(cls)
            return {key: value for key, value in data.items() if value is not None or key not in known}  # pyright: ignore
        return data  # pyright: ignore[reportUnknownVariableType]


def field_aliases(model: type[BaseModel]) -> tuple[str, ...]:
    """The names of a model's fields as files write them."""
    return tuple(info.alias or name for name, info in model.model_fields.items())


class OwnerReference(Model):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ManagedFields(Model):
    """Server-side apply's bookkeeping, printed by `kubectl get -o yaml --show-managed-fields`."""

    manager: str = ""
    operation: str = ""
    api_version: str = ""
    time: str = ""
    fields_type: str = ""
    fields_v1: dict[str, Any] = Field(default_factory=dict, alias="fieldsV1")
    subresource: str = ""


class ClusterMeta(Model):
    """ObjectMeta (meta/v1) of a kind that belongs to the whole cluster."""

    field_hints: ClassVar[dict[str, str]] = {"namespace": "this kind belongs to the whole cluster, not to a namespace"}

    name: Name
    labels: Labels = Field(default_factory=dict)
    annotations: Annotations = Field(default_factory=dict)
    # What the API server fills in; accepted so that printed objects can be read back, and of no effect here.
    generate_name: str = ""
    self_link: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    deletion_grace_period_seconds: int = 0
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()
    managed_fields: tuple[ManagedFields, ...] = ()


class ObjectMeta(ClusterMeta):
    """ObjectMeta (meta/v1) of a kind that lives in a namespace."""

    field_hints: ClassVar[dict[str, str]] = {}

    namespace: LabelName = "default"


class Kind(Model):
    """An object with metadata: everything that a policy file holds."""

    metadata: ClusterMeta


class NamespacedKind(Kind):
    metadata: ObjectMeta  # pyright: ignore[reportIncompatibleVariableOverride]  (models are frozen, so this is sound)
