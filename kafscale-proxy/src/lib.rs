//! The Kafka-aware proxy of KafScale. Nothing is built here yet: the broker advertises itself directly.
