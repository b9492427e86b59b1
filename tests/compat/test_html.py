"""The stand-in for html.escape says what html.escape says."""

from __future__ import annotations

import html

from hypothesis import given
from hypothesis import strategies as st

from kissapi.compat.html import escape


@given(st.text())
def test_escape(text: str) -> None:
    for each in (text, f"<a href=\"x\" title='{text}'>&amp;{text}</a>"):
        assert escape(each) == html.escape(each)
        assert escape(each, quote=False) == html.escape(each, quote=False)
