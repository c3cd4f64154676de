//! From a request's bytes to its handler: which API, which decoder, which function.

use std::future::Future;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Decodable;

use crate::api::{Reply, RequestContext};

/// Hands a request body that passed the wire guard to the handler of its API.
///
/// # Errors
/// Words for the log when the body cannot be decoded or nobody serves the API: the connection is then closed.
pub(crate) async fn dispatch(context: RequestContext, body: Bytes) -> Result<Reply, String> {
    match context.api_key {
        // The group APIs: `ApiKey::JoinGroup => handle(context, body, groups::join).await`, and so on.
        key => Err(format!("nobody serves {key:?}")),
    }
}

/// Decodes the body and runs the handler.
async fn handle<R, F, Fut>(context: RequestContext, mut body: Bytes, handler: F) -> Result<Reply, String>
where
    R: Decodable,
    F: FnOnce(RequestContext, R) -> Fut,
    Fut: Future<Output = Reply> + Send,
{
    let request = R::decode(&mut body, context.api_version).map_err(|error| {
        format!(
            "{:?} v{} cannot be decoded: {error}",
            context.api_key, context.api_version
        )
    })?;
    Ok(handler(context, request).await)
}
