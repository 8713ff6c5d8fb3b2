//! What a request brings to say who sends it.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::{Principal, token};
use crate::App;
use crate::api::problem::{Code, Problem};
use crate::secret::Secret;

/// Who sends a request: nobody in particular, somebody, or credentials that do not hold.
pub(super) async fn check(
    app: &App,
    headers: &HeaderMap,
    _writes: bool,
    address: Option<IpAddr>,
) -> Result<Option<Principal>, Problem> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let bearer = header.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let bearer = bearer.ok_or_else(|| {
        Problem::new(
            Code::Unauthenticated,
            "Write `Authorization: Bearer TOKEN`.",
        )
    })?;
    let principal = token::find(&app.store, &Secret::from_outside(bearer), address).await?;
    principal.map(Some).ok_or_else(|| {
        Problem::new(
            Code::Unauthenticated,
            "The token is not known, or it has expired.",
        )
    })
}
