"""Pump or monitor: one IHE PCD-01 observation over MLLP, then waits for the acknowledgement.

Arguments: engine address, port, `pump` or `monitor`, then pairs of control id and sending
application: a dock that serves several pumps reports for each of them in turn, from one address.
"""

import asyncio
import sys
import time

import hl7
from hl7.mllp import open_hl7_connection

from wardlib import fail, report

# Per kind the device by its code in ISO/IEEE 11073-10101, and its parts and what is observed.
KINDS = {
    "pump": ("69985^MDC_DEV_PUMP_INFUS_MDS^MDC", [
        "|69986^MDC_DEV_PUMP_INFUS_VMD^MDC|1.1.0.0|||||||X",
        "NM|157784^MDC_FLOW_FLUID_PUMP^MDC|1.1.1.1|12.5|265266^MDC_DIM_MILLI_L_PER_HR^MDC|||||R",
        "ST|184508^MDC_PUMP_STAT^MDC|1.1.1.2|pump-status-infusing||||||R",
    ]),
    "monitor": ("69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC", [
        "NM|147842^MDC_ECG_HEART_RATE^MDC|1.1.1.1|72|264864^MDC_DIM_BEAT_PER_MIN^MDC|||||R",
        "NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1.1.2|97|262688^MDC_DIM_PERCENT^MDC|||||R",
    ]),
}


def observation(kind, control, sender):
    now = time.strftime("%Y%m%d%H%M%S")
    device, values = KINDS[kind]
    rows = [f"|{device}|1.0.0.0|||||||X", *values]
    return hl7.parse("\r".join([
        f"MSH|^~\\&|{sender}^0003B10000000001^EUI-64|WARD|ENGINE|HOSPITAL|{now}||ORU^R01^ORU_R01|"
        f"{control}|P|2.6|||AL|NE|||||IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO",
        "PID|||TEST0001^^^WARD^MR||TEST^PATIENT",
        f"OBR|1|{control}||{device}|||{now}",
        *[f"OBX|{number}|{row}" for number, row in enumerate(rows, 1)],
    ]) + "\r")


async def main():
    host, port, kind, *pairs = sys.argv[1:]
    reader, writer = await asyncio.wait_for(
        open_hl7_connection(host, int(port), encoding="utf-8"), 5)
    codes = []
    for control, sender in zip(pairs[::2], pairs[1::2]):
        writer.writemessage(observation(kind, control, sender))
        await writer.drain()
        ack = await asyncio.wait_for(reader.readmessage(), 5)
        msa = ack.segment("MSA")
        if str(msa[2]) != control:
            fail(f"acknowledgement for {msa[2]}, not {control}")
        codes.append(str(msa[1]))
    writer.close()
    report(ack=codes[0] if len(set(codes)) == 1 else ",".join(codes), messages=len(codes))


asyncio.run(main())
