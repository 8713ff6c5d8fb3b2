"""Nurse call badge: publishes one call with QoS 1 and waits for the broker's acknowledgement."""

import sys

import paho.mqtt.client as mqtt

from wardlib import fail, report

host, topic, call = sys.argv[1:]
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"badge-{call}")
client.connect(host, 1883, keepalive=30)
client.loop_start()
# Retained, so that a subscriber who comes a moment later hears it too.
message = client.publish(topic, call, qos=1, retain=True)
message.wait_for_publish(5)
if not message.is_published():
    fail("the broker did not acknowledge")
client.disconnect()
report(token=call, acknowledged=True)
