"""The local event source: Kafka to a function, as Lambda's mapping does it (rule 33)."""
