"""Frames as they go out (RFC 6455): one is built, and the same bytes are sent to everybody."""

import msgspec

_encoder = msgspec.json.Encoder()
_TEXT = 0x81
_SHORT_MAX = 125


def text_frame(message: object) -> bytes:
    """Return a message as a text frame of its own; a server's are not masked."""
    payload = _encoder.encode(message)
    size = len(payload)
    if size <= _SHORT_MAX:
        head = bytes((_TEXT, size))
    elif size < 1 << 16:
        head = bytes((_TEXT, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((_TEXT, 127)) + size.to_bytes(8, "big")
    return head + payload


PING = b"\x89\x00"
