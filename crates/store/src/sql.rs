//! Statements that share a table's list of columns, put together at compile time.
//!
//! Each table has one constant, `COLUMNS`: the columns of a record, in the order in which INSERT writes them, SELECT
//! names them and the record's reader takes them from a [`Row`](crate::Row). What only SQL needs, such as the digest
//! that a row is found by, is named beside it.
//!
//! Easy to get wrong: the reader goes by position. Types don't notice two swapped columns of the same type; the tests
//! that read each record back do.

/// Puts constant texts into a statement, as `format!` would: `sql!("SELECT {} FROM grants", COLUMNS)`.
///
/// The name in the braces is put before each column: `{g}` for `id, user_id` is `g.id, g.user_id`.
macro_rules! sql {
    ($statement:expr, $($columns:expr),+ $(,)?) => {
        const {
            const LISTS: &[&str] = &[$($columns),+];
            const TEXT: &[u8] = &{
                let mut text = [0; $crate::sql::fill(&mut [], $statement, LISTS)];
                $crate::sql::fill(&mut text, $statement, LISTS);
                text
            };
            match std::str::from_utf8(TEXT) {
                Ok(text) => text,
                Err(_) => panic!("the parts are texts"),
            }
        }
    };
}

pub(crate) use sql;

/// Writes the statement and gives its length. What has no room is only counted.
pub(crate) const fn fill(text: &mut [u8], statement: &str, columns: &[&str]) -> usize {
    let (mut at, mut filled, mut rest) = (0, 0, statement.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'{' {
            let mut end = 0;
            while rest[end] != b'}' {
                end += 1;
            }
            at = put(text, at, rest.split_at(end).0, columns[filled].as_bytes());
            (filled, rest) = (filled + 1, rest.split_at(end + 1).1);
        } else {
            at = put(text, at, b"", &[*byte]);
        }
    }
    assert!(filled == columns.len(), "a statement has braces for each list of columns");
    at
}

/// Writes columns, each behind the name of its table if it has one.
const fn put(text: &mut [u8], mut at: usize, table: &[u8], mut columns: &[u8]) -> usize {
    let mut is_start = !table.is_empty();
    while let Some((byte, after)) = columns.split_first() {
        if is_start {
            at = put(text, at, b"", table);
            at = put(text, at, b"", b".");
        }
        if at < text.len() {
            text[at] = *byte;
        }
        is_start = !table.is_empty() && *byte == b' ';
        (at, columns) = (at + 1, after);
    }
    at
}

#[cfg(test)]
mod tests {
    const COLUMNS: &str = "id, user_id";

    #[test]
    fn statement_names_the_shared_columns() {
        assert_eq!(sql!("SELECT {} FROM t", COLUMNS), "SELECT id, user_id FROM t");
        assert_eq!(sql!("SELECT {g}, {u}", COLUMNS, "name"), "SELECT g.id, g.user_id, u.name");
    }
}
