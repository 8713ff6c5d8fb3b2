"""HL7 integration engine: accepts MLLP, acknowledges, notes every message. Stack: PyPI `hl7`."""

import argparse
import asyncio

from hl7.mllp import start_hl7_server

from wardlib import report


def patient(message):
    """Number and name (PID-3, PID-5), where there are any."""
    if not any(str(segment[0]) == "PID" for segment in message):
        return []
    segment = message.segment("PID")
    return [str(segment[3]).split("^")[0], str(segment[5])]


async def serve_peer(reader, writer):
    try:
        while True:
            message = await reader.readmessage()
            msh = message.segment("MSH")
            # MSH-3 sending application, MSH-9 message type, MSH-10 control id.
            report(token=str(msh[10]), sender=str(msh[3]).split("^")[0], type=str(msh[9]),
                   patient=patient(message), peer=writer.get_extra_info("peername")[0])
            writer.writemessage(message.create_ack(ack_code="AA"))
            await writer.drain()
    except asyncio.IncompleteReadError:
        writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=2575)
    port = parser.parse_args().port
    async with await start_hl7_server(serve_peer, port=port, encoding="utf-8") as server:
        await server.serve_forever()


asyncio.run(main())
