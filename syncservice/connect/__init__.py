"""Connectors of the source systems: Kafka Connect's REST interface and the life of a source connector."""
