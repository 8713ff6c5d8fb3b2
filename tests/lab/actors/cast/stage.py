"""What every part needs: who it is, when it acts, connections that come back, TLS."""

import asyncio
import random
import socket
import ssl

from wardlib import report

# Lists for TLS 1.2 and older, in OpenSSL's notation.
CIPHERS = ["DEFAULT", "HIGH:!aNULL:!MD5", "ECDHE+AESGCM", "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM",
           "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA", "ALL:!ADH:!EXP"]


class Player:
    """A guest of the recording. All its chance comes from its own seed."""

    def __init__(self, part):
        self.name, self.address, self.mac = part["name"], part["address"], part["mac"]
        self.hostname, self.certs, self.dir = part["hostname"], part["certs"], part["dir"]
        self.does = part["does"]
        self.rng = random.Random(part["seed"])

    async def has_address(self):
        """Waits until the interface has its address."""
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind((self.address, 0))
                    return
                except OSError:
                    await asyncio.sleep(0.1)

    async def pause(self, every_s, jitter=0.05):
        """About the time given, as clocks of devices are: normally distributed around it."""
        await asyncio.sleep(max(0.2 * every_s, self.rng.gauss(every_s, jitter * every_s)))

    async def beats(self, every_s, jitter=0.05):
        """Yields the number of each beat of a steady rhythm; slow work does not delay the next."""
        loop = asyncio.get_running_loop()
        start = loop.time() + self.rng.random() * every_s
        number = 0
        while True:
            at = start + number * every_s + self.rng.gauss(0, jitter * every_s)
            await asyncio.sleep(max(0, at - loop.time()))
            yield number
            number = max(number + 1, int((loop.time() - start) / every_s))

    async def keep(self, work, *arguments, retry_s=5.0):
        """Does `work` again whenever its connection breaks or is refused."""
        while True:
            try:
                await work(*arguments)
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, EOFError) as error:
                report(player=self.name, broke=f"{work.__name__}: {error!r}")
            await self.pause(retry_s, 0.3)

    def udp(self, port=0, broadcast=False, dscp=0):
        """A bound datagram socket for asyncio."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if broadcast:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
        sock.bind(("" if broadcast else self.address, port))
        return sock

    def client_tls(self, alpn=None, version=None):
        """TLS as a device does it: our authority is trusted, names are not checked, the ciphers are
        those somebody once chose."""
        context = ssl.create_default_context(cafile=f"{self.certs}/ca.pem")
        context.check_hostname = False
        context.set_ciphers(self.rng.choice(CIPHERS))
        if alpn:
            context.set_alpn_protocols(alpn)
        if version == "1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    def server_tls(self):
        """TLS with the certificate of this guest."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{self.certs}/{self.name}.pem", f"{self.certs}/{self.name}.key")
        return context
