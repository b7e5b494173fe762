"""The text form of the real pipeline, of single expressions and statements, and what the reader says about mistakes."""

from __future__ import annotations

import pytest

from compiler.ir.nodes import Pipeline
from compiler.ir.text import TextError, from_text, to_text
from compiler.pipeline.assembly import pipeline
from tests.pipelines.acl import acl_pipeline
from tests.pipelines.fixed import fixed_pipeline

FRAME = """pipeline "x" version "1" main go drops lost
header_type pair { left: 8 right: 8 }
header one: pair
header two: pair
metadata { ingress_port: 16 flag: 1 a: 16 b: 16 long: 64 }
control go { %s }
"""


def body(pipeline_: Pipeline) -> str:
    """The lines of the control's body, without their indentation."""
    lines = to_text(pipeline_).split("control go {\n")[1].splitlines()[:-1]
    return "\n".join(line[2:] for line in lines)


def test_the_real_pipeline_reads_back_equal() -> None:
    text = to_text(pipeline())
    assert from_text(text) == pipeline()
    assert to_text(from_text(text)) == text


@pytest.mark.parametrize("made", [acl_pipeline(), fixed_pipeline()], ids=lambda made: made.name)
def test_pipelines_of_the_tests_read_back_equal(made: Pipeline) -> None:
    assert from_text(to_text(made)) == made


@pytest.mark.parametrize(
    "statement",
    [
        "meta.a = 5",
        "meta.a = 0x800",
        "meta.a = meta.a + meta.b + 1",
        "meta.a = meta.a - (meta.b - 1)",
        "meta.a = (meta.a - meta.b) - 1",
        "meta.a = (meta.a << 3:16) | (meta.b >> 13:5)",
        "meta.a = ~meta.b",
        "meta.a = ~(meta.a & meta.b)",
        "meta.flag = (~meta.a)[3:3]",
        "meta.flag = (meta.a + meta.b)[15:15]",
        "meta.a = concat(one.left, meta.a[7:0])",
        "meta.a = extend(one.left, 16)",
        "meta.long = now()",
        "meta.a = hash:16(meta.a, one.left)",
        "meta.a = random:16()",
        "meta.a = 5:16 - meta.a",
        "if valid(one) & !valid(two) & (one.left == 1) {\n  reply\n}",
        "if meta.flag {\n  reply\n} else if meta.a < 5 {\n  drop lost\n} else {\n  to_kernel\n}",
        "if !meta.flag {\n}",
        "apply t",
        "apply t {\n  hit {\n    run other\n  }\n}",
        "apply t {\n  miss {\n    reply\n  }\n}",
        "apply t rarely meta.flag",
        "apply t rarely meta.a == 2 {\n  hit {\n    reply\n  }\n}",
        "rewrite { one.left = 1  one.right = two.left }",
        "push {\n  one { }\n  two { left = 1:8  right = one.left }\n}",
        "pop one, two",
        "push_vlan 5:12",
        "pop_vlan",
        "truncate one 20",
        "learn t act(meta.a, 5:8) profile meta.b",
        "learn t act() profile 1:8 full {\n  drop lost\n}",
        "advance event",
        "count c meta.a",
        "forward meta.a",
    ],
)
def test_statements_read_back_as_written(statement: str) -> None:
    read = from_text(FRAME % statement)
    assert body(read) == statement
    assert from_text(to_text(read)) == read


def test_a_control_that_is_idle_without_tables_reads_back() -> None:
    text = (FRAME % "reply").replace("control go {", "control go idle_without one_table, other_table {")
    read = from_text(text)
    assert read.controls[0].idle_without == ("one_table", "other_table")
    assert from_text(to_text(read)) == read


def test_spans_point_into_the_text() -> None:
    read = from_text(FRAME % "meta.a = 5\n  forward meta.b", path="x.ir")
    assert [str(s.span) for s in read.controls[0].body] == ["x.ir:6:14", "x.ir:7:3"]
    assert str(read.controls[0].span) == "x.ir:6:1"


def test_doc_comments_keep_their_lines() -> None:
    text = FRAME % "reply"
    documented = text.replace("control go", "/// first\n///\n///  third\ncontrol go").replace(
        "{ reply }", "{ reply // note\n}"
    )
    assert from_text(documented).controls[0].doc == "first\n\n third"
    assert "/// first\n///\n///  third\ncontrol go {\n  reply\n}\n" in to_text(from_text(documented))


MISTAKES = [
    ("meta.a = $", "6:23: error[E0561]: '$' begins no word of the text form", None),
    ("meta.a = ", "6:24: error[E0561]: expected an expression, found '}'", None),
    ("meta.aa = 1", "6:19: error[E0505]: there is no metadata field 'aa' up to here", "did you mean 'a'?"),
    ("one.lift = 1", "6:18: error[E0505]: there is no field of header one 'lift' up to here", "did you mean 'left'?"),
    ("on.left = 1", "6:14: error[E0505]: there is no header 'on' up to here", "did you mean 'one'?"),
    ("count c 5", "6:22: error[E0561]: 5 needs its width here", "write 5:16 for 16 bits"),
    ("meta.a = meta.a + 1 - 2", "6:34: error[E0561]: + and then - need parentheses", None),
    ("meta.a = meta.a - 1 - 2", "6:34: error[E0561]: - and then - need parentheses", None),
    ("param.x = 1", "6:20: error[E0505]: there is no parameter 'x' up to here", None),
    ("rewrite { meta.a = 1 }", "6:24: error[E0561]: only fields of headers can be rewritten", None),
    ("applaud t", "6:14: error[E0561]: expected a statement, found 'applaud'", None),
    ("meta.a = vaild(one)", "6:23: error[E0505]: there is no function 'vaild' up to here", "did you mean 'valid'?"),
    ("apply t { miss { } hit { } }", "6:33: error[E0561]: expected '}', found 'hit'", None),
    ("reply", "7:1: error[E0561]: expected one of header_type, header", None),
    ("if 1 { " * 70, "6:458: error[E0561]: more than 64 levels are nested", None),
    ("meta.a = " + "(" * 70, "6:86: error[E0561]: more than 64 levels are nested", None),
    ("meta.a = meta.b" + " + 1" * 70, "6:282: error[E0561]: more than 64 terms in a row", None),
]


@pytest.mark.parametrize(("statement", "message", "hint"), MISTAKES, ids=[row[0][:30] for row in MISTAKES])
def test_mistakes(statement: str, message: str, hint: str | None) -> None:
    text = FRAME % statement + ("what" if statement == "reply" else "")
    with pytest.raises(TextError) as refused:
        from_text(text, path="x.ir")
    assert str(refused.value).startswith(f"x.ir:{message}")
    assert refused.value.diagnostic.hint == hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.ir:1:1: error[E0561]: expected 'pipeline', found the end of the text"),
        ("pipeline x", "x.ir:1:10: error[E0561]: expected the pipeline's name in quotes, found 'x'"),
        (r'pipeline "\q"', r"x.ir:1:10: error[E0561]: '\"\q\"' is no string".replace("\\\"", '"')),
        ('pipeline "x" version "1" main a drops b\n/// no\nmetadata { }', "x.ir:3:1: error[E0561]: a metadata has"),
        ('pipeline "x" version "1" main a drops b hot table', "x.ir:1:45: error[E0561]: expected 'control', found"),
        ('pipeline "x" version "1" main a drops b warm hot', "x.ir:1:46: error[E0561]: expected 'control', found"),
        ('pipeline "x" version "1" main a drops b header h: t', "x.ir:1:41: error[E0505]: there is no header type 't'"),
    ],
)  # fmt: skip
def test_mistakes_of_the_frame(text: str, message: str) -> None:
    with pytest.raises(TextError) as refused:
        from_text(text, path="x.ir")
    assert str(refused.value).startswith(message)
