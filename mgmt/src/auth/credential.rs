//! What a request brings to say who sends it: a token, a session's cookie, or a certificate.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum_server::tls::TlsInfo;

use super::{Principal, address, certificate, session, token};
use crate::Shared;
use crate::api::problem::{Code, Problem};
use crate::secret::Secret;

/// Where a browser says whose page asks.
const FETCH_SITE: &str = "sec-fetch-site";

/// What a request brings, apart from its body, which only one thread at a time may hold.
#[derive(Debug)]
pub(super) struct Presented {
    headers: HeaderMap,
    host: Option<String>,
    tls: Option<Arc<TlsInfo>>,
    /// Where it comes from.
    pub(super) address: Option<IpAddr>,
    writes: bool,
}

impl Presented {
    /// By a request that changes something, or does not.
    pub(super) fn by(request: &Request, writes: bool) -> Self {
        let headers = request.headers().clone();
        // HTTP/2 has the host in the address of the request.
        let host = match request.uri().authority() {
            Some(authority) => Some(authority.as_str().to_owned()),
            None => text(&headers, HOST.as_str()).map(str::to_owned),
        };
        Self {
            host,
            tls: request.extensions().get().cloned(),
            address: address(request.extensions()),
            headers,
            writes,
        }
    }

    /// Who sends it: nobody in particular, somebody, or credentials that do not hold.
    pub(super) async fn check(&self, app: &Shared) -> Result<Option<Principal>, Problem> {
        if self.headers.contains_key(AUTHORIZATION) {
            return self.token(app).await.map(Some);
        }
        if let Some(cookie) = session::cookie(&self.headers) {
            return self.session(app, &cookie).await.map(Some);
        }
        let tls = self.tls.as_ref();
        match tls.and_then(|tls| tls.peer_certificates.first()) {
            Some(der) => self.certificate(app, der).await,
            None => Ok(None),
        }
    }

    async fn token(&self, app: &Shared) -> Result<Principal, Problem> {
        let bearer = text(&self.headers, AUTHORIZATION.as_str()).and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let bearer = bearer.ok_or_else(|| refused("Write `Authorization: Bearer TOKEN`."))?;
        let bearer = Secret::from_outside(bearer);
        let principal = token::find(app, &bearer, self.address).await?;
        principal.ok_or_else(|| refused("The token is not known, or it has expired."))
    }

    async fn session(&self, app: &Shared, cookie: &Secret) -> Result<Principal, Problem> {
        let principal = session::find(app, cookie, self.address).await?;
        let principal = principal.ok_or_else(|| refused("The session has ended; log in again."))?;
        if !self.writes {
            return Ok(principal);
        }
        if !self.is_same_origin().unwrap_or(false) {
            return Err(Problem::new(
                Code::Forbidden,
                "A change with a session's cookie must come from a page of this host \
                 (`Sec-Fetch-Site` or `Origin`).",
            ));
        }
        let csrf = text(&self.headers, session::CSRF_HEADER);
        if !csrf.is_some_and(|text| session::is_csrf(cookie, text)) {
            return Err(Problem::new(
                Code::Forbidden,
                "Send `X-Wardline-CSRF` with the value of `csrf` from `GET /session`.",
            ));
        }
        Ok(principal)
    }

    /// A browser shows a certificate to whatever page asks, so other hosts' pages are refused;
    /// programs say nothing about pages.
    async fn certificate(&self, app: &Shared, der: &[u8]) -> Result<Option<Principal>, Problem> {
        if self.writes && self.is_same_origin() == Some(false) {
            return Err(Problem::new(
                Code::Forbidden,
                "A change with a certificate must not come from a page of another host.",
            ));
        }
        Ok(certificate::find(&app.store, der, self.address).await?)
    }

    /// Whether a page of ours asks, as far as the browser says so.
    fn is_same_origin(&self) -> Option<bool> {
        if let Some(site) = self.headers.get(FETCH_SITE) {
            return Some(site == "same-origin");
        }
        let origin = self.headers.get(ORIGIN)?;
        let host = origin
            .to_str()
            .ok()
            .and_then(|o| o.strip_prefix("https://"));
        Some(host.is_some() && host == self.host.as_deref())
    }
}

fn refused(detail: &str) -> Problem {
    Problem::new(Code::Unauthenticated, detail)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_pages_of_the_same_host_are_of_the_same_origin() {
        let same = |headers: &[(&str, &str)]| {
            let mut request = Request::builder().uri("/api/v1/session");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(Body::empty()).expect("a request");
            Presented::by(&request, true).is_same_origin()
        };
        let host = ("host", "wardline.example:8443");
        let origin = |value| ("origin", value);
        assert_eq!(same(&[host]), None);
        assert_eq!(
            same(&[host, origin("https://wardline.example:8443")]),
            Some(true)
        );
        for other in [
            "null",
            "https://wardline.example",
            "http://wardline.example:8443",
            "",
        ] {
            assert_eq!(same(&[host, origin(other)]), Some(false), "{other}");
        }
        assert_eq!(
            same(&[origin("https://wardline.example:8443")]),
            Some(false)
        );
        assert_eq!(same(&[host, (FETCH_SITE, "same-origin")]), Some(true));
        for site in ["same-site", "cross-site", "none"] {
            let right = origin("https://wardline.example:8443");
            assert_eq!(
                same(&[host, right, (FETCH_SITE, site)]),
                Some(false),
                "{site}"
            );
        }
    }
}
