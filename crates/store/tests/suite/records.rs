//! Every record reads back as it was written, with all and with none of what is optional.

use std::{collections::BTreeSet, time::Duration};

use doorward_core::{
    allowed_origins::AllowedOrigins,
    api::{Api, ApiMetadata, Role, TokenFormat},
    api_key::{Environment, KeyMetadata},
    client::{AuthenticationMethod, Client},
    client_metadata::{ClientKeys, ClientMetadata},
    holder::{Holder, Owner},
    id::UserId,
    jwk::Algorithm,
    jwk::SigningKey,
    key_kind::KeyKind,
    random::SeededRng,
    scope::ScopeSet,
    secret::ExposeSecret,
    user::UserMetadata,
};
use doorward_store::{
    StoreError,
    apis::{CreateApi, ListApis},
    authorization::Answer,
    clients::{ChangeClient, ClientChange, CreateClient, FindClient, FindCredential, ListClients},
    grants::GrantRecord,
    keys::{FindKey, KeyRecord},
    roles::{ChangeRole, RolesOf},
    users::{ChangeUser, CreateUser, FindForSignIn, FindUser, ListUsers, ReplaceHash, UserChange, UserRecord},
};

use crate::{harness::on_each_engine, keys, world::World};

/// Everything that the record says. Secrets don't show, and are compared on their own.
fn text(record: &impl std::fmt::Debug) -> String {
    format!("{record:?}")
}

#[tokio::test]
async fn an_api() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        assert_eq!(world.read(ListApis::ALL).await, [(*world.api).clone()]);
        let mut bare = Api {
            id: doorward_core::id::ApiId::new(world.now(), &world.rng),
            created_at: world.now(),
            metadata: ApiMetadata {
                user_key_scopes: Default::default(),
                public_scopes: Default::default(),
                name: "bare".to_owned(),
                identifier: doorward_core::api::ResourceIdentifier::parse("urn:example:bare").unwrap(),
                scopes: vec![],
                roles: [].into(),
                token_format: TokenFormat::Opaque,
                signing_algorithm: Algorithm::PS256,
                access_token_ttl: Duration::from_secs(1),
                key_prefix: doorward_core::api_key::KeyPrefix::parse("zz").unwrap(),
                leak_policy: doorward_core::leaks::LeakPolicy::Flag,
                key_policy: Some(doorward_core::key_policy::KeyPolicy::default()),
            },
        };
        let create = |api: &Api| CreateApi {
            api: api.clone(),
            credential: Client { api: Some(api.id.clone()), ..world.fresh_client() },
            audit: world.audit(),
        };
        world.write(create(&bare)).await;
        assert_eq!(world.read(ListApis::ALL).await, [(*world.api).clone(), bare.clone()]);
        // A scope of another API is taken.
        bare.metadata.scopes = vec![world.api.metadata.scopes[0].clone()];
        bare.id = doorward_core::id::ApiId::new(world.now(), &world.rng);
        (bare.metadata.name, bare.metadata.identifier) =
            ("third".to_owned(), doorward_core::api::ResourceIdentifier::parse("urn:example:third").unwrap());
        assert!(matches!(world.store.write(create(&bare)).await, Err(StoreError::Conflict)));
        assert_eq!(world.read(ListApis::ALL).await.len(), 2);
    })
    .await;
}

fn client_keys() -> ClientKeys {
    let jwk = SigningKey::generate("k".into(), Algorithm::ES256, &SeededRng::new(1)).unwrap().public_jwk();
    ClientKeys::parse(serde_json::json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap()
}

#[tokio::test]
async fn a_client() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let bare = world.fresh_client();
        let full = Client {
            secret: Some(world.peppers.digest("secret")),
            metadata: ClientMetadata {
                client_name: "Ünïcode".to_owned(),
                token_endpoint_auth_method: AuthenticationMethod::PrivateKeyJwt,
                jwks: Some(client_keys()),
                assertion_for_token_endpoint: true,
                default_scope: ScopeSet::parse("notes1:read").unwrap(),
                id_token_signed_response_alg: Algorithm::EdDSA,
                ..world.fresh_client().metadata
            },
            ..world.fresh_client()
        };
        for client in [bare, full] {
            world.write(CreateClient { client: client.clone(), audit: world.audit() }).await;
            let found = world.read(FindClient { id: client.id.clone() }).await.unwrap();
            assert_eq!(text(&found), text(&client));
            assert_eq!(found.secret, client.secret);
            let listed = world.read(ListClients { filter: Default::default(), after: None, limit: 10 }).await;
            assert_eq!(text(&listed.iter().find(|listed| listed.id == client.id)), text(&Some(&client)));

            let secret = world.peppers.digest("another");
            let change = ClientChange::Secret(secret.clone());
            let audit = world.audit();
            assert!(world.write(ChangeClient { id: client.id.clone(), change, now: world.now(), audit }).await);
            assert_eq!(world.read(FindClient { id: client.id }).await.unwrap().secret, Some(secret));
        }
        let credential = world.read(FindCredential { api: world.api.id.clone() }).await.unwrap();
        let credential = world.read(FindClient { id: credential }).await.unwrap();
        assert_eq!(credential.api, Some(world.api.id.clone()));
        assert!(
            !world
                .read(ListClients { filter: Default::default(), after: None, limit: 10 })
                .await
                .iter()
                .any(|listed| listed.api.is_some())
        );
    })
    .await;
}

#[tokio::test]
async fn a_user() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let full = UserRecord {
            metadata: UserMetadata {
                username: "Ädä".to_owned(),
                name: Some("Ada Lovelace".to_owned()),
                email: Some("ada@example.com".to_owned()),
                email_verified: true,
            },
            ..world.fresh_user("Ädä")
        };
        world.write(CreateUser { user: full.clone(), audit: world.audit() }).await;
        for user in [&world.user, &full] {
            let found = world.read(FindUser::ById(user.id.clone())).await.unwrap();
            assert_eq!(text(&found), text(user));
            use doorward_core::secret::ExposeSecret;
            assert_eq!(found.password_hash.expose_secret(), user.password_hash.expose_secret());
            let found = world.read(FindUser::ByUsername(format!(" {} ", user.metadata.username.to_uppercase()))).await;
            assert_eq!(found.unwrap().id, user.id);
        }
        let taken = CreateUser { user: world.fresh_user("äDÄ"), audit: world.audit() };
        assert!(matches!(world.store.write(taken).await, Err(StoreError::Conflict)));
        for nobody in ["", "nobody", "ada\0", "' OR 1=1 --"] {
            assert!(world.read(FindUser::ByUsername(nobody.to_owned())).await.is_none());
        }
        let mut ids = [world.user.id.clone(), full.id.clone()];
        ids.sort();
        let page = world.read(ListUsers { filter: Default::default(), after: Some(ids[0].clone()), limit: 10 }).await;
        assert_eq!(page.into_iter().map(|user| user.id).collect::<Vec<_>>(), ids[1..]);

        let (change, now) = (UserChange::Disable, world.now());
        let audit = world.audit();
        assert!(world.write(ChangeUser { id: full.id.clone(), change: change.clone(), now, audit }).await);
        assert_eq!(world.read(FindUser::ById(full.id)).await.unwrap().disabled_at, Some(now));
        let audit = world.audit();
        assert!(!world.write(ChangeUser { id: world.fresh_user("x").id, change, now, audit }).await);
    })
    .await;
}

#[tokio::test]
async fn a_key() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let bare = keys::created(&world, keys::key(&world, "bare")).await;
        let full = KeyRecord {
            owner: Some(Owner::User(world.user.id.clone())),
            metadata: KeyMetadata {
                limited_to: vec![world.api.id.clone()],
                limited_to_owners: vec![],
                environment: Environment::Test,
                kind: KeyKind::Publishable,
                allowed_origins: AllowedOrigins::read(&["https://app.example".to_owned()]).unwrap(),
                ..keys::key(&world, "full").metadata
            },
            roles: vec![(world.api.id.clone(), Role::parse("admin").unwrap())],
            expires_at: Some(world.now()),
            ..keys::key(&world, "full")
        };
        let full = keys::created(&world, full).await;
        for key in [bare, full] {
            let found = world.read(FindKey { id: key.id.clone() }).await.unwrap();
            assert_eq!(text(&found), text(&key));
            assert_eq!(found.digest, key.digest);
        }
    })
    .await;
}

#[tokio::test]
async fn a_grant() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let bare = world.grant(&world.public);
        let full = GrantRecord {
            resources: vec![world.api.metadata.identifier.clone()],
            nonce: Some("n".to_owned()),
            requested_scopes: ScopeSet::parse("openid notes1:read").unwrap(),
            ..world.grant(&world.public)
        };
        for grant in [bare, full] {
            let (mut answer, given) = world.allow(&world.public);
            if let Answer::Allow { grant: place, .. } = &mut answer.answer {
                **place = grant.clone();
            }
            assert!(world.write(answer).await);
            let found = world.live_grants().await.into_iter().find(|found| found.id == grant.id).unwrap();
            assert_eq!(text(&found), text(&grant));
            let issued = world.write(world.redeem(&given).0).await.unwrap();
            let expires_at = issued.grant.expires_at;
            let used = GrantRecord { last_used_at: Some(world.now()), expires_at, ..grant };
            assert_eq!(text(&issued.grant), text(&used));
        }
    })
    .await;
}

#[tokio::test]
async fn a_role() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let admin = Role::parse("admin").unwrap();
        for holder in [Holder::User(world.user.id.clone()), Holder::Client(world.public.id.clone())] {
            let change = |is_granted| ChangeRole {
                holder: holder.clone(),
                api: world.api.id.clone(),
                role: admin.clone(),
                is_granted,
                now: world.now(),
                audit: world.audit(),
            };
            let roles = async || world.read(RolesOf { holder: holder.clone() }).await;
            assert!(world.write(change(true)).await);
            assert!(!world.write(change(true)).await);
            assert_eq!(roles().await, [(world.api.id.clone(), admin.clone())]);
            if holder.as_str() == world.user.id.as_str() {
                let (_, issued) = world.sign_in(&world.public).await;
                assert_eq!(issued.claims.roles, [admin.clone()].into());
            }
            assert!(world.write(change(false)).await);
            assert!(!world.write(change(false)).await);
            assert!(roles().await.is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn unknown_name_has_a_user_whose_hash_says_what_it_costs() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for username in ["bea", "bob", "eve", "zoe"] {
            let password_hash = format!("${username}$hash").into();
            world.advance(3_600);
            let id = UserId::new(world.now(), &world.rng);
            let user = UserRecord { id, password_hash, ..world.fresh_user(username) };
            world.write(CreateUser { user, audit: world.audit() }).await;
        }
        let find = async |username: &str, lot| world.read(FindForSignIn { username: username.to_owned(), lot }).await;
        let stand_in = async |username: &str, lot| {
            let hash = find(username, lot).await.stand_in.unwrap();
            hash.expose_secret().to_owned()
        };
        let mut found = BTreeSet::new();
        for lot in (0..16).map(|lot| lot << 60) {
            let hash = stand_in("nobody", lot).await;
            for username in ["another", "\0", "bob"] {
                assert_eq!(stand_in(username, lot).await, hash, "the name does not matter");
            }
            found.insert(hash);
        }
        assert!(found.len() >= 4, "it can be anybody: {found:?}");
        assert!(find("nobody", 1).await.user.is_none() && find("Bob", 1).await.user.is_some());

        let id = find("bob", 1).await.user.unwrap().id;
        let replace = |from: &str, to: &str| ReplaceHash { id: id.clone(), from: from.into(), to: to.into() };
        assert!(world.write(replace("$bob$hash", "$c$hash")).await);
        assert!(!world.write(replace("$bob$hash", "$d$hash")).await, "the password was changed meanwhile");
    })
    .await;
}
