"""What works and may yet not be meant: sentences for the log and for `check`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from serial2iot.cloud.credentials import Validity
from serial2iot.cloud.options import SessionOptions, TelemetryOptions
from serial2iot.spool.contract import SpoolOptions


def warnings(
    session: SessionOptions,
    telemetry: TelemetryOptions,
    spool: SpoolOptions,
    validity: Validity,
    now: datetime,
) -> Iterator[str]:
    """Each is one sentence that names its key and what to do."""
    if said := validity.warning(now):
        yield f"mqtt.certificate: {said}"
    if telemetry.layout == "batch" and 0 < spool.commit_after_s < 2 * telemetry.max_age_s:
        yield (
            f"telemetry.max_age_s ({telemetry.max_age_s:g}) is more than half of buffer.commit_after_s"
            f" ({spool.commit_after_s:g}): every reading would reach the disk before its batch is acknowledged."
            " Make the first smaller or the second larger."
        )
    if (
        session.endpoint.endswith(".amazonaws.com")
        and "-ats.iot." not in session.endpoint
        and ".iot." in session.endpoint
    ):
        yield (
            f"mqtt.endpoint: {session.endpoint} is not an ATS endpoint, and its certificate is not signed by"
            " Amazon's root CA. See aws iot describe-endpoint --endpoint-type iot:Data-ATS"
        )
