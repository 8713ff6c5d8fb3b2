"""Building technology: BACnet/IP (PyPI `bacpypes3`), Modbus/TCP (written by hand)."""

import asyncio
import struct

from bacpypes3.apdu import ErrorRejectAbortNack
from bacpypes3.app import Application
from bacpypes3.local.analog import AnalogInputObject, AnalogValueObject
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.pdu import Address
from bacpypes3.primitivedata import ObjectIdentifier


# The wildcard instance: whatever device is at that address.
ANY_DEVICE = ObjectIdentifier(("device", 4194303))


def application(player, instance, name, vendor_id, vendor, model, firmware, objects=()):
    device = DeviceObject(
        objectIdentifier=("device", instance), objectName=name, vendorIdentifier=vendor_id,
        vendorName=vendor, modelName=model, firmwareRevision=firmware)
    port = NetworkPortObject(f"{player.address}/22", objectIdentifier=("network-port", 1),
                             objectName="port")
    return Application.from_object_list([device, port, *objects])


async def bacnet_controller(player, instance, name, vendor_id, vendor, model, firmware,
                            announces_s=0.0, points=4):
    """A controller with some measurements, which says I-Am when asked and from time to time."""
    inputs = [AnalogInputObject(objectIdentifier=("analog-input", n), objectName=f"temp-{n}",
                                presentValue=20.0 + n) for n in range(1, points + 1)]
    pressure = AnalogValueObject(objectIdentifier=("analog-value", 1), objectName="room-pressure",
                                 presentValue=12.5)
    app = application(player, instance, name, vendor_id, vendor, model, firmware,
                      [*inputs, pressure])
    if announces_s:
        async for _ in player.beats(announces_s, 0.05):
            app.i_am()
    await asyncio.Event().wait()


async def bacnet_manager(player, peers, every_s, search_s=20.0):
    """A management station: looks for controllers, reads their names once and values all the time."""
    app = application(player, 7, "bms", 7, "Ward Test", "Supervisor", "4.10")

    async def search():
        async for _ in player.beats(search_s, 0.1):
            try:
                await asyncio.wait_for(app.who_is(timeout=2), 4)
            except (TimeoutError, ErrorRejectAbortNack):
                continue

    async def read(peer):
        about = ["object-name", "model-name", "vendor-name", "firmware-revision", "description"]
        async for number in player.beats(every_s, 0.05):
            asked = (ANY_DEVICE, about[number]) if number < len(about) else \
                (ObjectIdentifier(("analog-value", 1)), "present-value")
            try:
                await asyncio.wait_for(app.read_property(Address(peer), *asked), 3)
            except (TimeoutError, ErrorRejectAbortNack):
                continue  # the next beat asks again

    await asyncio.gather(search(), *(read(peer) for peer in peers))


async def modbus_device(player, vendor, product, revision, port=502):
    """Holding registers that wander, and device identification (function 43, type 14)."""
    def answer(request):
        function = request[0]
        if function in (3, 4):
            count = struct.unpack("!H", request[3:5])[0]
            return struct.pack("!BB", function, 2 * count) + b"".join(
                struct.pack("!H", player.rng.randrange(180, 260)) for _ in range(count))
        if function == 43 and request[1:2] == b"\x0e":
            texts = [text.encode() for text in (vendor, product, revision)]
            objects = b"".join(bytes([n, len(text)]) + text for n, text in enumerate(texts))
            return bytes([43, 14, request[2], 1, 0, 0, len(texts)]) + objects
        return bytes([function | 0x80, 1])

    async def peer(reader, writer):
        try:
            while True:
                transaction, _, size, unit = struct.unpack("!HHHB", await reader.readexactly(7))
                body = answer(await reader.readexactly(size - 1))
                writer.write(struct.pack("!HHHB", transaction, 0, len(body) + 1, unit) + body)
        except (OSError, EOFError):
            writer.close()

    async with await asyncio.start_server(peer, "", port) as server:
        await server.serve_forever()


async def modbus_master(player, peers, every_s, registers=10, port=502):
    """Asks each device who it is, then reads it in a steady rhythm."""
    async def one(peer):
        reader, writer = await asyncio.open_connection(peer, port)
        async for number in player.beats(every_s, 0.03):
            body = bytes([43, 14, 1, 0]) if number % 20 == 0 else \
                struct.pack("!BHH", 3, 100, registers)
            writer.write(struct.pack("!HHHB", number & 0xFFFF, 0, len(body) + 1, 1) + body)
            _, _, size, _ = struct.unpack(
                "!HHHB", await asyncio.wait_for(reader.readexactly(7), 3))
            await asyncio.wait_for(reader.readexactly(size - 1), 3)

    await asyncio.gather(*(player.keep(one, peer) for peer in peers))
