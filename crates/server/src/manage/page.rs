//! Pages of lists: what the caller's rights reach, and where to go on.

use super::ManageError;

/// The most rows that one page looks at, for a caller whose rights reach few of them.
pub(super) const MOST_LOOKED_AT: usize = 1_000;

/// Some entries of a list.
#[derive(Clone, Debug)]
pub struct Page<V, P> {
    /// The entries, in the order of the list.
    pub items: Vec<V>,
    /// The place after which more may follow.
    pub next: Option<P>,
}

/// Reads a page of at most `limit` entries after a place. `read` gives rows after a place, `place` says where a row
/// is, and `show` makes its view, or nothing where it is beyond the caller's rights.
pub(crate) async fn page<R, V, P: Clone, F: Future<Output = Result<Vec<R>, ManageError>>>(
    after: Option<P>,
    limit: usize,
    read: impl Fn(Option<P>, i64) -> F,
    place: impl Fn(&R) -> P,
    show: impl Fn(R) -> Option<V>,
) -> Result<Page<V, P>, ManageError> {
    let (mut items, mut last, mut looked_at) = (Vec::new(), after, 0);
    loop {
        // One more than is wanted says whether there is more.
        let wanted = limit - items.len() + 1;
        let rows = read(last.clone(), i64::try_from(wanted).unwrap_or(i64::MAX)).await?;
        let found = rows.len();
        for row in rows {
            if items.len() == limit {
                return Ok(Page { items, next: last });
            }
            last = Some(place(&row));
            items.extend(show(row));
        }
        looked_at += found;
        if found < wanted {
            return Ok(Page { items, next: None });
        }
        if looked_at >= MOST_LOOKED_AT {
            return Ok(Page { items, next: last });
        }
    }
}

/// Reads a list to its end, where all of it is needed.
pub(crate) async fn every<R, P: Clone, F: Future<Output = Result<Vec<R>, ManageError>>>(
    read: impl Fn(Option<P>, i64) -> F,
    place: impl Fn(&R) -> P,
) -> Result<Vec<R>, ManageError> {
    let mut all = Vec::new();
    loop {
        let rows = read(all.last().map(&place), 500).await?;
        match rows.is_empty() {
            true => return Ok(all),
            false => all.extend(rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn numbers(count: usize, after: Option<usize>, show: impl Fn(usize) -> Option<usize>) -> Page<usize, usize> {
        let read = |after: Option<usize>, limit| async move {
            let from = after.map_or(0, |after| after + 1);
            Ok((from..count).take(usize::try_from(limit).unwrap()).collect())
        };
        page(after, 10, read, |row| *row, show).await.unwrap()
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_gap_and_end() {
        let first = numbers(20, None, Some).await;
        assert_eq!((first.items, first.next), ((0..10).collect(), Some(9)));
        let last = numbers(20, Some(9), Some).await;
        assert_eq!((last.items, last.next), ((10..20).collect(), None));
        let none = numbers(0, None, Some).await;
        assert_eq!((none.items, none.next), (vec![], None));
    }

    #[tokio::test]
    async fn rows_beyond_the_rights_make_room_for_others_within_a_bound() {
        let even = numbers(100, None, |row| (row % 2 == 0).then_some(row)).await;
        assert_eq!(even.items, (0..20).step_by(2).collect::<Vec<_>>());
        let rare = numbers(5_000, None, |row| (row > 4_000).then_some(row)).await;
        assert!(rare.items.is_empty() && rare.next.is_some_and(|next| (999..1_100).contains(&next)), "{rare:?}");
    }
}
