//! `/metrics`, `/healthz` and `/readyz`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kafscale_core::health::HealthState;
use parking_lot::Mutex;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::broker::Broker;

/// How far the broker is with its start.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    /// The store is being checked and read.
    Starting,
    /// It serves.
    Serving(Arc<Broker>),
}

#[derive(Debug, Clone)]
struct Shared {
    registry: Arc<Mutex<Registry>>,
    phase: watch::Receiver<Phase>,
}

/// Serves HTTP until `stop` is cancelled.
pub(crate) async fn serve(
    listener: TcpListener,
    registry: Arc<Mutex<Registry>>,
    phase: watch::Receiver<Phase>,
    stop: CancellationToken,
) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(Shared { registry, phase });
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        error!(%error, "metrics and health are not served any more");
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let mut text = String::new();
    match prometheus_text::encode(&mut text, &shared.registry.lock()) {
        Ok(()) => (
            [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
            text,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    let broker = match &*shared.phase.borrow() {
        Phase::Starting => return (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Phase::Serving(broker) => Arc::clone(broker),
    };
    if broker.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    if broker.engine.fenced().borrow().is_some() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "fenced: another broker has taken over\n",
        );
    }
    let health = broker.engine.health().borrow().state;
    match health {
        HealthState::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "the store is unavailable\n"),
        HealthState::Healthy => (StatusCode::OK, "ready\n"),
        HealthState::Degraded => (StatusCode::OK, "ready, the store is slow\n"),
    }
}
