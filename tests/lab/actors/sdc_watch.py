"""Central station of a recording: looks for SDC devices by WS-Discovery again and again, subscribes
to each that it finds and stays. Stack: PyPI `sdc11073`.

Arguments: own address, certificate directory, own name (of the certificate), port for reports,
seconds between searches.
"""

import sys
import time

from sdc11073.consumer.consumerimpl import SdcConsumer
from sdc11073.definitions_sdc import SdcV1Definitions
from sdc11073.mdib import ConsumerMdib
from sdc11073.wsdiscovery import WSDiscovery

from sdc_provider import PinnedServer, tls_contexts
from wardlib import report


def main():
    address, certs, name, port, every = sys.argv[1:]
    tls = tls_contexts(certs, name)
    discovery = WSDiscovery(address)
    discovery.start()
    sink = PinnedServer.started(address, int(port), tls.server_context, "sink")
    watched = {}
    while True:
        services = discovery.search_services(
            SdcV1Definitions.MedicalDeviceTypesFilter, timeout=1.5, repeat_probe_interval=1.5)
        for service in services:
            if service.epr in watched and watched[service.epr][0].is_connected:
                continue
            try:
                consumer = SdcConsumer.from_wsd_service(service, ssl_context_container=tls)
                consumer.start_all(shared_http_server=sink)
                mdib = ConsumerMdib(consumer)
                mdib.init_mdib()
                watched[service.epr] = consumer, mdib
                report(watches=service.epr)
            except Exception as error:  # whatever one device does, the others are still watched
                report(missed=service.epr, why=repr(error))
        time.sleep(float(every))


main()
