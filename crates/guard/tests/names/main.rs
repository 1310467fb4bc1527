//! A program that depends on the guard only can name everything in its signatures: see
//! `docs/decisions/0017-a-guards-users-are-compiled-twice.md`.

#[allow(dead_code, missing_docs, unreachable_pub, reason = "that it compiles is the test")]
#[path = "../../../../clients/guard/src/names.rs"]
mod names;

#[test]
fn program_of_an_api_names_no_other_crate_of_doorward() {
    let source = include_str!("../../../../clients/guard/src/names.rs");
    let others = source.split("doorward_").skip(1).filter(|rest| !rest.starts_with("guard"));
    assert_eq!(others.count(), 0);
}
