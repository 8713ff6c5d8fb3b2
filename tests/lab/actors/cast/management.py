"""How devices are looked after: SNMP (Net-SNMP's agent and programs), FTP (vsftpd, ftplib)."""

import asyncio
import ftplib
import io
import pathlib

QUIET = {"stdin": asyncio.subprocess.DEVNULL, "stdout": asyncio.subprocess.DEVNULL,
         "stderr": asyncio.subprocess.DEVNULL}
USER = ["-u", "ward", "-l", "authPriv", "-a", "SHA", "-A", "ward-test-1", "-x", "AES", "-X",
        "ward-test-2"]


async def run(*command):
    process = await asyncio.create_subprocess_exec("timeout", "8", *command, **QUIET)
    await process.wait()


def folder(player, name):
    path = pathlib.Path(player.dir) / f"{player.name}-{name}"
    path.mkdir(parents=True, exist_ok=True)
    return path


async def agent(player, description, object_id, community="public", contact="biomed"):
    """An SNMP agent that speaks versions 1, 2c and 3 (Net-SNMP)."""
    home = folder(player, "snmp")
    (home / "snmpd.conf").write_text(
        f"agentaddress udp:{player.address}:161\nrocommunity {community}\n"
        f"sysDescr {description}\nsysObjectID {object_id}\nsysName {player.hostname}\n"
        f"sysContact {contact}\nsysLocation ward\n"
        "createUser ward SHA ward-test-1 AES ward-test-2\nrouser ward\n")
    process = await asyncio.create_subprocess_exec(
        "snmpd", "-f", "-Ln", "-C", "-c", str(home / "snmpd.conf"), "-p", str(home / "pid"),
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SNMP_PERSISTENT_DIR": str(home), "MIBS": ""},
        **QUIET)
    await process.wait()
    raise RuntimeError("snmpd ended")


async def manager(player, peers, every_s, version="2c", community="public", walk=False):
    """Reads what devices say of themselves, in turn."""
    if not peers:
        return
    security = USER if version == "3" else ["-c", community]
    names = ["1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.2.0", "1.3.6.1.2.1.1.3.0"]
    async for number in player.beats(every_s, 0.1):
        peer = peers[number % len(peers)]
        if walk and number % 3 == 0:
            await run("snmpwalk", "-v", version, *security, "-m", "", "-On", "-t", "1", peer,
                      "1.3.6.1.2.1.1")
        else:
            await run("snmpget", "-v", version, *security, "-m", "", "-On", "-t", "1", peer, *names)


async def traps(player, peer, every_s, object_id, version="2c", community="public"):
    """Sends notifications."""
    security = ["-e", "0x8000000001020304", *USER] if version == "3" else ["-c", community]
    async for _ in player.beats(every_s, 0.5):
        await run("snmptrap", "-v", version, *security, "-m", "", peer, "", f"{object_id}.1",
                  f"{object_id}.2", "s", "technical alarm")


async def ftp_put(player, peer, every_s, size=20000, name="log"):
    """Hands its log to the service gateway, on a data connection of its own."""
    def put(number):
        try:
            with ftplib.FTP(peer, timeout=6) as link:
                link.login()
                link.storbinary(f"STOR {player.name}-{name}-{number}.zip",
                                io.BytesIO(player.rng.randbytes(int(size * player.rng.random()))))
        except (OSError, ftplib.Error, EOFError):
            return

    async for number in player.beats(every_s, 0.4):
        await asyncio.to_thread(put, number)


async def ftp_serve(player, greeting="", upload=True):
    """vsftpd that takes what it is given."""
    root = folder(player, "ftp")
    (root / "in").mkdir(exist_ok=True)
    (root / "in").chmod(0o777)
    config = root.with_suffix(".conf")
    config.write_text(
        "listen=YES\nlisten_ipv6=NO\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\n"
        f"write_enable=YES\nanon_upload_enable={'YES' if upload else 'NO'}\n"
        f"anon_root={root}/in\nallow_writeable_chroot=YES\nno_anon_password=YES\nftp_username=ftp\n"
        f"secure_chroot_dir={folder(player, 'empty')}\npasv_enable=YES\nseccomp_sandbox=NO\n"
        + (f"ftpd_banner={greeting}\n" if greeting else ""))
    process = await asyncio.create_subprocess_exec("vsftpd", str(config), **QUIET)
    await process.wait()
    raise RuntimeError("vsftpd ended")
