//! Login through an identity provider: OpenID Connect's authorization code flow with PKCE.
//!
//! Nothing is kept between leaving for the provider and coming back. State, nonce and PKCE's
//! verifier are all derived from one random value in a cookie of the browser that left, so nobody
//! else can come back in its place, and nobody fills a table here by leaving.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::http::{HeaderMap, HeaderValue};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType,
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreProviderMetadata, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessTokenHash, AdditionalClaims, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse,
    TokenResponse as _, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio::sync::Mutex;

use super::{Role, session};
use crate::api::problem::{Code, Problem};
use crate::config::Oidc;
use crate::secret::Secret;
use crate::time::Time;

/// Where browsers come back to.
pub const CALLBACK: &str = "/api/v1/login/oidc/callback";

/// The cookie of a browser that left for the provider.
const COOKIE: &str = "__Host-wardline-login";
/// How long it may be away, in seconds.
const AWAY_S: i64 = 600;
/// How long what the provider says of itself is believed.
const FRESH: Duration = Duration::from_secs(600);
/// How long the provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of the largest answer of the provider.
const ANSWER_BYTES: usize = 1024 * 1024;
/// Who has several roles gets the first of these.
const PRECEDENCE: [Role; 5] = [
    Role::Administrator,
    Role::Security,
    Role::Biomed,
    Role::Auditor,
    Role::Viewer,
];

type Fields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Client = openidconnect::Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

type Answered = Result<HttpResponse, HttpError>;

/// Claims beyond those that OpenID Connect names.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Claims(BTreeMap<String, Json>);

impl AdditionalClaims for Claims {}

/// An identity provider.
#[derive(Debug)]
pub struct Provider {
    config: Oidc,
    redirect: RedirectUrl,
    secret: Option<Secret>,
    http: reqwest::Client,
    /// Seals cookies; those of an earlier process do not hold.
    seal: Secret,
    metadata: Mutex<Option<(Instant, CoreProviderMetadata)>>,
}

/// Somebody the provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// The user, as the provider numbers them.
    pub subject: String,
    /// The name they go by.
    pub name: String,
    /// As people call them.
    pub display_name: String,
    /// What the mapping of claims gives them.
    pub role: Role,
}

/// What a browser brings back from the provider.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The code to be exchanged for tokens.
    pub code: Option<Secret>,
    /// The state that we sent along.
    pub state: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
    /// Who answers.
    pub issuer: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum HttpError {
    #[error("{0}")]
    Request(#[from] reqwest::Error),
    #[error("the answer is larger than {ANSWER_BYTES} bytes")]
    TooLarge,
    #[error("{0}")]
    Form(#[from] axum::http::Error),
}

impl Provider {
    /// As configured. The provider itself is not asked before somebody wants to log in.
    ///
    /// # Errors
    /// When a file cannot be used, or a URL is none.
    pub fn new(config: &Oidc) -> anyhow::Result<Self> {
        let at = |path: &Path| format!("cannot use {} (`oidc`)", path.display());
        let secret = match &config.client_secret_file {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| at(path))?;
                Some(Secret::from_outside(text.trim()))
            }
        };
        let mut http = reqwest::Client::builder()
            .https_only(true)
            // A provider that redirects our questions could send us anywhere.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE);
        if let Some(path) = &config.ca_certificate {
            let pem = std::fs::read(path).with_context(|| at(path))?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem).with_context(|| at(path))?;
            http = http.tls_certs_only(roots);
        }
        Ok(Self {
            redirect: RedirectUrl::new(config.redirect_url.clone())
                .context("`oidc.redirect_url` is no URL")?,
            secret,
            http: http.build().context("no HTTPS client for `oidc`")?,
            seal: Secret::random("")?,
            metadata: Mutex::default(),
            config: config.clone(),
        })
    }

    /// The provider, as it calls itself.
    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// Sends a browser to the provider: where to, and the cookie that it takes along.
    ///
    /// # Errors
    /// When the provider cannot be reached.
    pub async fn leave(&self) -> Result<(String, HeaderValue), Problem> {
        let client = self.client(false).await?;
        let secret = Secret::random("").map_err(|error| internal(&error))?;
        let (challenge, _) = challenge(&secret);
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let (state, nonce) = (secret.derive("state"), secret.derive("nonce"));
        let mut request = client
            .authorize_url(
                flow,
                move || CsrfToken::new(state.reveal().to_owned()),
                move || Nonce::new(nonce.reveal().to_owned()),
            )
            .set_pkce_challenge(challenge);
        for scope in &self.config.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, _, _) = request.url();
        let until = Time::now().plus_s(AWAY_S).seconds();
        let open = format!("{}.{until}", secret.reveal());
        let sealed = format!("{open}.{}", self.seal.derive(&open).reveal());
        let cookie = cookie(&sealed, AWAY_S).ok_or_else(|| internal(&"no cookie"))?;
        Ok((url.into(), cookie))
    }

    /// Takes a browser that comes back.
    ///
    /// # Errors
    /// When it did not leave from here, the provider does not vouch for anybody, or no role fits.
    pub async fn come_back(&self, headers: &HeaderMap, answer: Answer) -> Result<Vouched, Problem> {
        let jar = CookieJar::from_headers(headers);
        let secret = jar
            .get(COOKIE)
            .and_then(|cookie| self.unseal(cookie.value()));
        let secret = secret.ok_or_else(|| {
            refused("This browser did not begin a login here within ten minutes; begin again.")
        })?;
        let state = answer.state.unwrap_or_default();
        if !secret.derives("state", &state) {
            return Err(refused("The answer belongs to another login; begin again."));
        }
        if answer
            .issuer
            .is_some_and(|issuer| issuer != self.config.issuer)
        {
            return Err(refused("Another provider answers; begin again."));
        }
        let Some(code) = answer.code else {
            tracing::info!(error = ?answer.error, "the identity provider lets nobody in");
            return Err(refused("The identity provider did not let you in."));
        };
        let (subject, claims) = self.exchange(&code, &secret).await?;
        self.vouched(subject, &claims)
    }

    /// Exchanges a code for the claims that the provider signed, with those it tells on being
    /// asked.
    async fn exchange(
        &self,
        code: &Secret,
        secret: &Secret,
    ) -> Result<(String, serde_json::Map<String, Json>), Problem> {
        let client = self.client(false).await?;
        let http = self.http();
        let (_, verifier) = challenge(secret);
        let tokens = client
            .exchange_code(AuthorizationCode::new(code.reveal().to_owned()))
            .map_err(|error| does_not_hold(&error))?
            .set_pkce_verifier(verifier)
            .request_async(&http)
            .await
            .map_err(|error| does_not_hold(&error))?;
        let id_token = tokens.id_token();
        let id_token = id_token.ok_or_else(|| does_not_hold(&"there is no ID token"))?;
        let nonce = Nonce::new(secret.derive("nonce").reveal().to_owned());
        let mut client = client;
        if id_token
            .claims(&client.id_token_verifier(), &nonce)
            .is_err()
        {
            // The provider may have changed its keys.
            client = self.client(true).await?;
        }
        let verifier = client.id_token_verifier();
        let claims = id_token
            .claims(&verifier, &nonce)
            .map_err(|error| does_not_hold(&error))?;
        if let Some(expected) = claims.access_token_hash() {
            let algorithm = id_token.signing_alg().map_err(|e| does_not_hold(&e))?;
            let key = id_token
                .signing_key(&verifier)
                .map_err(|e| does_not_hold(&e))?;
            let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
                .map_err(|error| does_not_hold(&error))?;
            if actual != *expected {
                return Err(does_not_hold(&"the tokens do not belong together"));
            }
        }
        let mut all = object(claims);
        if client.user_info_url().is_some() {
            let told: UserInfoClaims<Claims, CoreGenderClaim> = client
                .user_info(
                    tokens.access_token().clone(),
                    Some(claims.subject().clone()),
                )
                .map_err(|error| does_not_hold(&error))?
                .request_async(&http)
                .await
                .map_err(|error| does_not_hold(&error))?;
            for (name, value) in object(&told) {
                // What is signed holds before what is told.
                all.entry(name).or_insert(value);
            }
        }
        Ok((claims.subject().to_string(), all))
    }

    fn vouched(
        &self,
        subject: String,
        claims: &serde_json::Map<String, Json>,
    ) -> Result<Vouched, Problem> {
        let claim = &self.config.role_claim;
        let values = texts(find(claims, claim));
        let has = |role: &Role| {
            let mut values = values.iter();
            values.any(|value| self.config.roles.get(*value) == Some(role))
        };
        let role = PRECEDENCE.into_iter().find(has).ok_or_else(|| {
            Problem::new(
                Code::Forbidden,
                format!(
                    "The identity provider vouches for you, but nothing in its claim `{claim}` \
                     gives you a role here. Ask your administrator."
                ),
            )
        })?;
        let text = |name: &str| claims.get(name).and_then(Json::as_str);
        let name = text("preferred_username").or_else(|| text("email"));
        let name = name.unwrap_or(&subject).to_lowercase();
        let display_name = text("name").unwrap_or_default().chars();
        Ok(Vouched {
            name,
            display_name: display_name.filter(|c| !c.is_control()).take(128).collect(),
            role,
            subject,
        })
    }

    /// The secret of a cookie that was sealed here and still holds.
    fn unseal(&self, sealed: &str) -> Option<Secret> {
        let (open, seal) = sealed.rsplit_once('.')?;
        let (secret, until) = open.split_once('.')?;
        let holds = self.seal.derives(open, seal);
        let in_time = until.parse::<i64>().ok()? > Time::now().seconds();
        (holds && in_time).then(|| Secret::from_outside(secret))
    }

    /// With what the provider says of itself, `anew` or as it was known before.
    async fn client(&self, anew: bool) -> Result<Client, Problem> {
        let mut kept = self.metadata.lock().await;
        let fresh = kept
            .as_ref()
            .filter(|(at, _)| !anew && at.elapsed() < FRESH);
        let metadata = match fresh {
            Some((_, metadata)) => metadata.clone(),
            None => {
                let issuer = IssuerUrl::new(self.config.issuer.clone());
                let issuer = issuer.map_err(|error| away(&error))?;
                let http = self.http();
                let metadata = CoreProviderMetadata::discover_async(issuer, &http).await;
                let metadata = metadata.map_err(|error| away(&error))?;
                *kept = Some((Instant::now(), metadata.clone()));
                metadata
            }
        };
        let secret = self.secret.as_ref();
        let client = Client::from_provider_metadata(
            metadata,
            ClientId::new(self.config.client_id.clone()),
            secret.map(|secret| ClientSecret::new(secret.reveal().to_owned())),
        );
        Ok(client.set_redirect_uri(self.redirect.clone()))
    }

    /// What the library asks the provider with; it has no other way out.
    fn http(&self) -> impl Fn(HttpRequest) -> BoxFuture<'static, Answered> + use<> {
        let http = self.http.clone();
        move |request| send(http.clone(), request).boxed()
    }
}

async fn send(http: reqwest::Client, request: HttpRequest) -> Answered {
    let mut answer = http.execute(request.try_into()?).await?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return Err(HttpError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = axum::http::Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        *headers = answer.headers().clone();
    }
    Ok(response.body(body)?)
}

/// Takes the cookie away from a browser that came back.
pub fn forget() -> Option<HeaderValue> {
    cookie("", 0)
}

/// `Lax`, unlike a session's: it must come along when the provider sends the browser back.
fn cookie(value: &str, seconds: i64) -> Option<HeaderValue> {
    let cookie = Cookie::build((COOKIE, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(time::Duration::seconds(seconds));
    session::header(&cookie.build())
}

fn challenge(secret: &Secret) -> (PkceCodeChallenge, PkceCodeVerifier) {
    let verifier = PkceCodeVerifier::new(secret.derive("pkce").reveal().to_owned());
    (
        PkceCodeChallenge::from_code_verifier_sha256(&verifier),
        verifier,
    )
}

fn object(claims: &impl Serialize) -> serde_json::Map<String, Json> {
    match serde_json::to_value(claims) {
        Ok(Json::Object(map)) => map,
        _ => serde_json::Map::new(),
    }
}

/// A claim by its name, or by a path of names with dots between them.
fn find<'a>(claims: &'a serde_json::Map<String, Json>, path: &str) -> Option<&'a Json> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    let (first, rest) = path.split_once('.')?;
    find(claims.get(first)?.as_object()?, rest)
}

/// One text, or those of a list.
fn texts(value: Option<&Json>) -> Vec<&str> {
    match value {
        Some(Json::String(text)) => vec![text],
        Some(Json::Array(list)) => list.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn refused(detail: &str) -> Problem {
    Problem::new(Code::Forbidden, detail)
}

fn does_not_hold(error: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(%error, "what the identity provider says does not hold");
    refused("What the identity provider says does not hold. The log of the appliance says more.")
}

fn away(error: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(%error, "the identity provider cannot be asked");
    let detail = "The identity provider cannot be reached. The log of the appliance says more.";
    Problem::new(Code::Unavailable, detail).retry_after_s(10)
}

fn internal(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "no login can begin");
    Problem::new(Code::Internal, "The log of the appliance says more.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn provider() -> Provider {
        let roles = [("admins", Role::Administrator), ("night", Role::Viewer)];
        Provider::new(&Oidc {
            issuer: "https://id.example".to_owned(),
            client_id: "wardline".to_owned(),
            client_secret_file: None,
            redirect_url: format!("https://wardline.example{CALLBACK}"),
            scopes: Vec::new(),
            role_claim: "realm.roles".to_owned(),
            roles: roles.map(|(value, role)| (value.to_owned(), role)).into(),
            ca_certificate: None,
        })
        .expect("a provider")
    }

    #[test]
    fn the_first_role_in_precedence_is_given_and_none_is_made_up() {
        let provider = provider();
        let vouched = |claims: Json| {
            let claims = claims.as_object().expect("an object").clone();
            provider.vouched("7".to_owned(), &claims)
        };
        let anna = vouched(
            json!({ "preferred_username": "Anna", "name": "Anna\u{7} B.",
            "realm": { "roles": ["night", "admins", 1] } }),
        );
        let anna = anna.expect("a role");
        assert_eq!(
            (anna.role, anna.name.as_str()),
            (Role::Administrator, "anna")
        );
        assert_eq!(anna.display_name, "Anna B.");
        let night = vouched(json!({ "realm.roles": "night" })).expect("a role");
        assert_eq!((night.role, night.name.as_str()), (Role::Viewer, "7"));
        for claims in [
            json!({}),
            json!({ "realm": { "roles": ["administrator"] } }),
        ] {
            assert_eq!(vouched(claims).expect_err("no role").code, Code::Forbidden);
        }
    }

    #[test]
    fn a_cookie_holds_here_and_for_a_while() {
        let (ours, other) = (provider(), provider());
        let sealed = |until: Time| {
            let open = format!("secret.{}", until.seconds());
            format!("{open}.{}", ours.seal.derive(&open).reveal())
        };
        let good = sealed(Time::now().plus_s(60));
        assert_eq!(
            ours.unseal(&good).as_ref().map(Secret::reveal),
            Some("secret")
        );
        assert_eq!(other.unseal(&good), None);
        assert_eq!(ours.unseal(&sealed(Time::now().plus_s(-1))), None);
        for text in ["", ".", "..", &good.replace("secret", "other")] {
            assert_eq!(ours.unseal(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn whoever_did_not_leave_from_here_does_not_come_back() {
        let answer = Answer {
            code: Some(Secret::from_outside("code")),
            state: Some("state".to_owned()),
            error: None,
            issuer: None,
        };
        let problem = provider().come_back(&HeaderMap::new(), answer).await;
        assert_eq!(problem.expect_err("refused").code, Code::Forbidden);
    }
}
