"""Bits of HEVC headers: fixed-length and Exp-Golomb codes (H.265 clause 9.2), and emulation prevention (7.3.1.1)."""

from __future__ import annotations

from dsr.data_pipelines.codecs.base import CodecError


class BitReader:
    """Reads codes from bytes, most significant bit first; raises CodecError past the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def u(self, bits: int) -> int:
        """The next `bits` bits as an unsigned number."""
        start, end = self._position, self._position + bits
        if end > 8 * len(self._data):
            raise CodecError("an HEVC header ends too early")
        self._position = end
        window = int.from_bytes(self._data[start // 8 : (end + 7) // 8], "big")
        return window >> -end % 8 & (1 << bits) - 1

    def ue(self) -> int:
        """An unsigned Exp-Golomb code of at most 32 bits' value."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise CodecError("an HEVC header holds an Exp-Golomb code that is too long")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """A signed Exp-Golomb code."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


class BitWriter:
    """Collects codes; `bytes` pads the last byte with zeros."""

    def __init__(self) -> None:
        self._value = 0
        self._bits = 0

    def u(self, bits: int, value: int) -> None:
        self._value = self._value << bits | value
        self._bits += bits

    def ue(self, value: int) -> None:
        self.u(2 * (value + 1).bit_length() - 1, value + 1)

    def trailing(self) -> None:
        """The stop bit that ends an RBSP."""
        self.u(1, 1)

    def __bytes__(self) -> bytes:
        padding = -self._bits % 8
        return (self._value << padding).to_bytes((self._bits + padding) // 8, "big")


def escape(rbsp: bytes) -> bytes:
    """Inserts emulation prevention bytes, so that no start code appears inside a NAL unit."""
    escaped = bytearray()
    zeros = 0
    for byte in rbsp:
        if zeros >= 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(escaped)


def unescape(nal: bytes) -> bytes:
    """Removes the emulation prevention bytes."""
    return nal.replace(b"\0\0\3", b"\0\0")
