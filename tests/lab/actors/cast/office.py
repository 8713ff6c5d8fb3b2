"""Members of the hospital's domain: Kerberos, LDAP and files with MIT's, OpenLDAP's and Samba's own
programs, against the ward's domain controller.
"""

import asyncio

from cast.management import QUIET, folder

REALM = "WARD.TEST"
PERSON, PASSWORD = "physician", "Ward-Test-2"


async def member(player, every_s, work=("logon", "directory", "files")):
    """Logs on, looks things up, reads and writes files, in no fixed order."""
    home = folder(player, "member")
    kerberos, samba = home / "krb5.conf", home / "smb.conf"
    kerberos.write_text(
        f"[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = true\nrdns = false\n"
        "dns_lookup_realm = false\n")
    samba.write_text(
        f"[global]\nnetbios name = {player.name.upper()[:15]}\nworkgroup = WARD\n"
        f"realm = {REALM}\ndisable netbios = yes\nprivate dir = {home}\nstate directory = {home}\n"
        f"cache directory = {home}\nlock directory = {home}\n")
    tasks = {
        "logon": f"echo '{PASSWORD}' | kinit {PERSON}@{REALM}",
        "directory": "ldapsearch -LLL -Q -N -Y GSSAPI -H ldap://dc.ward.test -b dc=ward,dc=test "
                     f"'(sAMAccountName={PERSON})'",
        "files": f"cd {home}; head -c $SIZE /dev/zero > note; smbclient -s {samba} "
                 "--use-kerberos=required --use-krb5-ccache=$KRB5CCNAME //dc.ward.test/clinical "
                 f"-c 'ls; get guideline.txt; put note {player.name}'",
        "ntlm": f"smbclient -s {samba} -U 'WARD/{PERSON}%{PASSWORD}' //dc.ward.test/clinical "
                "-c 'ls; get guideline.txt -'",
    }
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "KRB5_CONFIG": str(kerberos),
                   "KRB5CCNAME": f"FILE:{home}/ccache"}

    async def do(script):
        environment["SIZE"] = str(player.rng.randrange(200, 60000))
        process = await asyncio.create_subprocess_exec(
            "timeout", "15", "sh", "-c", script, env=environment, cwd=home, **QUIET)
        await process.wait()

    await do(tasks["logon"])
    async for _ in player.beats(every_s, 0.4):
        await do(tasks[player.rng.choice(work)])
