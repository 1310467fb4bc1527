//! `docs/reference/http/README.md` lists every route of the server, with its methods.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use reqwest::Method;

use crate::harness::*;

/// On a listener of its own.
const METRICS: &str = "/metrics";

/// What the guard of the interface below `/v1` adds.
const OF_THE_GUARD: &str = "/.well-known/oauth-protected-resource/v1";

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of the page's table: the methods of each path.
fn documented() -> BTreeMap<String, Vec<String>> {
    let page = fs::read_to_string(folder().join("../../docs/reference/http/README.md")).unwrap();
    let row = |line: &str| {
        let (methods, path) = line.strip_prefix("| `")?.split_once(" | `/")?;
        let methods = methods.split(", ").map(|method| method.trim_matches('`').to_owned()).collect();
        Some((format!("/{}", path.split_once('`')?.0), methods))
    };
    let rows: Vec<_> = page.lines().filter_map(row).collect();
    let routes: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!(routes.len(), rows.len(), "each path has one row");
    routes
}

/// The paths in the calls of `route` in the source code.
fn in_source(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            in_source(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            for call in source.split(".route(").skip(1).filter(|call| !call.starts_with(')')) {
                let literal = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                found.insert(literal.unwrap_or_else(|| panic!("{}: no literal path", path.display())).to_owned());
            }
        }
    }
}

/// The paths that the OpenAPI description has; those that APIs and holders of keys ask, and those open to anybody, are in the
/// table as well.
async fn described() -> (BTreeSet<String>, BTreeSet<String>) {
    let server = TestServer::start().await;
    let description = server.caller.get("/openapi.json").await.expect(200).json();
    let paths = description["paths"].as_object().unwrap();
    let is_in_table = |item: &serde_json::Value| {
        ["api_credential", "api_key"].iter().any(|scheme| item.to_string().contains(scheme))
            || item["post"]["security"] == serde_json::json!([{}])
    };
    let of_apis = paths.iter().filter(|(_, item)| is_in_table(item)).map(|(path, _)| path.clone());
    (paths.keys().cloned().collect(), of_apis.collect())
}

#[tokio::test]
async fn the_reference_lists_every_route() {
    let mut routes = BTreeSet::from([OF_THE_GUARD.to_owned()]);
    in_source(&folder().join("src"), &mut routes);
    let (described, of_apis) = described().await;
    assert!(routes.contains("/token") && routes.contains(METRICS), "{routes:?}");
    assert!(of_apis.contains("/v1/keys/verify") && described.contains("/v1/clients/{client_id}"), "{described:?}");
    routes.extend(of_apis);
    assert_eq!(documented().into_keys().collect::<BTreeSet<_>>(), routes);
}

#[tokio::test]
async fn documented_routes_take_the_documented_methods() {
    let server = TestServer::start().await;
    for (path, methods) in documented() {
        if path == METRICS {
            continue;
        }
        let address = path.replace("{id}", "x").replace("{code}", "x").replace("{name}", "x");
        let answer = server.caller.send(server.caller.request(Method::DELETE, &address)).await.expect(405);
        let allowed = answer.header("allow").unwrap_or_default().split(',').map(str::trim);
        let allowed: Vec<_> = allowed.filter(|method| !["HEAD", "OPTIONS"].contains(method)).collect();
        assert_eq!(allowed, methods, "{path}");
    }
}
