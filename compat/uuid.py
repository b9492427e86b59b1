"""UUID, where the uuid module is missing: its value, spelling and comparison; nothing that makes new ones."""

from __future__ import annotations


class UUID:
    """A 128-bit identifier. Raises `ValueError` for what is not 32 hexadecimal digits (RFC 9562 §4)."""

    __slots__ = ("int",)

    def __init__(self, hex: str) -> None:
        digits = hex.replace("urn:", "").replace("uuid:", "").strip("{}").replace("-", "")
        if len(digits) != 32 or not set("0123456789abcdefABCDEF").issuperset(digits):
            raise ValueError("badly formed hexadecimal UUID string")
        self.int = int(digits, 16)

    @property
    def hex(self) -> str:
        return f"{self.int:032x}"

    @property
    def bytes(self) -> bytes:
        return self.int.to_bytes(16, "big")

    def __str__(self) -> str:
        digits = self.hex
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def __repr__(self) -> str:
        return f"UUID('{self}')"

    def __hash__(self) -> int:
        return hash(self.int)

    def __eq__(self, other: object) -> bool:
        return self.int == other.int if isinstance(other, UUID) else NotImplemented

    def __lt__(self, other: UUID) -> bool:
        return self.int < other.int
