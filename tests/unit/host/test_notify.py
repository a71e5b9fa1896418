"""What systemd is told and keeps, over a real notify socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from serial2iot.host import notify
from serial2iot.host.notify import Notify, take_back


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """systemd's end of the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        name = f"serial2iot-notify-{os.getpid()}"
        listening.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        yield listening


def test_reload_and_stop(systemd: socket.socket) -> None:
    told = Notify()
    told.reloading()
    told.extend_timeout(2.5)
    first, second = systemd.recv(4096).decode(), systemd.recv(4096).decode()
    words, _, usec = first.partition("\nMONOTONIC_USEC=")
    assert words == "RELOADING=1"
    assert usec.isdecimal()
    assert second == "EXTEND_TIMEOUT_USEC=2500000"
    told._notifier.socket.close()


def test_a_descriptor_travels_and_its_name_is_one_that_systemd_takes(systemd: socket.socket) -> None:
    told = Notify()
    read_end, write_end = os.pipe()
    told.store("line-a:b", write_end)
    told.forget("line-a:b")
    message, [fd], _, _ = socket.recv_fds(systemd, 4096, 4)
    assert message == b"FDSTORE=1\nFDNAME=line-a%3ab"
    assert systemd.recv(4096) == b"FDSTOREREMOVE=1\nFDNAME=line-a%3ab"
    os.write(fd, b"same pipe")
    assert os.read(read_end, 100) == b"same pipe"
    for each in (fd, read_end, write_end):
        os.close(each)
    told._notifier.socket.close()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # sdnotify leaves its socket to the collector
def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    told = Notify()
    told.store("line-a", 0)
    told.forget("line-a")
    told.reloading()


def test_descriptors_come_back_by_name_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(3)]
    base = max(fds) + 10
    for number, fd in enumerate(fds):
        os.dup2(fd, base + number)
        os.close(fd)
    monkeypatch.setattr(notify, "LISTEN_FDS_START", base)
    for name, value in (
        ("LISTEN_FDS", "3"),
        ("LISTEN_PID", str(os.getpid())),
        ("LISTEN_FDNAMES", "line-a%3ab:line-c:line-c"),
    ):
        monkeypatch.setenv(name, value)
    kept = take_back()
    assert kept == {"line-a:b": base, "line-c": base + 1}
    assert not os.get_inheritable(base)
    assert take_back() == {}, "once a process"
    for fd in kept.values():
        os.close(fd)


def test_what_is_meant_for_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    assert take_back() == {}
