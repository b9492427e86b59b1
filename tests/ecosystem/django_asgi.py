"""Django's admin by ASGI."""

from __future__ import annotations

from tests.ecosystem.django_site import visit_admin


def main() -> str:
    return visit_admin("asgi")
