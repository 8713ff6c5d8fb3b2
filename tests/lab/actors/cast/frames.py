"""Frames of protocols without a public stack. Where a layout is published it is kept (MEDIBUS and
Datex-Ohmeda record interface as their readers describe them, OSDP, TDS PRELOGIN, X.224, ESPA-X);
where it is not, the frame only has the size and the outer marks such frames have.

Each function takes the player, the number of the frame and returns bytes.
"""

import struct
import time


def noise(rng, size):
    return rng.randbytes(size)


def medibus(player, number):
    """MEDIBUS answer to "request current measured data": SOH, command echo, values, checksum, CR."""
    values = "".join(f"{code:02X}{player.rng.uniform(0, 99):4.1f}"[:6]
                     for code in (0x05, 0x07, 0x08, 0x72, 0x7D, 0xB9, 0xD6))
    body = b"\x01$" + values.encode()
    return body + f"{sum(body) & 0xFF:02X}".encode() + b"\r"


def medibus_request(player, number):
    """ESC, command, checksum, CR."""
    body = b"\x1b" + player.rng.choice([b"$", b"'", b")", b"R"])
    return body + f"{sum(body) & 0xFF:02X}".encode() + b"\r"


def datex(player, number):
    """Datex-Ohmeda record: 0x7E, header with length, number, time, subrecords, checksum, 0x7E."""
    body = struct.pack("<HBBHIBBHhB", 320, number & 0xFF, 6, 0, int(time.time()), 0, 0, 0, 0, 1)
    body += noise(player.rng, 278)
    return b"\x7e" + body.replace(b"\x7e", b"\x7d\x5e") + bytes([sum(body) & 0xFF]) + b"\x7e"


def pulse_oximeter(player, number):
    """A line as bedside oximeters print it on their serial port."""
    spo2, rate = player.rng.randrange(92, 100), player.rng.randrange(55, 110)
    return f"{time.strftime('%d-%b-%y %H:%M:%S')}   {spo2:3d}    {rate:3d}    {40 + number % 9}\r\n" \
        .encode()


def infusion_serial(player, number):
    """A syringe pump's serial status: address, function, rate, volume, checksum."""
    body = f"D{number % 4}E!LE{player.rng.randrange(1, 9)};r{player.rng.uniform(0, 50):.1f};d0"
    return f"{body};{sum(body.encode()) & 0xFF:02X}\r".encode()


def pump_status(player, number):
    """A pump's status as XML, as vendors' servers get it."""
    rate = player.rng.uniform(0, 250)
    return (f'<status seq="{number}" serial="{player.hostname}"><channel id="A" state="infusing" '
            f'rate="{rate:.1f}" vtbi="{500 - number % 500}"/><battery>{90 + number % 10}</battery>'
            '</status>\n').encode()


def space_status(player, number):
    """Length, address and triples of class, parameter, value."""
    fields = "".join(f"{bed}\x1e{name}\x1e{player.rng.uniform(0, 99):.2f}\x1e"
                     for bed in ("1", "2") for name in ("INRT", "INVI", "INST", "INPR"))
    body = f"{player.hostname}\x1d{fields}".encode()
    return b"\x01" + f"{len(body):05d}".encode() + b"\x02" + body + b"\x03"


def pump_binary(player, number):
    return struct.pack("!4sHHI", b"PMP\x01", 48, number & 0xFFFF, int(time.time())) \
        + noise(player.rng, 36)


def osdp_poll(player, number):
    """OSDP POLL from the head-end."""
    body = bytes([0x53, number & 0x7F, 8, 0, 4 | number % 4, 0x60])
    return body + struct.pack("<H", sum(body) & 0xFFFF)


def osdp_answer(player, number):
    """OSDP ACK, now and then a card read (RAW)."""
    if player.rng.random() < 0.1:
        body = bytes([0x53, 0x80 | number & 0x7F, 15, 0, 4 | number % 4, 0x50, 0, 0, 26, 0]) \
            + noise(player.rng, 4)
    else:
        body = bytes([0x53, 0x80 | number & 0x7F, 8, 0, 4 | number % 4, 0x40])
    return body + struct.pack("<H", sum(body) & 0xFFFF)


def door_event(player, number):
    return struct.pack("!BBHIII", 0xC0, number % 7, 20, number, int(time.time()),
                       player.rng.randrange(2**26)) + noise(player.rng, 4)


def tds_prelogin(player, number):
    """TDS PRELOGIN (MS-TDS 2.2.6.5): version, encryption, instance, thread, MARS."""
    options = struct.pack("!BHHBHHBHHBHHBHHB", 0, 26, 6, 1, 32, 1, 2, 33, 1, 3, 34, 4, 4, 38, 1, 255)
    body = options + bytes([0x0F, 0, 8, 0x13, 0, 0, 0, 0]) + struct.pack("<I", number) + b"\0"
    return struct.pack("!BBHHBB", 0x12, 1, 8 + len(body), 0, 0, 0) + body


def tds_answer(player, number):
    body = noise(player.rng, player.rng.randrange(30, 700))
    return struct.pack("!BBHHBB", 4, 1, 8 + len(body), 51, 1, 0) + body


def tds_batch(player, number):
    """An SQL batch."""
    if number == 0:
        return tds_prelogin(player, number)
    text = f"SELECT qty FROM pockets WHERE station='{player.hostname}' AND pocket={number}"
    body = struct.pack("<IIHQI", 22, 18, 2, 0, 1) + text.encode("utf-16-le")
    return struct.pack("!BBHHBB", 1, 1, 8 + len(body), 0, 1, 0) + body


def rdp_request(player, number):
    """X.224 connection request with the client's cookie and TLS asked for (MS-RDPBCGR)."""
    cookie = f"Cookie: mstshash={player.hostname[:9]}\r\n".encode()
    body = struct.pack("!BBHHB", 6 + len(cookie) + 8, 0xE0, 0, 0, 0) + cookie \
        + struct.pack("<BBHI", 1, 0, 8, 3)
    return struct.pack("!BBH", 3, 0, 4 + len(body)) + body


def rdp_confirm(player, number):
    return bytes.fromhex("030000130ed000001234000201080002000000")


def espa_x(player, number):
    """ESPA-X: a nurse call system hands a call to a messaging system."""
    kind = "REQ.P-START" if number % 4 else "REQ.S-CONDITION"
    body = (f'<?xml version="1.0" encoding="UTF-8"?><ESPA-X version="1.00" '
            f'timestamp="{time.strftime("%Y-%m-%dT%H:%M:%S")}"><{kind}><SESSION-ID>1</SESSION-ID>'
            f'<CALLING-PARTY>Room {100 + number % 30} bed {number % 3}</CALLING-PARTY>'
            f'<PRIORITY>{player.rng.choice(["NORMAL", "HIGH", "ALARM"])}</PRIORITY>'
            f'</{kind}></ESPA-X>').encode()
    return b"EX" + struct.pack("!I", len(body)) + body


def espa_x_answer(player, number):
    body = b'<?xml version="1.0"?><ESPA-X><RSP.P-START><RSP-CODE>200</RSP-CODE></RSP.P-START></ESPA-X>'
    return b"EX" + struct.pack("!I", len(body)) + body


def call_panel(player, number):
    """A corridor panel's supervision telegram."""
    return b"\x02NC" + f"{number:06d};R{player.rng.randrange(20)};S{number % 4}".encode() + b"\x03"


def tag_report(player, number):
    """A location tag's report: tiny."""
    return struct.pack("!BBH6sbB", 0x45, 2, number & 0xFFFF, bytes.fromhex(
        player.mac.replace(":", "")), -player.rng.randrange(40, 80), 3) + noise(player.rng, 4)


def telemetry_wave(player, number):
    """Two ECG leads of a quarter second at 250 samples a second."""
    return struct.pack("!HHI", 0x5457, 250, number) + noise(player.rng, 2 * 2 * 62)


def telemetry_numbers(player, number):
    return struct.pack("!HHIBBBB", 0x544E, 16, number, player.rng.randrange(50, 120),
                       player.rng.randrange(92, 100), player.rng.randrange(8, 25), 90)


def monitor_wave(player, number):
    """Waves of a bedside monitor as it multicasts them: several channels, an eighth of a second."""
    return struct.pack("!4sHHIQ", b"WAVE", 8, number & 0xFFFF, int(time.time()), number) \
        + noise(player.rng, 900)


def monitor_numbers(player, number):
    return struct.pack("!4sHHI", b"NUMS", 24, number & 0xFFFF, int(time.time())) \
        + noise(player.rng, 180)


def treatment(player, number):
    """A dialysis machine's values for the treatment data server."""
    values = ";".join(f"{name}={player.rng.uniform(0, 400):.0f}"
                      for name in ("BF", "DF", "VP", "AP", "TMP", "UFR", "UFV", "COND", "TEMP"))
    return f"\x02{player.hostname};{number};{time.strftime('%H%M%S')};{values}\x03\r\n".encode()


def treatment_card(player, number):
    """The whole treatment at its start or end."""
    return b"\x02CARD;" + noise(player.rng, 3000).hex().encode() + b"\x03\r\n"


def ack(player, number):
    return b"\x06"


def accepted(player, number):
    return b"OK\r\n"


def ack_binary(player, number):
    return struct.pack("!4sHHI", b"ACK\x01", 12, number & 0xFFFF, int(time.time()))


def ping(player, number):
    return b"\0"


def vent_line(player, number):
    """A ventilator's text line: values separated by semicolons."""
    values = ";".join(f"{player.rng.uniform(0, 60):.1f}" for _ in range(18))
    return f"{time.strftime('%H:%M:%S')};{values}\r\n".encode()


def vocera(player, number):
    """18 ms of G.711 behind a header of six bytes."""
    return struct.pack("!BBHH", 0x80, 0, number & 0xFFFF, number * 144 & 0xFFFF) \
        + noise(player.rng, 144)


def badge_signal(player, number):
    return struct.pack("!HHI", 0x5643, 44, number) + player.hostname[:16].encode().ljust(16) \
        + noise(player.rng, 20)


def g711(player, number):
    """20 ms of G.711 in RTP."""
    return struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * 160 & 0xFFFFFFFF, 0x1234) \
        + noise(player.rng, 160)


def banner(player, number):
    return f"{player.hostname} terminal server\r\nlogin: ".encode()


def make(player, name, number):
    return globals()[name](player, number)
