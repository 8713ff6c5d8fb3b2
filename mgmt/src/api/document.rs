//! The description's frame, and what holds for all operations and need not be said at each.

use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi,
    OpenApiBuilder, RefOr, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::idempotency;
use super::problem::{Code, FieldError, Problem};
use crate::auth::rules::{self, Access};
use crate::auth::session;

const ABOUT: &str = "What programs and the console ask of the management plane.\n\n\
    Answers that say no are problem details (RFC 9457) whose `code` does not change. Lists come in \
    pages: send `next_cursor` as `cursor`. What can change carries an `ETag` and wants it back as \
    `If-Match`. A `POST` with an `Idempotency-Key` is done once. Times are RFC 3339 in UTC; other quantities carry their unit in their name.";

/// Title, licence, credentials.
pub(super) fn frame() -> OpenApi {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let cookie = ApiKeyValue::with_description(
        session::COOKIE,
        "Set by `POST /session`. Changes also want `X-Wardline-CSRF`, with the value that \
         `GET /session` gives.",
    );
    let certificate = SecurityScheme::MutualTls {
        description: Some("Of an authority in `listen.client_ca`, listed here.".to_owned()),
        deprecated: None,
        extensions: None,
    };
    let info = InfoBuilder::new()
        .title("Wardline management")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0 OR MIT")
                .identifier(Some("Apache-2.0 OR MIT"))
                .build(),
        ));
    OpenApiBuilder::new()
        .info(info.build())
        .components(Some(
            ComponentsBuilder::new()
                .security_scheme("token", SecurityScheme::Http(bearer))
                .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)))
                .security_scheme("certificate", certificate)
                .schema(Problem::name(), Problem::schema())
                .schema(FieldError::name(), FieldError::schema())
                .schema(Code::name(), Code::schema())
                .build(),
        ))
        .build()
}

/// Adds to every operation what any operation may answer.
pub(super) fn complete(mut api: OpenApi) -> OpenApi {
    for (path, item) in &mut api.paths.paths {
        let has_id = path.contains('{');
        if let Some(operation) = &mut item.post {
            idempotency_key(operation);
        }
        let of = [
            (&mut item.get, false),
            (&mut item.put, true),
            (&mut item.post, true),
            (&mut item.patch, true),
            (&mut item.delete, true),
        ];
        for (operation, writes) in of {
            if let Some(operation) = operation {
                answers(operation, has_id, writes);
            }
        }
    }
    api
}

/// Adds the header that `POST` may carry, except where there are secrets.
fn idempotency_key(operation: &mut Operation) {
    let tag = operation.tags.as_ref().and_then(|tags| tags.first());
    if !tag.is_some_and(|tag| idempotency::is_for(tag)) {
        return;
    }
    let key = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(idempotency::PATTERN));
    let header = ParameterBuilder::new()
        .name(idempotency::HEADER)
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "The same key with the same request within 24 hours gives the same answer, and nothing \
             is done again",
        ))
        .schema(Some(key));
    operation
        .parameters
        .get_or_insert_default()
        .push(RefOr::T(header.build()));
}

fn answers(operation: &mut Operation, has_id: bool, writes: bool) {
    let id = operation.operation_id.clone().unwrap_or_default();
    let mut add = |status: &str, description: &str| {
        let content = ContentBuilder::new()
            .schema(Some(RefOr::Ref(utoipa::openapi::Ref::from_schema_name(
                Problem::name(),
            ))))
            .build();
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", content)
            .build();
        let responses = &mut operation.responses.responses;
        responses
            .entry(status.to_owned())
            .or_insert(RefOr::T(response));
    };
    add("400", "The request or a parameter is wrong");
    add("429", "Too many requests");
    add("500", "A fault of this program");
    add("503", "Not now: busy, or something it needs is away");
    if rules::of(&id) != Access::Public {
        add("401", "No credentials, or they do not hold");
        add("403", "The credentials do not suffice");
        let schemes = ["token", "session", "certificate"];
        let any = schemes.map(|scheme| SecurityRequirement::new::<_, _, String>(scheme, []));
        operation.security = Some(any.to_vec());
    }
    if has_id {
        add("404", "There is no such thing");
    }
    if writes {
        add("409", "It does not fit with how things are");
        add("507", "The disk is full");
    }
    let parameters = operation.parameters.clone().unwrap_or_default();
    let takes = |name: &str| {
        let mut parameters = parameters.iter();
        parameters.any(|p| matches!(p, RefOr::T(p) if p.name == name))
    };
    if operation.request_body.is_some() {
        add("413", "The body is too large");
        add("415", "The body is in another format");
        add("422", "The body is wrong");
    }
    if takes(idempotency::HEADER) {
        add("413", "The body is too large");
        add("422", "The key came with another request");
    }
    if takes("If-Match") {
        add("412", "It was changed since it was read");
        add("428", "If-Match is missing");
    }
}
