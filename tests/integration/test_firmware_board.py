"""The simulated chip around the firmware: its serial line, its pins, its life and death."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from serial2iot.emulator import firmware, toolchain
from serial2iot.emulator.firmware import FirmwareBoard
from serial2iot.errors import EmulatorError
from tests.firmware_parts import need_toolchain
from tests.serial_line import SerialLine


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_toolchain()
    return tmp_path_factory.mktemp("boards")


@pytest.fixture
def sketch(tmp_path: Path):
    def write(code: str) -> Path:
        path = tmp_path / "test.ino"
        path.write_text(code)
        return path

    return write


# ---- the serial line


async def test_nothing_is_lost_on_the_way_to_the_board(tmp_path: Path, cache: Path, sketch) -> None:
    counting = sketch("""
        unsigned long n = 0, sum = 0;
        void setup() { Serial.begin(250000); }
        void loop() {
          while (Serial.available()) {
            byte b = Serial.read();
            n++; sum += b;
            if (b == '\\n') { Serial.print(n); Serial.print(' '); Serial.println(sum); }
          }
        }""")
    data = bytes(range(11, 251)) * 100 + b"\n"  # 24 kB: more than the pty holds, and a second of wire
    async with FirmwareBoard(tmp_path / "tty", counting, cache=cache) as board:
        with SerialLine(board.link) as line:
            await line.say(data)
            assert await line.line() == f"{len(data)} {sum(data)}"


async def test_all_bytes_come_through_both_ways(tmp_path: Path, cache: Path, sketch) -> None:
    echo = sketch(
        "void setup() { Serial.begin(115200); }"
        "void loop() { if (Serial.available()) Serial.write(Serial.read()); }"
    )
    data = bytes(range(256)) * 4
    async with FirmwareBoard(tmp_path / "tty", echo, cache=cache) as board:
        with SerialLine(board.link) as line:
            for at in range(0, len(data), 32):
                await line.say(data[at : at + 32])
                assert await line.bytes(32) == data[at : at + 32]
        assert await board.counts() == (len(data), 0)


async def test_what_nobody_reads_is_lost_and_counted(tmp_path: Path, cache: Path, sketch) -> None:
    chatter = sketch("void setup() { Serial.begin(2000000); } void loop() { Serial.println(micros()); }")
    async with FirmwareBoard(tmp_path / "tty", chatter, cache=cache) as board:
        async with asyncio.timeout(20):
            while (await board.counts()).lost_bytes < 1000:
                await asyncio.sleep(0.01)
        with SerialLine(board.link) as line:
            stamps = [int(said) for said in (await line.bytes(4096)).split(b"\r\n")[:-1]]
            assert stamps == sorted(stamps), "what was kept is in order"
            kept = (await board.counts()).bytes
            async with asyncio.timeout(20):
                while (await board.counts()).bytes < kept + 10_000:  # there is room again
                    await asyncio.sleep(0.01)


async def test_the_baud_rate_is_the_pace(tmp_path: Path, cache: Path, sketch) -> None:
    slow = sketch("""
        void setup() { Serial.begin(9600); }
        void loop() {
          unsigned long from = millis();
          for (int i = 0; i < 96; i++) Serial.write('x');
          Serial.flush();
          Serial.println(millis() - from);
          delay(50);
        }""")
    async with FirmwareBoard(tmp_path / "tty", slow, cache=cache) as board:
        with SerialLine(board.link) as line:
            took = int((await line.line()).lstrip("x"))
    assert 95 <= took <= 120, "96 bytes of 10 bits at 9600 baud are 100 ms; simavr takes 11 bits"


async def test_the_chips_second_is_a_second(tmp_path: Path, cache: Path) -> None:
    async with FirmwareBoard(tmp_path / "tty", cache=cache) as board:
        with SerialLine(board.link) as line:
            await line.line()
            began = time.monotonic()
            await line.lines(10)
            took = time.monotonic() - began
    assert took > 0.95, "never faster than time"
    assert took < 3, "and on a machine with anything to spare not much slower"


# ---- pins


async def test_pins_can_be_wired_and_seen(tmp_path: Path, cache: Path, sketch) -> None:
    follow = sketch("""
        void setup() {
          pinMode(2, INPUT_PULLUP); pinMode(3, INPUT); pinMode(13, OUTPUT);
          Serial.begin(115200); Serial.println("start");
        }
        void loop() {
          digitalWrite(13, digitalRead(2));
          Serial.print(digitalRead(2)); Serial.println(digitalRead(3));
        }""")
    async with FirmwareBoard(tmp_path / "tty", follow, cache=cache) as board:
        with SerialLine(board.link) as line:
            assert await line.lines(2) == ["start", "10"], "the pull-up against nothing, and nothing"
            await board.set_pin("D2", False)
            await board.set_pin("D3", True)
            await line.until("01")
            assert not await board.pin("B5")
            await board.reset()
            while not (await line.line()).endswith("start"):
                pass
            assert set(await line.lines(20)) == {"01"}, "wires survive a reset"
            await board.set_pin("D2", True)
            await line.until("11")
            assert await board.pin("B5")


async def test_wrong_wishes_are_refused_and_change_nothing(tmp_path: Path, cache: Path) -> None:
    async with FirmwareBoard(tmp_path / "tty", cache=cache) as board:
        for wish in (board.set_adc(8, 1), board.set_adc(0, 5001), board.set_pin("E1", True), board.pin("B8")):
            with pytest.raises(EmulatorError, match="refuses"):
                await wish
        with pytest.raises(EmulatorError, match="plugged in"):
            await board.plug()
        await board.unplug()
        await board.unplug()
        with pytest.raises(EmulatorError, match="not plugged in"):
            await board.reset()
        await board.plug()
        with SerialLine(board.link) as line:
            await line.line()


async def test_a_cancelled_question_does_not_mix_up_the_answers(tmp_path: Path, cache: Path) -> None:
    async with FirmwareBoard(tmp_path / "tty", cache=cache) as board:
        for _ in range(20):
            asked = asyncio.create_task(board.counts())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            asked.cancel()
            assert await board.pin("B5") is False
        answers = await asyncio.gather(board.counts(), board.pin("B5"), board.counts())
        assert isinstance(answers[0], firmware.FirmwareCounts)
        assert answers[1] is False


# ---- life and death


async def test_a_path_that_is_taken(tmp_path: Path, cache: Path) -> None:
    taken = tmp_path / "ttyACM0"
    taken.write_text("a real board")
    with pytest.raises(EmulatorError, match="not a simulated board"):
        async with FirmwareBoard(taken, cache=cache):
            pytest.fail("it took somebody's place")
    assert taken.read_text() == "a real board"


async def test_firmware_that_stops_the_chip_says_so(tmp_path: Path, cache: Path, sketch) -> None:
    stops = sketch("""
        #include <avr/sleep.h>
        void setup() { Serial.begin(115200); }
        void loop() { if (Serial.available()) { cli(); sleep_mode(); } }""")
    async with FirmwareBoard(tmp_path / "tty", stops, cache=cache) as board:
        with SerialLine(board.link) as line:
            await line.say(b"!")
            await asyncio.wait_for(line.hung_up.wait(), 5)
        for _ in range(2):
            with pytest.raises(EmulatorError, match="stopped the processor"):
                await board.pin("B5")
    with pytest.raises(EmulatorError, match="not running"):
        await board.pin("B5")


async def test_a_board_that_hangs_is_ended(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firmware, "_ANSWER_S", 0.2)
    monkeypatch.setattr(firmware, "_END_S", 0.2)
    async with FirmwareBoard(tmp_path / "tty", cache=cache) as board:
        process = board._process
        assert process
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(EmulatorError, match="does not answer"):
            await board.pin("B5")
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
async def test_it_does_not_outlive_its_owner(tmp_path: Path, cache: Path, stopped: bool) -> None:
    program = f"""
import asyncio
from pathlib import Path
from serial2iot.emulator.firmware import FirmwareBoard
async def main():
    async with FirmwareBoard(Path({str(tmp_path / "tty")!r}), cache=Path({str(cache)!r})) as board:
        print(board._process.pid, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""
    source = str(Path(firmware.__file__).parents[2])
    owner = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert owner.stdout
    async with asyncio.timeout(20):
        pid = int(await owner.stdout.readline())
        if stopped:  # it reads no stdin then
            os.kill(pid, signal.SIGSTOP)
        owner.kill()
        await owner.wait()
        if stopped:
            os.kill(pid, signal.SIGCONT)
        while _runs(pid):
            await asyncio.sleep(0.01)
    async with FirmwareBoard(tmp_path / "tty", cache=cache):  # what it left behind is replaced
        pass


def _runs(pid: int) -> bool:
    """Whether a process is more than an entry that its parent has yet to collect."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


# ---- building


def test_the_second_build_is_quick(tmp_path: Path, cache: Path, sketch) -> None:
    toolchain.build_sketch(sketch("void setup() {} void loop() {}"), cache)
    core = {path: path.stat().st_mtime_ns for path in cache.glob("core-*/core.a")}
    changed = sketch("void setup() { int different = 1; } void loop() {}")
    began = time.monotonic()
    elf = toolchain.build_sketch(changed, cache)
    compiled = time.monotonic() - began
    assert {path: path.stat().st_mtime_ns for path in cache.glob("core-*/core.a")} == core, "the core is kept"
    assert compiled < 1
    assert toolchain.build_sketch(changed, cache) == elf
    assert not list(cache.glob("making-*"))


def test_a_mistake_in_a_sketch_is_shown_where_it_is(tmp_path: Path, cache: Path, sketch) -> None:
    wrong = sketch("void setup() { later(); }\nvoid later() {}\nvoid loop() { mistake(); }\n")
    with pytest.raises(EmulatorError, match=r"test\.ino:3:.*mistake") as caught:
        toolchain.build_sketch(wrong, cache)
    assert "test.ino:1" not in str(caught.value)
    assert not list(cache.glob("making-*"))


def test_a_changed_header_is_noticed(tmp_path: Path, cache: Path, sketch) -> None:
    code = sketch('#include "pitch.h"\nvoid setup() { tone(8, PITCH); }\nvoid loop() {}\n')
    (tmp_path / "pitch.h").write_text("#define PITCH 440\n")
    first = toolchain.build_sketch(code, cache)
    (tmp_path / "pitch.h").write_text("#define PITCH 880\n")
    assert toolchain.build_sketch(code, cache).read_bytes() != first.read_bytes()
