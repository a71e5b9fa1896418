"""`deploy.sh` and the service, on Debian 12 and 13 with their own systemd: what an owner of a Pi does and sees."""

from __future__ import annotations

import json
import re

import pytest

from tests.scene import TELEMETRY
from tests.system.pi import Pi

pytestmark = [pytest.mark.long, pytest.mark.timeout(400), pytest.mark.asyncio(loop_scope="module")]

BROKEN = 'raise RuntimeError("broken on purpose")\n'
KILL_AND_BACK_S = 20


async def test_on_a_fresh_system_it_installs_and_says_what_is_left_to_do(pi: Pi) -> None:
    checkout = pi.checkouts.folder / "now"
    before = sorted(checkout.rglob("*"))
    said = await pi.deploy_well("install")
    assert sorted(checkout.rglob("*")) == before, "root left files in the checkout"
    assert "/etc/serial2iot/config.toml" in said
    assert "/etc/serial2iot/certs" in said
    state = await pi.show("UnitFileState", "ActiveState", "Result", "NRestarts")
    assert state == {
        "UnitFileState": "enabled",
        "ActiveState": "inactive",
        "Result": "success",
        "NRestarts": "0",
    }
    modes = await pi.run("stat", "--format=%a %U:%G", "/etc/serial2iot/config.toml", "/etc/serial2iot/certs")
    assert modes.split("\n")[:2] == ["640 root:serial2iot", "750 root:serial2iot"]
    user = await pi.run("sh", "-c", "getent passwd serial2iot; id -nG serial2iot; passwd -S serial2iot")
    assert "/usr/sbin/nologin" in user
    assert "dialout" in user
    assert re.search(r"^serial2iot L", user, re.MULTILINE), "the account is not locked"
    assert (await pi.run("serial2iot", "--version")).split() == ["serial2iot", pi.checkouts.version]
    assert (await pi.machine.status("which", "gcc"))[0] != 0, "a compiler was installed"


async def test_once_configured_it_runs_and_the_shadow_says_connected(
    pi: Pi, capsys: pytest.CaptureFixture[str]
) -> None:
    await pi.deploy_well("install")
    await pi.configure()
    assert "installed and running" in await pi.deploy_well("install")
    await pi.cloud.until_reported(connected=True, within_s=20)
    async with pi.cloud.watch(TELEMETRY) as watch:
        assert json.loads((await watch.next(within_s=10)).payload)["port"] == "arduino"

    async def tells() -> bool:
        return (await pi.show("StatusText"))["StatusText"].startswith("connected;")

    await pi.until("STATUS=connected", tells)
    assert "arduino: /dev/ttyACM0" in (await pi.show("StatusText"))["StatusText"]
    assert (await pi.run("stat", "--format=%a %U:%G", "/var/lib/serial2iot")).split() == [
        "750",
        "serial2iot:serial2iot",
    ]
    await pi.run("systemctl", "restart", "serial2iot")
    times = await pi.show("InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    began, ready = (int(each) / 1e6 for each in times.values())
    memory = await pi.run("grep", "VmRSS", f"/proc/{await pi.pid()}/status")
    resident = int(memory.split()[1]) / 1024
    with capsys.disabled():
        print(f"\n  {pi.machine.name}: start to READY {ready - began:.2f} s; resident {resident:.0f} MiB")
    assert ready - began < 10
    assert resident < 120


async def test_installed_twice_nothing_happens(running: Pi) -> None:
    before = await running.pid()
    config = await running.run("cat", "/etc/serial2iot/config.toml")
    await running.deploy_well("install")
    await running.deploy_well("upgrade")
    assert await running.pid() == before
    assert await running.run("cat", "/etc/serial2iot/config.toml") == config
    assert (await running.run("ls", "/opt/serial2iot")).split() == [running.checkouts.version, "current"]


async def test_the_unit_is_understood_and_hardened(running: Pi) -> None:
    assert await running.run("systemd-analyze", "verify", "serial2iot.service") == ""
    store = await running.show("FileDescriptorStoreMax", "FileDescriptorStorePreserve")
    assert store["FileDescriptorStoreMax"] == "32"
    assert store.get("FileDescriptorStorePreserve", "yes") == "yes"  # unknown before systemd 254
    said = await running.run("systemd-analyze", "security", "serial2iot.service", "--no-pager")
    exposure = re.search(r"exposure level.*: ([\d.]+)", said)
    assert exposure is not None
    assert float(exposure[1]) <= 1.5
    if (await running.machine.status("udevadm", "verify", "--help"))[0] == 0:  # systemd 254 and later
        await running.run("udevadm", "verify", "/etc/udev/rules.d/70-serial2iot.rules")


async def test_in_its_sandbox_it_can_ask_for_the_time(running: Pi) -> None:
    await running.drop_in("ExecStartPre=timedatectl show --property=NTPSynchronized")
    await running.run("systemctl", "restart", "serial2iot")
    said = [entry["MESSAGE"] for entry in await running.journal()]
    assert any(line.startswith("NTPSynchronized=") for line in said)


async def test_the_journal_has_fields(running: Pi) -> None:
    async def opened() -> bool:
        return bool(await running.journal("EVENT=port_open"))

    await running.until("port_open in the journal", opened)
    entry = (await running.journal("EVENT=port_open"))[-1]
    assert entry["PORT"] == "arduino"
    assert entry["DEVICE"] == "/dev/ttyACM0"
    assert entry["PRIORITY"] == "6"
    assert entry["SYSLOG_IDENTIFIER"] == "serial2iot"
    assert entry["_SYSTEMD_UNIT"] == "serial2iot.service"


async def test_killed_it_comes_back(running: Pi) -> None:
    before = await running.pid()
    await running.run("systemctl", "kill", "--signal=KILL", "serial2iot")
    await running.cloud.until_reported(connected=False, within_s=10)
    await running.cloud.until_reported(connected=True, within_s=KILL_AND_BACK_S)
    state = await running.show("ActiveState", "NRestarts", "MainPID")
    assert (state["ActiveState"], state["NRestarts"]) == ("active", "1")
    assert int(state["MainPID"]) != before


async def test_a_hang_is_ended_by_the_watchdog(running: Pi) -> None:
    await running.drop_in("WatchdogSec=3", "TimeoutAbortSec=1", "RestartSec=100ms")
    await running.run("systemctl", "restart", "serial2iot")
    before = await running.pid()
    await running.run("kill", "-STOP", str(before))

    async def anew() -> bool:
        state = await running.show("ActiveState", "MainPID")
        return state["ActiveState"] == "active" and state["MainPID"] not in ("0", str(before))

    await running.until("the service, active again", anew)
    said = [str(entry["MESSAGE"]) for entry in await running.journal("--boot")]
    assert any("Watchdog timeout" in line for line in said)


async def test_a_bad_configuration_is_explained_and_not_tried_again(running: Pi) -> None:
    await running.run("sh", "-c", "echo 'endpiont = 1' >>/etc/serial2iot/config.toml")
    status, _ = await running.machine.status("systemctl", "restart", "serial2iot")
    assert status != 0
    state = await running.show("ActiveState", "ExecMainStatus", "NRestarts")
    assert state == {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
    assert any("endpiont" in str(entry["MESSAGE"]) for entry in await running.journal())
    status, said = await running.deploy("install")
    assert status != 0
    assert "endpiont" in said, "deploy.sh does not show why it does not run"


async def test_an_upgrade_takes_over_and_keeps_the_version_before(running: Pi) -> None:
    if not (running.checkouts.folder / "next").exists():
        running.checkouts.make("next", "99.1")
    assert "99.1 is installed and running" in await running.deploy_well("upgrade", checkout="next")
    assert (await running.run("serial2iot", "--version")).split()[1] == "99.1"
    exe = await running.run("readlink", "-f", "/opt/serial2iot/current", "/opt/serial2iot/previous")
    assert exe.split() == ["/opt/serial2iot/99.1", f"/opt/serial2iot/{running.checkouts.version}"]
    await running.cloud.until_reported(connected=True, within_s=20)
    assert any(entry["VERSION"] == "99.1" for entry in await running.journal("EVENT=started"))
    # And back without network and checkout, as docs/operations.md has it.
    back = 'cd /opt/serial2iot && ln -sfnT "$(readlink previous)" current && systemctl restart serial2iot'
    await running.run("sh", "-c", back)
    assert (await running.run("serial2iot", "--version")).split()[1] == running.checkouts.version


async def test_what_was_stopped_is_not_started_by_an_upgrade(running: Pi) -> None:
    await running.run("systemctl", "stop", "serial2iot")
    assert "stays so" in await running.deploy_well("upgrade")
    assert (await running.show("ActiveState"))["ActiveState"] == "inactive"


async def test_other_devices_are_out_of_reach(running: Pi) -> None:
    """A line that is allowed, and a device of another kind, both open to everybody: where the unit draws it."""
    for name, major, minor in (("ttyS0", "4", "64"), ("fuse", "10", "229")):
        await running.machine.status("mknod", f"/dev/{name}", "c", major, minor)  # it may be there
        await running.run("chmod", "666", f"/dev/{name}")
    await running.run("sh", "-c", "head -c0 </dev/fuse")
    tries = "for each in ttyS0 fuse; do head -c0 </dev/$each && echo $each opened; done"
    await running.drop_in(f"ExecStartPre=-/bin/sh -c '{tries}'")
    await running.run("systemctl", "restart", "serial2iot")
    said = [str(entry["MESSAGE"]) for entry in await running.journal()]
    assert any("/dev/fuse: Operation not permitted" in line for line in said), said
    assert not any("/dev/ttyS0: Operation not permitted" in line for line in said), said


async def test_an_upgrade_that_fails_is_taken_back(running: Pi) -> None:
    broken = running.checkouts.folder / "broken"
    if not broken.exists():
        running.checkouts.make("broken", "99.2")
        service = broken / "daemon/serial2iot/service.py"
        service.write_text(BROKEN + service.read_text().replace("from __future__", "# from __future__"))
        unit = broken / "systemd/serial2iot.service"
        unit.write_text(unit.read_text().replace("WatchdogSec=30", "WatchdogSec=29"))
    status, said = await running.deploy("upgrade", checkout="broken")
    assert status != 0
    assert "broken on purpose" in said, "it does not show why it failed"
    assert f"{running.checkouts.version} is running as before" in said
    state = await running.show("ActiveState", "WatchdogUSec")
    assert state == {"ActiveState": "active", "WatchdogUSec": "30s"}, "the unit file was not taken back"
    assert (await running.run("serial2iot", "--version")).split()[1] == running.checkouts.version
    assert "99.2" not in await running.run("ls", "/opt/serial2iot")
    await running.cloud.until_reported(connected=True, within_s=20)


async def test_a_package_that_cannot_be_installed_changes_nothing(running: Pi) -> None:
    if not (running.checkouts.folder / "unbuildable").exists():
        (running.checkouts.make("unbuildable", "99.3") / "README.md").unlink()
    before = await running.pid()
    status, said = await running.deploy("upgrade", checkout="unbuildable")
    assert status != 0
    assert "nothing was changed" in said
    assert await running.pid() == before
    assert "99.3" not in await running.run("ls", "/opt/serial2iot")


async def test_32_bit_is_refused_with_the_way_out(pi: Pi) -> None:
    tools = pi.checkouts.folder / "armhf"
    tools.mkdir(exist_ok=True)
    dpkg = tools / "dpkg"
    dpkg.write_text('#!/bin/sh\n[ "$1" = --print-architecture ] && echo armhf\n')
    dpkg.chmod(0o755)
    status, said = await pi.deploy("install", PATH="/srv/armhf:/usr/sbin:/usr/bin:/sbin:/bin")
    assert status == 1
    assert "awscrt" in said
    assert "64-bit Raspberry Pi OS" in said


async def test_uninstalled_it_leaves_what_is_the_owners(running: Pi) -> None:
    await running.deploy_well("uninstall")
    await running.cloud.until_reported(connected=False, within_s=10)
    assert (await running.show("LoadState"))["LoadState"] == "not-found"
    await running.run("test", "-s", "/etc/serial2iot/config.toml")
    await running.run("test", "-s", "/var/lib/serial2iot/spool.db")
    assert await left_behind(running) == ["/etc/serial2iot", "/var/lib/serial2iot"]
    await running.deploy_well("uninstall")


async def test_purged_it_leaves_nothing(running: Pi) -> None:
    await running.deploy_well("uninstall", "--purge")
    assert await left_behind(running) == []
    assert (await running.machine.status("id", "serial2iot"))[0] != 0
    await running.deploy_well("uninstall", "--purge")


async def left_behind(pi: Pi) -> list[str]:
    """The paths with its name in them, without the journal and what is below one already named."""
    said = await pi.run(
        *(
            "find",
            "/etc",
            "/opt",
            "/usr/local",
            "/var/lib",
            "/run",
            "-name",
            "*serial2iot*",
            "-prune",
            "-print",
        )
    )
    return sorted(said.split())
