"""Numbers by step -> an event file, as TensorBoard reads it; nothing needs to be installed.

A file is a row of records: length, checksum of the length, an `Event` message of Protocol Buffers,
checksum of the message. Of the message format only numbers, text and messages are needed.
"""

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

_POLYNOMIAL = 0x82F63B78  # of CRC-32C, its bits reversed


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


def checksum(data: bytes) -> int:
    """CRC-32C, turned and shifted as these files want it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class Events:
    """An event file that grows."""

    def __init__(self, folder: Path, first: int) -> None:
        """Start a file.

        Args:
            folder: where it is made; TensorBoard puts all files of a folder together.
            first: step that comes first; what an earlier file says of it or of later ones is no
                longer shown.
        """
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        self.path = Path(folder) / name
        self._write(_text(3, "brain.Event:2"))
        if first > 1:
            self._write(_whole(2, first) + _message(7, _whole(1, 1)))  # session_log: START

    def add(self, row: Mapping[str, float], step: int) -> None:
        """Write numbers of a step, by name."""
        values = b"".join(
            _message(1, _text(1, name) + _single(2, value)) for name, value in row.items()
        )
        self._write(_whole(2, step) + _message(5, values))

    def _write(self, event: bytes) -> None:
        event = _double(1, time.time()) + event  # wall_time
        length = struct.pack("<Q", len(event))
        parts = length, struct.pack("<I", checksum(length)), event
        with open(self.path, "ab") as file:
            file.write(b"".join(parts) + struct.pack("<I", checksum(event)))


# ---- Protocol Buffers: a field is its number and kind, then its value ----------------------------


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _whole(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _message(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())


def _single(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)
