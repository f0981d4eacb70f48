"""The local stack: Kafka, Kafka Connect, schema registry and three PostgreSQL servers, without Docker.

>>> from terrafusion.stack import Stack
>>> stack = Stack.here()
>>> stack.up()
>>> stack.env()["KAFKA_BOOTSTRAP"]
"""

from terrafusion.stack.errors import StackError
from terrafusion.stack.facade import Stack
from terrafusion.stack.parts import NAMES
from terrafusion.stack.status import PartStatus

__all__ = ["NAMES", "PartStatus", "Stack", "StackError"]
