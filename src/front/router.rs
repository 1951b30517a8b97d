//! The router. Every request passes [`admission::admit`] first, and every response, including
//! errors, gets the headers of [`response::with_security_headers`].

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::any;

use super::Front;
use super::admission::{self, Rejection};
use super::response;

/// The router of the front.
pub(super) fn router(front: &Arc<Front>) -> Router {
    Router::new()
        .route("/ws", any(websocket))
        .fallback(file)
        .layer(middleware::from_fn_with_state(Arc::clone(front), admit))
        .layer(middleware::map_response_with_state(Arc::clone(front), add_security_headers))
        .with_state(Arc::clone(front))
}

async fn admit(State(front): State<Arc<Front>>, request: Request, next: Next) -> Result<Response, Rejection> {
    admission::admit(&request, &front.origin)?;
    Ok(next.run(request).await)
}

async fn websocket(State(front): State<Arc<Front>>, request: Request) -> Result<Response, Rejection> {
    Ok(response::websocket(admission::websocket(&request, &front.origin)?))
}

async fn file(State(front): State<Arc<Front>>, request: Request) -> Result<Response, Rejection> {
    let file = front.files.at(request.uri().path()).ok_or(Rejection::NotFound)?;
    Ok(response::file(file, &request))
}

async fn add_security_headers(State(front): State<Arc<Front>>, response: Response) -> Response {
    response::with_security_headers(response, &front.origin)
}
