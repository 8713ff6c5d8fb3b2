"""Building controller: a BACnet/IP device with one room pressure. Stack: PyPI `bacpypes3`.

Arguments: own address with prefix length, device instance.
"""

import asyncio
import sys

from bacpypes3.app import Application
from bacpypes3.local.analog import AnalogValueObject
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject

from wardlib import report


class Controller(Application):
    """Notes who asks."""

    async def do_WhoIsRequest(self, apdu):
        await super().do_WhoIsRequest(apdu)
        report(heard="who-is", low=apdu.deviceInstanceRangeLowLimit, peer=str(apdu.pduSource))

    async def do_ReadPropertyRequest(self, apdu):
        await super().do_ReadPropertyRequest(apdu)
        report(heard="read-property", object=str(apdu.objectIdentifier), peer=str(apdu.pduSource))


async def main():
    address, instance = sys.argv[1], int(sys.argv[2])
    device = DeviceObject(objectIdentifier=("device", instance), objectName="hvac",
                          vendorIdentifier=999)
    port = NetworkPortObject(address, objectIdentifier=("network-port", 1), objectName="port")
    pressure = AnalogValueObject(objectIdentifier=("analog-value", 1), objectName="room-pressure",
                                 presentValue=12.5)
    Controller.from_object_list([device, port, pressure])
    await asyncio.Event().wait()


asyncio.run(main())
