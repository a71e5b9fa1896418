"""Bytes to frames to values. Pure: no I/O, no clock, no asyncio."""
