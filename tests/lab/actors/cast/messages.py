"""MQTT (PyPI `paho-mqtt`): badges, sensors, wearables."""

import asyncio
import json

import paho.mqtt.client as mqtt


async def client(player, peer, topic, every_s, client_id, keepalive=30, qos=1, size=40,
                 subscribes="", jitter=0.05):
    """Stays connected, publishes in its rhythm, may listen to a topic."""
    link = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id)
    link.reconnect_delay_set(1, 10)
    if subscribes:
        link.on_connect = lambda *_: link.subscribe(subscribes, qos)
    link.connect_async(peer, 1883, keepalive=keepalive)
    link.loop_start()
    async for number in player.beats(every_s, jitter):
        body = {"id": player.hostname, "n": number, "v": round(player.rng.uniform(2, 40), 2)}
        text = json.dumps(body).ljust(size)
        link.publish(topic, text, qos=qos)
    await asyncio.Event().wait()
