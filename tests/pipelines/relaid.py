"""Turnout's own pipeline with its store of IPv4 connections in another layout: wider slots, and fewer of them."""

from __future__ import annotations

from functools import cache

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text, to_text
from compiler.pipeline.assembly import pipeline

_CHANGES = (
    ("action 0x01000011 translate_ipv4(\n", "action 0x01000011 translate_ipv4(\n  7 weight: 8,\n"),
    ("action 0x01000012 translate_reply_ipv4(\n", "action 0x01000012 translate_reply_ipv4(\n  7 weight: 8,\n"),
    ("learn flow_ipv4 translate_ipv4(", "learn flow_ipv4 translate_ipv4(0x7:8, "),
    ("learn flow_reverse_ipv4 translate_reply_ipv4(", "learn flow_reverse_ipv4 translate_reply_ipv4(0x7:8, "),
    ("renew fragment_ipv4 translate_ipv4(", "renew fragment_ipv4 translate_ipv4(0x7:8, "),
    ("renew fragment_reply_ipv4 translate_reply_ipv4(", "renew fragment_reply_ipv4 translate_reply_ipv4(0x7:8, "),
    ("store connections_ipv4 {\n  size 131072  ways 4\n", "store connections_ipv4 {\n  size 65536  ways 2\n"),
)


@cache
def relaid_pipeline() -> Pipeline:
    text = to_text(pipeline())
    for old, new in _CHANGES:
        if text.count(old) != 1:
            raise AssertionError(f"the pipeline has {old!r} {text.count(old)} times")
        text = text.replace(old, new)
    return from_text(text)
