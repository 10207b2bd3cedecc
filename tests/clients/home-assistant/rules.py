"""What this Home Assistant accepts of discovery, as JSON: read from its own schemas, by its own Python.

`make clients` compares it with what `tests/homeassistant/` holds the program to.
"""

import importlib
import json
import re

from homeassistant.components.mqtt import discovery
from homeassistant.components.sensor import const as sensor
from homeassistant.const import __version__

try:
    from homeassistant.components.mqtt import schemas
except ImportError:  # older than device discovery
    from homeassistant.components.mqtt import mixins as schemas

PLATFORMS = ["binary_sensor", "button", "event", "image", "number", "sensor", "switch"]


def keys(schema):
    """The keys of a schema, and those that must be there; it may stand in a chain of checks."""
    if hasattr(schema, "validators"):
        schema = next(part for part in schema.validators if isinstance(keyed(part), dict))
    known = keyed(schema)
    required = sorted(str(key) for key in known if type(key).__name__ == "Required")
    return {"known": sorted(str(key) for key in known), "required": required}


def keyed(part):
    return getattr(part, "schema", part)


def platform(name):
    rules = keys(importlib.import_module(f"homeassistant.components.mqtt.{name}").DISCOVERY_SCHEMA)
    classes = importlib.import_module(f"homeassistant.components.{name}")
    for found in (getattr(classes, word, None) for word in dir(classes) if word.endswith("DeviceClass")):
        rules["device_classes"] = sorted(found)
    return rules


def rules():
    found = {
        "version": __version__,
        "topic": discovery.TOPIC_MATCHER.pattern,
        "device": keys(getattr(schemas, "MQTT_DEVICE_INFO_SCHEMA", None) or schemas.MQTT_ENTITY_DEVICE_INFO_SCHEMA),
        "origin": keys(schemas.MQTT_ORIGIN_INFO_SCHEMA),
        "platforms": {name: platform(name) for name in PLATFORMS},
        "state_classes": sorted(sensor.SensorStateClass),
        "units": {
            str(kind): sorted(str(unit) for unit in units)
            for kind, units in sorted(sensor.DEVICE_CLASS_UNITS.items())
            if kind in ("duration",)
        },
    }
    if hasattr(schemas, "DEVICE_DISCOVERY_SCHEMA"):
        found["message"] = keys(schemas.DEVICE_DISCOVERY_SCHEMA)
    return found


# A list is one line.
print(re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", json.dumps(rules(), indent=1)))
