//! The schemas of values that are written as one text, for the description of the management API (OpenAPI 3.1).
//!
//! The schemas of structs are derived beside them. A pattern here is as strict as the parser where a pattern can say it.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat,
        schema::{AdditionalProperties, Type},
    },
};

use crate::{
    api::{ResourceIdentifier, Role, TokenFormat},
    api_key::{Environment, KeyPrefix},
    client::{AuthenticationMethod, GrantType},
    client_metadata::{ClientKeys, ClientProfile, IdTokenClaims},
    clock::Timestamp,
    holder::{Holder, Owner},
    id::{ApiId, AuditId, ClientId, EventId, GrantId, KeyId, SessionId, SigningKeyId, UserId, WebhookId},
    jwk::Algorithm,
    key_kind::KeyKind,
    key_policy::NewNetwork,
    leaks::LeakPolicy,
    redirect_uri::RedirectUri,
    scope::{Scope, ScopeSet},
    webhook::WebhookUrl,
    webhook_event::EventType,
    webhook_retry::DeliveryState,
};

macro_rules! texts {
    ($($type:ty: $name:literal, $pattern:expr, $example:expr, $description:literal;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String).description(Some($description));
                RefOr::T(Schema::Object(text.pattern(Some($pattern)).examples([$example]).build()))
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                $name.into()
            }
        }
    )*};
}

texts! {
    ResourceIdentifier: "ResourceIdentifier", "^[!-\"$-~]{1,512}$", "https://notes.example",
        "An absolute URI without a fragment: the `aud` of tokens.";
    Role: "Role", "^[A-Za-z0-9_.:-]{1,64}$", "editor", "The name of a role at its API.";
    Scope: "Scope", "^[!#-\\[\\]-~]{1,128}$", "notes:read", "The name of a scope (RFC 6749 section 3.3).";
    ScopeSet: "ScopeSet", "^[ !#-\\[\\]-~]*$", "notes:read notes:write",
        "Scopes with spaces between them (RFC 6749 section 3.3); 64 at most.";
    KeyPrefix: "KeyPrefix", "^[a-z][a-z0-9]{0,11}$", "sk", "What the API's keys begin with.";
    RedirectUri: "RedirectUri", "^[!-\"$-~]{1,2000}$", "https://app.example/callback",
        "A redirect URI; requests must name it exactly (RFC 9700 section 2.1).";
    Holder: "Holder", "^(cli|key|usr)_[0-9a-f]{32}$", "usr_019ac1f07c8d7f3e9d6c5b4a39281706",
        "The id of a client, a key or a user.";
    Owner: "Owner", "^[^ ](.{0,126}[^ ])?$", "acme",
        "The id of a client or a user, or an id that the API has for a customer of its own.";
    WebhookUrl: "WebhookUrl", "^https?://[!-\"$-~]{1,1992}$", "https://app.example/webhooks",
        "Where events are sent: an `https` URL without user name and fragment.";
}

macro_rules! ids {
    ($($type:ident $description:literal;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                let prefix = $type::PREFIX;
                let text = ObjectBuilder::new().schema_type(Type::String).description(Some($description));
                let text = text.pattern(Some(format!("^{prefix}_[0-9a-f]{{32}}$")));
                let example = format!("{prefix}_019ac1f07c8d7f3e9d6c5b4a39281706");
                RefOr::T(Schema::Object(text.examples([example]).build()))
            }
        }

        impl ToSchema for $type {}
    )*};
}

ids! {
    ApiId "The id of an API.";
    AuditId "The id of an event of the audit log.";
    ClientId "The id of a client: its `client_id`.";
    EventId "The id of an event: the header `webhook-id` of its deliveries.";
    GrantId "The id of a grant.";
    KeyId "The id of an API key; it is not secret.";
    SessionId "The id of a session; it is not secret.";
    SigningKeyId "The id of a signing key: its `kid`.";
    UserId "The id of a user: the `sub` of its tokens.";
    WebhookId "The id of an endpoint of webhooks.";
}

macro_rules! words {
    ($($type:ident $words:expr, $description:literal;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String).description(Some($description));
                RefOr::T(Schema::Object(text.enum_values(Some($words)).build()))
            }
        }

        impl ToSchema for $type {}
    )*};
}

words! {
    Algorithm Algorithm::ALL.map(Algorithm::as_str), "A signature algorithm (RFC 7518, RFC 8037).";
    AuthenticationMethod
        AuthenticationMethod::CONFIDENTIAL.into_iter().chain([AuthenticationMethod::None]).map(AuthenticationMethod::as_str),
        "How a client authenticates; `client_secret` allows Basic and post.";
    ClientProfile ClientProfile::ALL.map(ClientProfile::as_str), "What authorization requests must contain.";
    DeliveryState DeliveryState::ALL.map(DeliveryState::as_str), "Whether an event was delivered, or is given up.";
    EventType EventType::KNOWN.iter().copied(), "The type of an event.";
    Environment [Environment::Live, Environment::Test].map(Environment::as_str), "For real use, or for tests.";
    GrantType GrantType::ALL.map(GrantType::as_str), "A grant type (RFC 6749 section 1.3).";
    IdTokenClaims IdTokenClaims::ALL.map(IdTokenClaims::as_str), "The user claims in ID tokens.";
    KeyKind KeyKind::ALL.map(KeyKind::as_str), "The kind of an API key: for servers, or for pages in browsers.";
    NewNetwork NewNetwork::ALL.map(NewNetwork::as_str),
        "What is done when a key is used from a network that it was never used from before.";
    LeakPolicy LeakPolicy::ALL.map(LeakPolicy::as_str), "What happens to a key of the API that leaked.";
    TokenFormat TokenFormat::ALL.map(TokenFormat::as_str), "The form of access tokens.";
}

impl PartialSchema for Timestamp {
    /// In views a time is RFC 3339, to the second.
    fn schema() -> RefOr<Schema> {
        let time = ObjectBuilder::new().schema_type(Type::String);
        RefOr::T(Schema::Object(time.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).build()))
    }
}

impl ToSchema for Timestamp {
    fn name() -> Cow<'static, str> {
        "Time".into()
    }
}

impl PartialSchema for ClientKeys {
    fn schema() -> RefOr<Schema> {
        let set = ObjectBuilder::new().description(Some("A JWK set with public keys (RFC 7517 section 5)."));
        let keys = utoipa::schema!(Vec<serde_json::Map<String, serde_json::Value>>);
        let any = Some(AdditionalProperties::FreeForm(true));
        RefOr::T(Schema::Object(set.property("keys", keys).required("keys").additional_properties(any).build()))
    }
}

impl ToSchema for ClientKeys {}
