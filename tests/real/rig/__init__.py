"""What the drivers stand on: processes, brokers, an S3 server, a raw Kafka client, verdicts."""
