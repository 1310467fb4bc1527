//! The cookies that a browser sends back (RFC 6265bis section 5.8.3), read as bytes.
//!
//! Every neighbour on a host can set cookies that come with ours, in any encoding. One that cannot be read hides no
//! other.

/// The values of the cookies with this name, in all `Cookie` headers of a request.
pub fn values<'a>(headers: impl Iterator<Item = &'a [u8]>, name: &str) -> impl Iterator<Item = &'a str> {
    let pairs = headers.flat_map(|header| header.split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        std::str::from_utf8(value).ok()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found<'a>(headers: &[&'a [u8]]) -> Vec<&'a str> {
        values(headers.iter().copied(), "session").collect()
    }

    #[test]
    fn cookie_is_found_beside_others() {
        assert_eq!(found(&[b"session=a"]), ["a"]);
        assert_eq!(found(&[b"a=b; session=c=d;x"]), ["c=d"]);
        assert_eq!(found(&[b"a=b", b"session=c", b"session="]), ["c", ""]);
        assert!(found(&[b"sessions=a; Session=b; xsession=c; session; session =d"]).is_empty());
    }

    #[test]
    fn cookie_that_is_not_utf_8_hides_no_other() {
        assert_eq!(found(&[b"visitor=Jos\xe9; session=a"]), ["a"]);
        assert_eq!(found(&["visitor=José; session=a".as_bytes()]), ["a"]);
        assert_eq!(found(&[b"session=\xff; \xff=\xff;session=a"]), ["a"]);
    }

    proptest! {
        #[test]
        fn no_neighbour_hides_a_cookie(before in "[^;]*", after in any::<Vec<u8>>()) {
            prop_assume!(!before.trim_ascii().starts_with("session="));
            let header = [before.as_bytes(), b"; session=a; ", &after].concat();
            let headers = [header.as_slice()];
            let cookies = found(&headers);
            prop_assert_eq!(cookies.first(), Some(&"a"));
        }
    }
}
