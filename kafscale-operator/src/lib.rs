//! The Kubernetes operator of KafScale. Nothing is built here yet: brokers are started by hand or by your own manifests.
