"""serial2iot: from a serial line to AWS IoT Core, with nothing lost and a truthful shadow."""

__version__ = "0.1.0"
