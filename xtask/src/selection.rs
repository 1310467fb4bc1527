//! Which parts of the tests a command line asks for.
//!
//! Easy to get wrong: a misspelt part must be refused, or a run that tested nothing would look good.

use crate::failure::Failure;

/// The parts that are to run; all of them unless told otherwise.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Selection {
    only: Vec<String>,
    without: Vec<String>,
    /// Handed to the test programs of Cargo as it is.
    pub(crate) filter: Vec<String>,
}

impl Selection {
    /// Reads `[--only PART]… [--without PART]… [-- FILTER…]`, where a part is `unit`, `clients` or one of `suites`.
    /// A filter means Cargo's tests, so it implies `--only unit`.
    pub(crate) fn parse(arguments: &[String], suites: &[&str]) -> Result<Self, Failure> {
        let mut selection = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let (flag, inline) = match argument.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (argument.as_str(), None),
            };
            let list = match flag {
                "--" => {
                    selection.filter = arguments.by_ref().cloned().collect();
                    break;
                }
                "--only" => &mut selection.only,
                "--without" => &mut selection.without,
                _ => {
                    return Err(Failure::Usage(format!(
                        "`{argument}` is not understood; see `cargo xtask test --help`"
                    )));
                }
            };
            let Some(part) = inline.or_else(|| arguments.next().map(String::as_str)) else {
                return Err(Failure::Usage(format!("`{flag}` needs the name of a part: {}", names(suites))));
            };
            if ![UNIT, CLIENTS].contains(&part) && !suites.contains(&part) {
                return Err(Failure::Usage(format!("there is no part `{part}`; the parts are {}", names(suites))));
            }
            list.push(part.to_owned());
        }
        if !selection.filter.is_empty() && selection.only.is_empty() {
            selection.only.push(UNIT.to_owned());
        }
        Ok(selection)
    }

    /// Why Cargo's tests are left out, if they are.
    pub(crate) fn unit_left_out(&self) -> Option<String> {
        self.left_out(&[UNIT])
    }

    /// Why a client suite is left out, if it is.
    pub(crate) fn suite_left_out(&self, suite: &str) -> Option<String> {
        self.left_out(&[CLIENTS, suite])
    }

    fn left_out(&self, names: &[&str]) -> Option<String> {
        if let Some(part) = self.without.iter().find(|part| names.contains(&part.as_str())) {
            return Some(format!("--without {part}"));
        }
        let wanted = self.only.is_empty() || self.only.iter().any(|part| names.contains(&part.as_str()));
        (!wanted).then(|| format!("--only {}", self.only.join(", ")))
    }
}

const UNIT: &str = "unit";
const CLIENTS: &str = "clients";

fn names(suites: &[&str]) -> String {
    [UNIT, CLIENTS].iter().chain(suites).copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Selection, Failure> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Selection::parse(&arguments, &["authlib", "go"])
    }

    #[test]
    fn everything_runs_unless_told_otherwise() {
        let selection = parse("").unwrap();

        assert_eq!(selection.unit_left_out(), None);
        assert_eq!(selection.suite_left_out("go"), None);
    }

    #[test]
    fn without_clients_leaves_every_suite_out_and_says_so() {
        let selection = parse("--without clients").unwrap();

        assert_eq!(selection.unit_left_out(), None);
        assert_eq!(selection.suite_left_out("go").as_deref(), Some("--without clients"));
    }

    #[test]
    fn only_one_suite_leaves_the_rest_out() {
        let selection = parse("--only=go").unwrap();

        assert_eq!(selection.unit_left_out().as_deref(), Some("--only go"));
        assert_eq!(selection.suite_left_out("authlib").as_deref(), Some("--only go"));
        assert_eq!(selection.suite_left_out("go"), None);
    }

    #[test]
    fn without_wins_over_only() {
        let selection = parse("--only clients --without go").unwrap();

        assert_eq!(selection.suite_left_out("authlib"), None);
        assert_eq!(selection.suite_left_out("go").as_deref(), Some("--without go"));
    }

    #[test]
    fn a_filter_runs_cargos_tests_only() {
        let selection = parse("-- refresh --nocapture").unwrap();

        assert_eq!(selection.filter, ["refresh", "--nocapture"]);
        assert_eq!(selection.unit_left_out(), None);
        assert!(selection.suite_left_out("go").is_some());
    }

    #[test]
    fn a_misspelt_part_or_flag_is_refused_and_the_parts_are_named() {
        for line in ["--only client", "--without", "--onyl unit", "refresh"] {
            let failure = parse(line).expect_err(line);
            assert_eq!(failure.exit_code(), 2, "{line}");
        }
        let text = parse("--only client").expect_err("misspelt").to_string();
        assert!(text.contains("unit, clients, authlib, go"), "{text}");
    }
}
