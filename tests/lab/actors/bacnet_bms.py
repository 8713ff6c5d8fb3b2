"""Building management: Who-Is by broadcast, waits for the I-Am, reads one value. Stack: `bacpypes3`.

Arguments: own address with prefix length, device instance to look for.
"""

import asyncio
import sys

from bacpypes3.app import Application
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.primitivedata import ObjectIdentifier

from wardlib import fail, report


async def main():
    address, instance = sys.argv[1], int(sys.argv[2])
    app = Application.from_object_list([
        DeviceObject(objectIdentifier=("device", 1), objectName="bms", vendorIdentifier=999),
        NetworkPortObject(address, objectIdentifier=("network-port", 1), objectName="port"),
    ])
    answers = await asyncio.wait_for(app.who_is(instance, instance, timeout=2), 5)
    if not answers:
        fail(f"no I-Am from device {instance}")
    controller = answers[0].pduSource
    value = await asyncio.wait_for(
        app.read_property(controller, ObjectIdentifier(("analog-value", 1)), "present-value"), 5)
    report(controller=str(controller), value=float(value))
    app.close()


asyncio.run(main())
