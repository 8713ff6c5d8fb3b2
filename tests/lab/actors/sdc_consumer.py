"""Central station: finds an SDC device by WS-Discovery, subscribes over TLS, waits for two values.

Arguments: own address, certificate directory, host name of the device.
"""

import queue
import sys
import time

from sdc11073 import observableproperties
from sdc11073.consumer.consumerimpl import SdcConsumer
from sdc11073.definitions_sdc import SdcV1Definitions
from sdc11073.mdib import ConsumerMdib
from sdc11073.wsdiscovery import WSDiscovery

from sdc_provider import PinnedServer, endpoint_of, tls_contexts
from wardlib import fail, report

SEARCH_S = 6


def find(discovery, endpoint):
    """Probes until the device's ProbeMatch is there."""
    end = time.monotonic() + SEARCH_S
    while time.monotonic() < end:
        services = discovery.search_services(
            SdcV1Definitions.MedicalDeviceTypesFilter, timeout=0.7, repeat_probe_interval=0.7)
        for service in services:
            if service.epr == endpoint.urn:
                return service
    return fail(f"no ProbeMatch of {endpoint.urn} within {SEARCH_S} s")


def main():
    address, certs, host, port = sys.argv[1:]
    tls = tls_contexts(certs, "central")
    discovery = WSDiscovery(address)
    discovery.start()
    service = find(discovery, endpoint_of(host))
    consumer = SdcConsumer.from_wsd_service(service, ssl_context_container=tls)
    sink = PinnedServer.started(address, int(port), tls.server_context, "sink")
    consumer.start_all(shared_http_server=sink)
    mdib = ConsumerMdib(consumer)
    mdib.init_mdib()
    values = queue.Queue()

    def on_metrics(metrics):
        if metrics:
            values.put(metrics["rate"].MetricValue.Value)

    # The library holds only a weak reference: `on_metrics` must outlive this call, and does.
    observableproperties.bind(mdib, metrics_by_handle=on_metrics)
    try:
        received = [int(values.get(timeout=4)) for _ in range(2)]
    except queue.Empty:
        fail("subscribed, but no metric report came")
    report(endpoint=service.epr, address=service.x_addrs[0],
           token=f"{host}={received[-1]}", values=received)
    consumer.stop_all()
    discovery.stop()


main()
