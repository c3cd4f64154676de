//! What the engine's error kinds are called on Kafka's wire: the only file that maps one to the other.
