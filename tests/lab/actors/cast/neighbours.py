"""What devices call into the room: mDNS, SSDP, WS-Discovery, LLMNR, NetBIOS names, LLDP, CDP."""

import asyncio
import socket
import struct
import uuid


def dns_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(name, kind, body, flush=True):
    return dns_name(name) + struct.pack("!HHIH", kind, 0x8001 if flush else 1, 120, len(body)) + body


def group_socket(player, port, group=None):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(player.address))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
    sock.bind(("", port))
    if group:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                        socket.inet_aton(group) + socket.inet_aton(player.address))
    return sock


async def mdns(player, service, instance, text=(), port=80, every_s=20.0):
    """Announces a service, and says it again when somebody asks for it (RFC 6762, 6763)."""
    loop, sock = asyncio.get_running_loop(), group_socket(player, 5353, "224.0.0.251")
    kind, full = f"{service}.local", f"{instance}.{service}.local"
    host = f"{player.hostname or player.name}.local"
    words = b"".join(bytes([len(word)]) + word.encode() for word in text) or b"\0"
    answers = [record(kind, 12, dns_name(full), False),
               record(full, 33, struct.pack("!HHH", 0, 0, port) + dns_name(host)),
               record(full, 16, words), record(host, 1, socket.inet_aton(player.address))]
    packet = struct.pack("!HHHHHH", 0, 0x8400, 0, len(answers), 0, 0) + b"".join(answers)

    async def announce():
        for _ in range(2):
            await loop.sock_sendto(sock, packet, ("224.0.0.251", 5353))
            await asyncio.sleep(1)
        async for _ in player.beats(every_s, 0.2):
            await loop.sock_sendto(sock, packet, ("224.0.0.251", 5353))

    async def answer():
        while True:
            data, _ = await loop.sock_recvfrom(sock, 4096)
            if not data[2] & 0x80 and dns_name(service)[:-1] in data:
                await asyncio.sleep(player.rng.uniform(0.02, 0.12))
                await loop.sock_sendto(sock, packet, ("224.0.0.251", 5353))

    await asyncio.gather(announce(), answer())


async def mdns_ask(player, services, every_s):
    """Browses for services."""
    loop, sock = asyncio.get_running_loop(), group_socket(player, 5353)
    async for _ in player.beats(every_s, 0.4):
        name = dns_name(f"{player.rng.choice(services)}.local")
        packet = struct.pack("!HHHHHH", 0, 0, 1, 0, 0, 0) + name + struct.pack("!HH", 12, 1)
        await loop.sock_sendto(sock, packet, ("224.0.0.251", 5353))


async def llmnr(player, names, every_s):
    """Asks the neighbours for names, as Windows does (RFC 4795), and by NetBIOS broadcast."""
    loop = asyncio.get_running_loop()
    asks, broadcasts = group_socket(player, 0), group_socket(player, 137)
    async for _ in player.beats(every_s, 0.5):
        name = player.rng.choice(names)
        head = struct.pack("!HHHHHH", player.rng.randrange(65536), 0, 1, 0, 0, 0)
        await loop.sock_sendto(asks, head + dns_name(name) + struct.pack("!HH", 1, 1),
                               ("224.0.0.252", 5355))
        padded = name.upper()[:15].ljust(15) + "\0"
        coded = "".join(chr(65 + (ord(c) >> 4)) + chr(65 + (ord(c) & 15)) for c in padded)
        query = struct.pack("!HHHHHH", player.rng.randrange(65536), 0x0110, 1, 0, 0, 0)
        await loop.sock_sendto(broadcasts, query + dns_name(coded) + struct.pack("!HH", 32, 1),
                               ("10.20.3.255", 137))


async def ssdp(player, every_s, server="", target="", search=""):
    """Announces itself by SSDP, or searches."""
    loop, sock = asyncio.get_running_loop(), group_socket(player, 0)
    head = "M-SEARCH" if search else "NOTIFY"
    lines = [f"{head} * HTTP/1.1", "HOST: 239.255.255.250:1900"]
    if search:
        lines += ['MAN: "ssdp:discover"', "MX: 2", f"ST: {search}"]
        if server:
            lines.append(f"USER-AGENT: {server}")
    else:
        usn = uuid.uuid5(uuid.NAMESPACE_DNS, player.mac)
        lines += ["CACHE-CONTROL: max-age=1800", f"LOCATION: http://{player.address}/desc.xml",
                  f"NT: {target}", "NTS: ssdp:alive", f"SERVER: {server}", f"USN: uuid:{usn}::{target}"]
    packet = ("\r\n".join(lines) + "\r\n\r\n").encode()
    async for _ in player.beats(every_s, 0.2):
        await loop.sock_sendto(sock, packet, ("239.255.255.250", 1900))


WSD = """<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" {spaces}><s:Header><a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To><a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/{action}</a:Action><a:MessageID>urn:uuid:{message}</a:MessageID>{relates}</s:Header><s:Body>{body}</s:Body></s:Envelope>"""
SPACES = ('xmlns:dn="http://www.onvif.org/ver10/network/wsdl" '
          'xmlns:wsdp="http://schemas.xmlsoap.org/ws/2006/02/devprof" '
          'xmlns:pub="http://schemas.microsoft.com/windows/pub/2005/07" '
          'xmlns:wprt="http://schemas.microsoft.com/windows/2006/08/wdp/print"')


async def wsd(player, types, scopes, path, every_s):
    """A WS-Discovery target such as a camera, printer or PC: Hello, and ProbeMatch when asked."""
    loop, sock = asyncio.get_running_loop(), group_socket(player, 3702, "239.255.255.250")
    me = uuid.uuid5(uuid.NAMESPACE_DNS, player.mac)
    about = (f"<a:EndpointReference><a:Address>urn:uuid:{me}</a:Address></a:EndpointReference>"
             f"<d:Types>{types}</d:Types><d:Scopes>{scopes}</d:Scopes>"
             f"<d:XAddrs>http://{player.address}{path}</d:XAddrs>"
             "<d:MetadataVersion>1</d:MetadataVersion>")

    def envelope(action, body, relates=""):
        return WSD.format(spaces=SPACES, action=action, message=uuid.uuid4(), relates=relates,
                          body=body).encode()

    async def hello():
        async for _ in player.beats(every_s, 0.3):
            await loop.sock_sendto(sock, envelope("Hello", f"<d:Hello>{about}</d:Hello>"),
                                   ("239.255.255.250", 3702))

    async def answer():
        word = types.split()[0].split(":")[-1].encode()
        while True:
            data, peer = await loop.sock_recvfrom(sock, 8192)
            if b"/Probe<" in data and (word in data or b"Types" not in data):
                body = f"<d:ProbeMatches><d:ProbeMatch>{about}</d:ProbeMatch></d:ProbeMatches>"
                await loop.sock_sendto(sock, envelope("ProbeMatches", body), peer)

    await asyncio.gather(hello(), answer())


async def wsd_probe(player, types, every_s):
    """Looks for WS-Discovery targets."""
    loop, sock = asyncio.get_running_loop(), group_socket(player, 0)
    async for _ in player.beats(every_s, 0.3):
        packet = WSD.format(spaces=SPACES, action="Probe", message=uuid.uuid4(), relates="",
                            body=f"<d:Probe><d:Types>{types}</d:Types></d:Probe>")
        await loop.sock_sendto(sock, packet.encode(), ("239.255.255.250", 3702))


def raw_socket():
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind(("eth0", 0))
    return sock


async def lldp(player, system, description, capabilities, port="1", every_s=10.0):
    """LLDP (IEEE 802.1AB); capabilities as a number, for instance 0x14 for bridge and router."""
    def tlv(kind, body):
        return struct.pack("!H", kind << 9 | len(body)) + body

    mac = bytes.fromhex(player.mac.replace(":", ""))
    frame = bytes.fromhex("0180c200000e") + mac + b"\x88\xcc" + b"".join([
        tlv(1, b"\x04" + mac), tlv(2, b"\x05" + port.encode()), tlv(3, struct.pack("!H", 120)),
        tlv(5, system.encode()), tlv(6, description.encode()),
        tlv(7, struct.pack("!HH", capabilities, capabilities)),
        tlv(8, b"\x05\x01" + socket.inet_aton(player.address) + b"\x02\0\0\0\x01\0"), tlv(0, b"")])
    sock = raw_socket()
    async for _ in player.beats(every_s, 0.02):
        sock.send(frame.ljust(60, b"\0"))


async def cdp(player, platform, software, capabilities, every_s=15.0):
    """Cisco Discovery Protocol, version 2."""
    def tlv(kind, body):
        return struct.pack("!HH", kind, 4 + len(body)) + body

    name = (player.hostname or player.name).encode()
    address = struct.pack("!IBBBH", 1, 1, 1, 0xCC, 4) + socket.inet_aton(player.address)
    body = b"\x02\xb4\0\0" + b"".join([
        tlv(1, name), tlv(2, address), tlv(3, b"Port 1"), tlv(4, struct.pack("!I", capabilities)),
        tlv(5, software.encode()), tlv(6, platform.encode())])
    words = body + b"\0" * (len(body) % 2)
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    body = body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:]
    mac = bytes.fromhex(player.mac.replace(":", ""))
    snap = bytes.fromhex("aaaa0300000c2000") + body
    frame = bytes.fromhex("01000ccccccc") + mac + struct.pack("!H", len(snap)) + snap
    sock = raw_socket()
    async for _ in player.beats(every_s, 0.02):
        sock.send(frame.ljust(60, b"\0"))
