"""The words by which Jobs are known again, and where they are."""

from __future__ import annotations

from typing import Final

UID_LABEL: Final = "turnout.dev/conversion-uid"
GENERATION_LABEL: Final = "turnout.dev/conversion-generation"
ATTEMPT_LABEL: Final = "turnout.dev/attempt"
CONVERSION_ANNOTATION: Final = "turnout.dev/conversion"
NODE_ANNOTATION: Final = "turnout.dev/node"
REPORT_ANNOTATION: Final = "turnout.dev/conversion-status"
"""JSON of an ImageConversion's status, written by the conversion that the Job runs."""


def jobs_path(namespace: str, name: str = "") -> str:
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    return f"{path}/{name}" if name else path
