"""The ready profiles, each fed what its data sheet, specification or example program says that the device sends."""

from __future__ import annotations

from typing import Any

import pytest

from serial2iot.wire.pipeline import Pipeline
from serial2iot.wire.stuffing import COBS_END
from tests.unit.wire.wiring import EXAMPLES, carried, example

# DSMR 5.0.2, section 6.12, its example telegram. The CRC printed there (EF2F) is of other line ends than the
# specification asks for; E47C is that of the telegram as a meter sends it.
DSMR_5 = rb"""/ISk5\2MT382-1000

1-3:0.2.8(50)
0-0:1.0.0(101209113020W)
0-0:96.1.1(4B384547303034303436333935353037)
1-0:1.8.1(123456.789*kWh)
1-0:1.8.2(123456.789*kWh)
1-0:2.8.1(123456.789*kWh)
1-0:2.8.2(123456.789*kWh)
0-0:96.14.0(0002)
1-0:1.7.0(01.193*kW)
1-0:2.7.0(00.000*kW)
0-0:96.7.21(00004)
0-0:96.7.9(00002)
1-0:99.97.0(2)(0-0:96.7.19)(101208152415W)(0000000240*s)(101208151004W)(0000000301*s)
1-0:32.32.0(00002)
1-0:52.32.0(00001)
1-0:72.32.0(00000)
1-0:32.36.0(00000)
1-0:52.36.0(00003)
1-0:72.36.0(00000)
0-0:96.13.0(303132333435363738393A3B3C3D3E3F303132333435363738393A3B3C3D3E3F303132333435363738393A3B3C3D3E3F303132333435363738393A3B3C3D3E3F303132333435363738393A3B3C3D3E3F)
1-0:32.7.0(220.1*V)
1-0:52.7.0(220.2*V)
1-0:72.7.0(220.3*V)
1-0:31.7.0(001*A)
1-0:51.7.0(002*A)
1-0:71.7.0(003*A)
1-0:21.7.0(01.111*kW)
1-0:41.7.0(02.222*kW)
1-0:61.7.0(03.333*kW)
1-0:22.7.0(04.444*kW)
1-0:42.7.0(05.555*kW)
1-0:62.7.0(06.666*kW)
0-1:24.1.0(003)
0-1:96.1.0(3232323241424344313233343536373839)
0-1:24.2.1(101209112500W)(12785.123*m3)
!E47C
""".replace(b"\n", b"\r\n")

# A telegram of a real DSMR 4.2 meter, published with its CRC: a proof that is not of our making.
KAIFA_4_2 = rb"""/KFM5KAIFA-METER

1-3:0.2.8(42)
0-0:1.0.0(180605091333S)
0-0:96.1.1(4530303236303030303133343837363135)
1-0:1.8.1(001790.476*kWh)
1-0:1.8.2(002320.188*kWh)
1-0:2.8.1(000000.000*kWh)
1-0:2.8.2(000000.000*kWh)
0-0:96.14.0(0002)
1-0:1.7.0(00.258*kW)
1-0:2.7.0(00.000*kW)
0-0:96.7.21(00010)
0-0:96.7.9(00004)
1-0:99.97.0(1)(0-0:96.7.19)(000101000011W)(2147483647*s)
1-0:32.32.0(00000)
1-0:52.32.0(00000)
1-0:72.32.0(00000)
1-0:32.36.0(00000)
1-0:52.36.0(00000)
1-0:72.36.0(00000)
0-0:96.13.1()
0-0:96.13.0()
1-0:31.7.0(000*A)
1-0:51.7.0(000*A)
1-0:71.7.0(000*A)
1-0:21.7.0(00.125*kW)
1-0:22.7.0(00.000*kW)
1-0:41.7.0(00.124*kW)
1-0:42.7.0(00.000*kW)
1-0:61.7.0(00.009*kW)
1-0:62.7.0(00.000*kW)
0-1:24.1.0(003)
0-1:96.1.0(4730303235303033333436333738353136)
0-1:24.2.1(180605090000S)(05225.708*m3)
!F7F2
""".replace(b"\n", b"\r\n")

# A frame captured from a PMS5003; its sum is 0x030F.
PMS5003 = bytes.fromhex("424d001c 0003 0004 0007 0003 0004 0007 02d0 00b8 0019 0008 0004 0002 9700 030f")
# A frame captured from an SDS011: 8C+00+94+00+BC+F9 = 0x2D5.
SDS011 = bytes.fromhex("aac08c009400bcf9d5ab")
# The answer to command 0x86 in Winsen's manual: 0x0260 = 608 ppm.
MH_Z19 = bytes.fromhex("ff86026047000000d1")
# "123456789" with its published CRC-16/CCITT-FALSE, 29B1; no zeros in it, so one COBS block of 11 bytes.
COBS = b"\x0c123456789" + bytes.fromhex("b129") + COBS_END

CASES: list[tuple[str, bytes, list[Any]]] = [
    ("arduino-json.toml", b'{"t":23.40,"h":55.00}\r\n', [{"t": 23.4, "h": 55.0}]),
    ("arduino-json.toml", b'{"t":nan,"h":55.00}\r\n', [{"t": None, "h": 55.0}]),
    # ArduinoSerialPlotterProtocol.md: both traces labelled, one label sent once, bare values.
    ("arduino-plotter.toml", b"Value:377\tAVG5:431.01\r\n", [{"Value": 377, "AVG5": 431.01}]),
    ("arduino-plotter.toml", b"Label 1:\r\n10\r\n11\r\n", [{"Label 1": 10}, {"Label 1": 11}]),
    ("arduino-plotter.toml", b"10\r\n11 12\r\n", [{"value": 10}, {"value1": 11, "value2": 12}]),
    (
        "arduino-csv.toml",
        b"temperature,humidity,door\r\n23.40,55.00,open\r\n23.40,55",
        [{"temperature": 23.4, "humidity": 55.0, "door": "open"}],
    ),
    ("arduino-csv.toml", b"23.40,55.00\r\n", ["wrong_columns"]),
    (
        "dht-tester.toml",
        "DHTxx test!\r\nHumidity: 55.00 %  Temperature: 23.40 °C\r\n".encode(),
        [{"humidity": 55.0, "temperature": 23.4}, "no_match"],
    ),
    (  # DHTtester of 2018 and later
        "dht-tester.toml",
        "Humidity: 55.00%  Temperature: 23.40°C 74.12°F  Heat index: 23.30°C 73.94°F\r\n".encode(),
        [{"humidity": 55.0, "temperature": 23.4}],
    ),
    (  # DHTtester before that
        "dht-tester.toml",
        b"Humidity: 55.00 %\tTemperature: 23.40 *C 74.12 *F\tHeat index: 23.30 *C 73.94 *F\r\n",
        [{"humidity": 55.0, "temperature": 23.4}],
    ),
    (
        "json-sensor.toml",
        b'{"id":"bme280","temp_c100":2340,"hum":55,"press_pa":100650,"uptime_ms":123456}\n',
        [{"temperature": 23.4, "humidity": 55, "pressure_hpa": 1006.5}],
    ),
    (  # the sentence of NMEA 0183's own GGA example
        "nmea-gps.toml",
        b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n",
        [
            {
                "utc": "123519",
                "lat_deg": 48,
                "lat_min": 7.038,
                "lat": "N",
                "lon_deg": 11,
                "lon_min": 31.0,
                "lon": "E",
                "fix": 1,
                "satellites": 8,
                "hdop": 0.9,
                "altitude_m": 545.4,
            }
        ],
    ),
    (  # its RMC example
        "nmea-gps.toml",
        b"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n",
        [{"utc": "123519", "status": "A", "speed_kn": 22.4, "course_deg": 84.4, "date": "230394"}],
    ),
    (  # a receiver without a fix (u-blox), and a sentence of no interest
        "nmea-gps.toml",
        b"$GPGGA,,,,,,0,00,99.99,,,,,,*48\r\n$GPGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99*30\r\n",
        [
            {
                "utc": None,
                "lat": None,
                "lon": None,
                "fix": 0,
                "satellites": 0,
                "hdop": 99.99,
                "altitude_m": None,
            }
        ],
    ),
    ("nmea-gps.toml", b"$GPGGA,123519,4807.039,N*47\r\n$GPGGA,1\r\n", ["bad_checksum", "checksum_missing"]),
    (
        "dsmr-p1.toml",
        DSMR_5,
        [
            {
                "meter_time": "101209113020W",
                "import_t1_kwh": 123456.789,
                "import_t2_kwh": 123456.789,
                "export_t1_kwh": 123456.789,
                "export_t2_kwh": 123456.789,
                "tariff": 2,
                "import_kw": 1.193,
                "export_kw": 0.0,
                "l1_v": 220.1,
                "l1_a": 1,
                "gas_time": "101209112500W",
                "gas_m3": 12785.123,
            }
        ],
    ),
    (
        "dsmr-p1.toml",
        KAIFA_4_2,
        [
            {
                "meter_time": "180605091333S",
                "import_t1_kwh": 1790.476,
                "import_t2_kwh": 2320.188,
                "export_t1_kwh": 0.0,
                "export_t2_kwh": 0.0,
                "tariff": 2,
                "import_kw": 0.258,
                "export_kw": 0.0,
                "l1_a": 0,
                "gas_time": "180605090000S",
                "gas_m3": 5225.708,
            }
        ],
    ),
    (
        "pms5003.toml",
        PMS5003,
        [
            {
                "pm1_ug_m3": 3,
                "pm2_5_ug_m3": 4,
                "pm10_ug_m3": 7,
                "over_0_3um_per_dl": 720,
                "over_0_5um_per_dl": 184,
                "over_1um_per_dl": 25,
                "over_2_5um_per_dl": 8,
                "over_5um_per_dl": 4,
                "over_10um_per_dl": 2,
            }
        ],
    ),
    ("sds011.toml", SDS011, [{"pm2_5_ug_m3": 14.0, "pm10_ug_m3": 14.8}]),
    ("mh-z19.toml", MH_Z19, [{"co2_ppm": 608}]),
    (
        "cobs-crc.toml",
        COBS,
        [
            {
                "n": 0x31,
                "temperature_c": 0x3332 / 100,
                "humidity_percent": 0x3534 / 100,
                "pressure_hpa": 0x39383736 / 100,
            }
        ],
    ),
]


@pytest.mark.parametrize(("profile", "sent", "expected"), CASES)
def test_profile_reads_what_its_device_sends(profile: str, sent: bytes, expected: list[Any]) -> None:
    assert carried(Pipeline(example(profile)), sent) == expected


def test_every_profile_is_proved() -> None:
    assert {profile for profile, _, _ in CASES} == {path.name for path in EXAMPLES.glob("*.toml")}


@pytest.mark.parametrize(
    ("profile", "frame"), [("pms5003.toml", PMS5003), ("sds011.toml", SDS011), ("mh-z19.toml", MH_Z19)]
)
def test_one_byte_lost_costs_one_frame_of_a_binary_sensor(profile: str, frame: bytes) -> None:
    for lost in range(len(frame)):
        pipeline = Pipeline(example(profile))
        bodies, bad = pipeline.feed(frame + frame[:lost] + frame[lost + 1 :] + frame, now=0.0)
        assert len(bodies) == 2, f"byte {lost} lost"
        assert sum(each.size for each in bad) == len(frame) - 1


def test_a_changed_byte_anywhere_in_a_telegram_is_noticed() -> None:
    for place in range(0, len(DSMR_5) - 6, 7):
        damaged = bytearray(DSMR_5)
        damaged[place] ^= 0x04
        bodies, _ = Pipeline(example("dsmr-p1.toml")).feed(bytes(damaged), now=0.0)
        assert bodies == []
