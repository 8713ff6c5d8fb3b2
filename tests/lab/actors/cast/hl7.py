"""HL7 v2 over MLLP, written by hand: what pumps, monitors, anaesthesia machines, dialysis machines,
cabinets, analysers and hospital systems say (IHE PCD profiles where there are any).
"""

import asyncio
import time

START, END = b"\x0b", b"\x1c\r"

PROFILE = "IHE_PCD_{number}^IHE PCD^1.3.6.1.4.1.19376.1.6.1.{number}.1^ISO"
# Per kind of device: its code, then code, unit and range of each value (ISO/IEEE 11073-10101).
VALUES = {
    "pump": ("69985^MDC_DEV_PUMP_INFUS_MDS^MDC", [
        ("157784^MDC_FLOW_FLUID_PUMP^MDC", "265266^MDC_DIM_MILLI_L_PER_HR^MDC", 1, 250),
        ("157872^MDC_VOL_FLUID_TBI_REMAIN^MDC", "263762^MDC_DIM_MILLI_L^MDC", 10, 500),
        ("158014^MDC_PUMP_DRUG_LIB_VER^MDC", "", 1, 9)]),
    "vitals": ("69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC", [
        ("147842^MDC_ECG_HEART_RATE^MDC", "264864^MDC_DIM_BEAT_PER_MIN^MDC", 55, 120),
        ("150456^MDC_PULS_OXIM_SAT_O2^MDC", "262688^MDC_DIM_PERCENT^MDC", 92, 100),
        ("151562^MDC_RESP_RATE^MDC", "264928^MDC_DIM_RESP_PER_MIN^MDC", 10, 25),
        ("150037^MDC_PRESS_BLD_ART_ABP_SYS^MDC", "266016^MDC_DIM_MMHG^MDC", 90, 160),
        ("150038^MDC_PRESS_BLD_ART_ABP_DIA^MDC", "266016^MDC_DIM_MMHG^MDC", 50, 95)]),
    "anaesthesia": ("0^MDC_DEV_SYS_ANESTH_MDS^MDC", [
        ("152004^MDC_VOL_AWAY_TIDAL^MDC", "263762^MDC_DIM_MILLI_L^MDC", 380, 560),
        ("152432^MDC_CONC_AWAY_SEVOFL_ET^MDC", "262688^MDC_DIM_PERCENT^MDC", 1, 3),
        ("151708^MDC_CONC_AWAY_CO2_ET^MDC", "266016^MDC_DIM_MMHG^MDC", 32, 44),
        ("152196^MDC_CONC_AWAY_O2_INSP^MDC", "262688^MDC_DIM_PERCENT^MDC", 30, 60)]),
    "ventilator": ("70001^MDC_DEV_SYS_PT_VENT_MDS^MDC", [
        ("151586^MDC_VENT_RESP_RATE^MDC", "264928^MDC_DIM_RESP_PER_MIN^MDC", 10, 22),
        ("151976^MDC_VENT_PRESS_AWAY_END_EXP_POS^MDC", "266048^MDC_DIM_CM_H2O^MDC", 4, 10),
        ("151868^MDC_VOL_MINUTE_AWAY^MDC", "264992^MDC_DIM_L_PER_MIN^MDC", 5, 9)]),
    "dialysis": ("70051^MDC_DEV_DIALYSIS_HDIALY_MDS^MDC", [
        ("16935956^MDC_HDIALY_BLD_PUMP_BLOOD_FLOW_RATE^MDC", "265216^MDC_DIM_MILLI_L_PER_MIN^MDC",
         200, 400),
        ("16936252^MDC_HDIALY_UF_RATE^MDC", "265266^MDC_DIM_MILLI_L_PER_HR^MDC", 100, 900),
        ("16936008^MDC_HDIALY_BLD_PRESS_VEN^MDC", "266016^MDC_DIM_MMHG^MDC", 60, 220)]),
}


def stamp():
    return time.strftime("%Y%m%d%H%M%S")


def header(sender, facility, receiver, kind, control, version, tail=""):
    return (f"MSH|^~\\&|{sender}|{facility}|{receiver}|HOSPITAL|{stamp()}||{kind}|{control}|P|"
            f"{version}{tail}")


def observation(player, device, control, me, wave=False):
    """An unsolicited observation (IHE PCD-01)."""
    code_of_device, values = VALUES[device]
    profile = PROFILE.format(number="001") if me["profile"] else ""
    lines = [
        header(*me["names"], "ORU^R01^ORU_R01", control, me["version"], f"|||AL|NE|||||{profile}"),
        "PID|||TEST0001^^^WARD^MR||TEST^PATIENT",
        f"PV1||I|WARD^{me['room']}^1",
        f"OBR|1|{control}||{code_of_device}|||{stamp()}",
    ]
    # Devices that follow the profile say what they are in a row of its own.
    first = 1
    if me["profile"]:
        lines.append(f"OBX|1||{code_of_device}|1.0.0.0|||||||X")
        first = 2
    for number, (code, unit, low, high) in enumerate(values, first):
        lines.append(f"OBX|{number}|NM|{code}|1.1.1.{number}|{player.rng.uniform(low, high):.1f}|"
                     f"{unit}|||||R|||{stamp()}||||{me['device']}")
    if wave:
        samples = "^".join(str(player.rng.randrange(-200, 200)) for _ in range(256))
        lines += [f"OBR|2|{control}W||CONTINUOUS WAVEFORM|||{stamp()}",
                  f"OBX|1|NA|150033^MDC_PRESS_AWAY^MDC|1.1.2.1|{samples}|||||||R"]
    return lines


def alarm(player, device, control, me):
    """An alert (IHE PCD-04)."""
    code_of_device, values = VALUES[device]
    code = player.rng.choice(values)[0]
    return [
        header(*me["names"], "ORU^R40^ORU_R40", control, me["version"],
               f"|||AL|NE|||||{PROFILE.format(number='004')}"),
        f"PV1||I|WARD^{me['room']}^1",
        f"OBR|1|{control}||{code_of_device}|||{stamp()}",
        "OBX|1|ST|196616^MDC_EVT_ALARM^MDC|1.1.1.1.1|Low|||||F",
        f"OBX|2|CWE|68481^MDC_ATTR_EVENT_COND^MDC|1.1.1.1.2|{code}||||||F",
        "OBX|3|ST|68484^MDC_ATTR_ALARM_PRIORITY^MDC|1.1.1.1.3|PM||||||F",
    ]


PATIENT = "PID|1||TEST0001^^^HOSPITAL^MR||TEST^PATIENT||19700101|O"


def business(player, kind, control, me):
    """What hospital systems, cabinets and analysers say."""
    head = header(*me["names"], kind, control, me["version"])
    room = f"PV1|1|I|WARD^{me['room']}^1||||1234^TEST^PHYSICIAN"
    match kind.split("^")[0]:
        case "ADT":
            return [head, f"EVN||{stamp()}", PATIENT, room]
        case "ORM":
            return [head, PATIENT, room, f"ORC|NW|{control}||||||{stamp()}",
                    f"OBR|1|{control}||CTHEAD^CT HEAD|||||||||||||||ACC{control}"]
        case "ORU":
            return [head, PATIENT, room, f"OBR|1|{control}||GLU^GLUCOSE|||{stamp()}",
                    f"OBX|1|NM|2345-7^GLUCOSE^LN||{player.rng.uniform(3, 9):.1f}|mmol/L|||||F"]
        case "OUL":
            return [head, PATIENT, f"SPM|1|SP{control}||BLD|||||||P", f"OBR|1|{control}||GLU^Glu",
                    f"OBX|1|NM|2345-7^GLUCOSE^LN||{player.rng.uniform(3, 9):.1f}|mmol/L|||||F|||"
                    f"{stamp()}||OP1||{me['device']}", "TCD|GLU|1"]
        case "RDS":
            return [head, PATIENT, room, f"ORC|RE|{control}",
                    f"RXD|1|AMOX^AMOXICILLIN 500MG|{stamp()}|1|CAP||{control}"]
        case "DFT":
            return [head, f"EVN|P03|{stamp()}", PATIENT, room,
                    f"FT1|1|||{stamp()}||CG|AMOX^AMOXICILLIN|||1"]
        case "ZPM":
            return [head, f"ZPM|I|{me['room']}|1|2|AMOX^AMOXICILLIN|10|1"]
    raise ValueError(kind)


def message(player, say, control, me):
    what, _, detail = say.partition(":")
    if what == "observation":
        lines = observation(player, detail, control, me)
    elif what == "waves":
        lines = observation(player, detail, control, me, wave=True)
    elif what == "alarm":
        lines = alarm(player, detail, control, me)
    else:
        lines = business(player, say, control, me)
    return START + "\r".join([*lines, ""]).encode() + END


async def report(player, peer, say, sender, every_s, port=2575, facility="WARD", receiver="ENGINE",
                 version="2.6", keep=True, profile=True, device="", burst=1):
    """Sends messages and waits for each acknowledgement. `say` and `sender` may be lists: one is
    taken at random each time, as a gateway does that speaks for several devices."""
    says, senders = ([one] if isinstance(one, str) else one for one in (say, sender))
    number, link = 0, None

    async def send():
        nonlocal number, link
        number += 1
        control = f"{player.rng.randrange(16**6):06X}{number:04d}"
        me = {"names": (player.rng.choice(senders), facility, receiver), "version": version,
              "profile": profile, "room": player.rng.randrange(1, 20), "device": device}
        if link is None:
            link = await asyncio.wait_for(asyncio.open_connection(peer, port), 5)
        reader, writer = link
        writer.write(message(player, player.rng.choice(says), control, me))
        await asyncio.wait_for(reader.readuntil(END), 5)

    async for _ in player.beats(every_s, 0.08):
        try:
            for _ in range(burst):
                await send()
        except (OSError, EOFError, TimeoutError):
            keep_now = False
        else:
            keep_now = keep
        if not keep_now and link:
            link[1].close()
            link = None


async def serve(player, name, port=2575, facility="HOSPITAL", version="2.5", slow_s=0.0):
    """Accepts messages and acknowledges each under its own name."""
    async def peer(reader, writer):
        try:
            while True:
                text = (await reader.readuntil(END)).decode(errors="replace").strip("\x0b\x1c\r")
                field = text.split("\r")[0].split("|")
                if slow_s:
                    await asyncio.sleep(player.rng.uniform(0, slow_s))
                kind = field[8].split("^")[1] if "^" in field[8] else ""
                writer.write(START + (
                    f"MSH|^~\\&|{name}|{facility}|{field[2]}|{field[3]}|{stamp()}||"
                    f"ACK^{kind}^ACK|A{field[9]}|P|{version}\rMSA|AA|{field[9]}\r"
                ).encode() + END)
                await writer.drain()
        except (OSError, EOFError):
            writer.close()

    async with await asyncio.start_server(peer, "", port) as server:
        await server.serve_forever()
