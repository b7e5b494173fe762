"""Kubernetes' label selectors (LabelSelector of meta/v1): which labels they match, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from compiler.diagnostic import Report
from compiler.policy import codes
from compiler.policy.located import Located, PathPart
from compiler.policy.model import Model
from compiler.policy.values import LabelKey, Labels, LabelValue

Path = tuple[PathPart, ...]


class SelectorRequirement(Model):
    key: LabelKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Annotated[tuple[LabelValue, ...], Field(description="Of In and NotIn.")] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """As in Kubernetes, NotIn holds as well where there is no such label."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels


class LabelSelector(Model):
    """All of it must hold; one that says nothing matches everything."""

    match_labels: Labels = Field(default_factory=dict)
    match_expressions: tuple[SelectorRequirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        wanted = self.match_labels.items() <= labels.items()
        return wanted and all(requirement.matches(labels) for requirement in self.match_expressions)


def check_selector(selector: LabelSelector, located: Located[Any], path: Path, report: Report) -> None:
    """In and NotIn need values, the others may have none."""
    for index, requirement in enumerate(selector.match_expressions):
        at = (*path, "matchExpressions", index)
        needs_values = requirement.operator in ("In", "NotIn")
        if needs_values and not requirement.values:
            message = f"{requirement.operator} of '{requirement.key}' has no 'values'"
            report.add(codes.MISSING_FIELD, located.at(*at), message, expected="at least one value")
        elif requirement.values and not needs_values:
            message = f"{requirement.operator} of '{requirement.key}' has 'values'"
            report.add(codes.CONFLICTING_FIELDS, located.key(*at, "values"), message, expected="none")
