"""The stand-in for json against json itself, over whatever hypothesis can think of."""

from __future__ import annotations

import json as real
from typing import Any

import pytest

from kissapi.compat import json as standin

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed")
st = hypothesis.strategies
often = hypothesis.settings(deadline=None, derandomize=True, max_examples=150)

OPTIONS: list[dict[str, Any]] = [
    {},
    {"indent": 2},
    {"ensure_ascii": False, "separators": (",", ":")},
    {"allow_nan": False},
]


def outcome(function: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    try:
        result = function(*args, **kwargs)
    except Exception as error:
        place = getattr(error, "msg", None), getattr(error, "pos", None)
        return (
            type(error).__name__,
            *place,
            str(error).partition(":")[0],
        )  # 3.12 adds the float behind the colon
    return repr(result), type(result)


# Not all of Unicode, whose table costs hypothesis seconds: a letter of each sort that json treats alike.
texts = st.text('aZ0 "\\/\b\n\x00\x1f\x7f\x80é\u2028\ud83d\ude00😀', max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(texts | st.integers() | st.floats() | st.none(), inner),
    max_leaves=20,
)


@often
@hypothesis.given(values, st.sampled_from(OPTIONS))
def test_any_value(value: Any, options: dict[str, Any]) -> None:
    assert outcome(standin.dumps, value, **options) == outcome(real.dumps, value, **options)
    text = real.dumps(value)
    assert outcome(standin.loads, text) == outcome(real.loads, text)


@often
@hypothesis.given(st.text('[]{},:"\\u0dD8cC-+.eE1 \n\ttrufalsnNIy/b\x00é', max_size=12))
def test_any_text(text: str) -> None:
    expected = outcome(real.loads, text)
    if "trailing comma" not in str(expected):
        assert outcome(standin.loads, text) == expected


@often
@hypothesis.given(
    st.binary(max_size=8) | texts.map(lambda text: f'["{text}"]'.encode("utf-16", "surrogatepass"))
)
def test_any_bytes(data: bytes) -> None:
    assert outcome(standin.loads, data) == outcome(real.loads, data)
