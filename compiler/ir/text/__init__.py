"""Pipelines as text: what bundles carry, goldens show and tests are written in. The grammar is in docs/ir.md.

`from_text(to_text(p)) == p` for every pipeline that the verifier accepts; spans point into the text that was read.
"""

from compiler.ir.text.printing import to_text
from compiler.ir.text.reading import from_text
from compiler.ir.text.tokens import TextError

__all__ = ["TextError", "from_text", "to_text"]
