"""What the pipeline means: plain Python that runs packets through it, and the state that packets meet.

`Model` is one device's state, `Interpreter` runs packets over it. Every other consumer of the IR is tested against
this one, so it is written to be read, not to be fast.
"""

from compiler.ir.interpreter.errors import (
    AlreadyExists,
    InUse,
    InvalidEntry,
    ModelError,
    NotFound,
    PermissionDenied,
    TableFull,
)
from compiler.ir.interpreter.execution import SentDigest
from compiler.ir.interpreter.model import LearnedEntry, Model, Tally
from compiler.ir.interpreter.replication import Copy
from compiler.ir.interpreter.run import Interpreter, Outcome, VerdictKind
from compiler.ir.interpreter.trace import TraceStep, trace_to_text

__all__ = [
    "AlreadyExists",
    "Copy",
    "InUse",
    "Interpreter",
    "InvalidEntry",
    "LearnedEntry",
    "Model",
    "ModelError",
    "NotFound",
    "Outcome",
    "PermissionDenied",
    "SentDigest",
    "TableFull",
    "Tally",
    "TraceStep",
    "VerdictKind",
    "trace_to_text",
]
