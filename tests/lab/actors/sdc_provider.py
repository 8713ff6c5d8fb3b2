"""IEEE 11073 SDC provider: a patient monitor, a ventilator, a pump or an anaesthesia machine.
Stack: PyPI `sdc11073`.

Real WS-Discovery and mutual TLS. The port is the one registered for SDC (6464) instead of one the
system picks, as a hospital that filters would configure it.
"""

import argparse
import decimal
import logging
import pathlib
import threading
import time
import uuid

from sdc11073.certloader import mk_ssl_contexts
from sdc11073.httpserver import compression
from sdc11073.httpserver.httpserverimpl import HttpServerThreadBase, _ThreadingHTTPServer
from sdc11073.location import SdcLocation
from sdc11073.mdib import ProviderMdib
from sdc11073.provider import SdcProvider
from sdc11073.wsdiscovery import WSDiscovery
from sdc11073.xml_types.dpws_types import ThisDeviceType, ThisModelType

from wardlib import report

# Heart rate for a monitor, respiratory rate for a ventilator, flow for a pump, expired carbon dioxide
# for an anaesthesia machine: code, unit (ISO/IEEE 11073-10101).
METRICS = {"monitor": (147842, 264864), "ventilator": (151586, 264928),
           "pump": (157784, 265266), "anaesthesia": (151708, 266016)}
# What the whole device is, in the same terms.
SYSTEMS = {"monitor": 130535, "ventilator": 130535, "pump": 69985, "anaesthesia": 69837}

MDIB = """<?xml version="1.0" encoding="UTF-8"?>
<msg:GetMdibResponse SequenceId="urn:oid:1"
    xmlns:msg="http://standards.ieee.org/downloads/11073/11073-10207-2017/message"
    xmlns:pm="http://standards.ieee.org/downloads/11073/11073-10207-2017/participant"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <msg:Mdib SequenceId="urn:oid:1"><pm:MdDescription>
    <pm:Mds Handle="mds0" SafetyClassification="MedA"><pm:Type Code="{system}"/>
      <pm:SystemContext Handle="sc0">
        <pm:PatientContext Handle="pc0"/><pm:LocationContext Handle="lc0"/>
      </pm:SystemContext>
      <pm:Vmd Handle="vmd0" SafetyClassification="MedA"><pm:Type Code="130536"/>
        <pm:Channel Handle="ch0" SafetyClassification="MedA"><pm:Type Code="130637"/>
          <pm:Metric Handle="rate" xsi:type="pm:NumericMetricDescriptor"
              SafetyClassification="MedA" MetricCategory="Msrmt" MetricAvailability="Cont"
              Resolution="1">
            <pm:Type Code="{code}"/><pm:Unit Code="{unit}"/>
          </pm:Metric>
        </pm:Channel>
      </pm:Vmd>
    </pm:Mds>
  </pm:MdDescription></msg:Mdib>
</msg:GetMdibResponse>"""


class ReusableServer(_ThreadingHTTPServer):
    """Listens again at once on a port whose last connections have not timed out yet."""

    allow_reuse_address = True


class PinnedServer(HttpServerThreadBase):
    """The library's HTTPS server on a port we choose: the original takes any free one."""

    def __init__(self, address, port, tls, name):
        super().__init__(address, tls, compression.CompressionHandler.available_encodings,
                         logging.getLogger(name))
        self.port = port

    def run(self):
        self.httpd = ReusableServer(
            self.logger, (self._my_ipaddress, self.port), self.chunk_size,
            self.supported_encodings)
        self.httpd.socket = self._ssl_context.wrap_socket(self.httpd.socket, server_side=True)
        self.base_url = f"https://{self._my_ipaddress}:{self.port}/"
        self.started_evt.set()
        self.httpd.serve_forever()

    @classmethod
    def started(cls, address, port, tls, name):
        """A server that already listens."""
        server = cls(address, port, tls, name)
        server.start()
        if not server.started_evt.wait(10):
            raise RuntimeError(f"cannot listen on {address}:{port}")
        return server


def tls_contexts(directory, host):
    """Both TLS contexts of a host: it shows its certificate and asks for the other's."""
    directory = pathlib.Path(directory)
    return mk_ssl_contexts(directory / f"{host}.key", directory / f"{host}.pem",
                           directory / "ca.pem")


def endpoint_of(host):
    """The endpoint reference of a device, the same after each start."""
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"{host}.ward.test")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, default=6464)
    parser.add_argument("--kind", choices=METRICS, default="monitor")
    parser.add_argument("--certs", required=True)
    parser.add_argument("--manufacturer", default="Ward Test")
    parser.add_argument("--model")
    parser.add_argument("--number", default="1")
    parser.add_argument("--serial")
    parser.add_argument("--firmware")
    parser.add_argument("--every", type=float, default=1.0)
    arguments = parser.parse_args()

    tls = tls_contexts(arguments.certs, arguments.host)
    code, unit = METRICS[arguments.kind]
    mdib = ProviderMdib.from_string(MDIB.format(
        code=code, unit=unit, system=SYSTEMS[arguments.kind]).encode())
    discovery = WSDiscovery(arguments.address)
    discovery.start()
    provider = SdcProvider(
        discovery,
        ThisModelType(manufacturer=arguments.manufacturer,
                      model_name=arguments.model or arguments.kind,
                      model_number=arguments.number),
        ThisDeviceType(friendly_name=arguments.host, firmware_version=arguments.firmware,
                       serial_number=arguments.serial or arguments.host),
        mdib, epr=endpoint_of(arguments.host), ssl_context_container=tls)
    server = PinnedServer.started(arguments.address, arguments.port, tls.server_context, "sdc")
    provider.start_all(start_rtsample_loop=False, shared_http_server=server)
    provider.set_location(SdcLocation(fac="HOSPITAL", poc="WARD", bed=arguments.host))

    value = 0
    while True:
        value += 1
        with mdib.metric_state_transaction() as transaction:
            state = transaction.get_state("rate")
            if state.MetricValue is None:
                state.mk_metric_value()
            state.MetricValue.Value = decimal.Decimal(value)
        report(token=f"{arguments.host}={value}")
        time.sleep(arguments.every)


if __name__ == "__main__":
    main()
