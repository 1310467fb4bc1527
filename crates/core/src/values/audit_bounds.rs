//! How much the audit may hold, and what has to go when it holds more.
//!
//! Easy to get wrong: a sweep that stopped right at a bound would have work again after the next event, and would write an
//! event about it each time. So a sweep that begins removes one percent more than it must.

/// What the audit holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AuditSize {
    /// Rows of all kinds.
    pub rows: i64,
    /// The space that they take on the disk, estimated.
    pub bytes: i64,
    /// Rows about refusals, which anybody can cause.
    pub refusals: i64,
}

/// The most that the audit may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AuditBounds {
    /// Rows of all kinds.
    pub rows: i64,
    /// Bytes.
    pub bytes: i64,
    /// Rows about refusals.
    pub refusals: i64,
}

/// What goes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuditExcess {
    /// So many of the oldest refusals.
    Refusals(i64),
    /// The oldest rows of any kind: at least so many, and as many as take so many bytes.
    Rows {
        /// The number of rows.
        rows: i64,
        /// The bytes that they take together.
        bytes: i64,
    },
}

impl AuditBounds {
    /// What a sweep leaves, if a bound is exceeded: one percent less than each bound that is, and any amount of the rest.
    pub fn after_a_sweep(self, size: AuditSize) -> Option<Self> {
        let target = |held: i64, most: i64| if held > most { most - most / 100 } else { i64::MAX };
        let after = Self {
            rows: target(size.rows, self.rows),
            bytes: target(size.bytes, self.bytes),
            refusals: target(size.refusals, self.refusals),
        };
        after.excess(size).map(|_| after)
    }

    /// Whether there is a tenth more than these bounds allow: events come faster than they can be summed up.
    pub fn are_far_exceeded(self, size: AuditSize) -> bool {
        let is_far = |held: i64, most: i64| held.saturating_sub(most) > most / 10;
        is_far(size.rows, self.rows) || is_far(size.bytes, self.bytes)
    }

    /// What is more than these bounds allow. Refusals go first: they are rows too.
    pub fn excess(self, size: AuditSize) -> Option<AuditExcess> {
        let over = |held: i64, most: i64| held.saturating_sub(most).max(0);
        let refusals = over(size.refusals, self.refusals);
        let (rows, bytes) = (over(size.rows, self.rows), over(size.bytes, self.bytes));
        match (refusals, rows, bytes) {
            (0, 0, 0) => None,
            (0, rows, bytes) => Some(AuditExcess::Rows { rows, bytes }),
            (refusals, ..) => Some(AuditExcess::Refusals(refusals)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: AuditBounds = AuditBounds { rows: 1_000, bytes: 50_000, refusals: 200 };

    fn size(rows: i64, bytes: i64, refusals: i64) -> AuditSize {
        AuditSize { rows, bytes, refusals }
    }

    /// What goes in a sweep, one after the other.
    fn sweep(mut size: AuditSize) -> Vec<AuditExcess> {
        let Some(after) = BOUNDS.after_a_sweep(size) else { return Vec::new() };
        let mut gone = Vec::new();
        while let Some(excess) = after.excess(size) {
            match excess {
                AuditExcess::Refusals(refusals) => {
                    (size.refusals, size.rows) = (size.refusals - refusals, size.rows - refusals);
                }
                AuditExcess::Rows { rows, bytes } => (size.rows, size.bytes) = (size.rows - rows, size.bytes - bytes),
            }
            gone.push(excess);
        }
        gone
    }

    #[test]
    fn nothing_goes_at_the_bounds() {
        assert_eq!(sweep(size(1_000, 50_000, 200)), []);
    }

    #[test]
    fn sweep_removes_one_percent_more_than_it_must() {
        assert_eq!(sweep(size(1_001, 0, 0)), [AuditExcess::Rows { rows: 11, bytes: 0 }]);
        assert_eq!(sweep(size(0, 50_001, 0)), [AuditExcess::Rows { rows: 0, bytes: 501 }]);
        assert_eq!(sweep(size(201, 0, 201)), [AuditExcess::Refusals(3)]);
    }

    #[test]
    fn refusals_go_first_and_make_room_for_the_rest() {
        let of_rows = AuditExcess::Rows { rows: 9, bytes: 0 };
        assert_eq!(sweep(size(1_011, 0, 210)), [AuditExcess::Refusals(12), of_rows]);
        assert_eq!(sweep(size(1_001, 0, 300)), [AuditExcess::Refusals(102)]);
    }

    #[test]
    fn bounds_are_far_exceeded_by_more_than_a_tenth() {
        assert!(!BOUNDS.are_far_exceeded(size(1_100, 55_000, 10_000)));
        assert!(BOUNDS.are_far_exceeded(size(1_101, 0, 0)));
        assert!(BOUNDS.are_far_exceeded(size(0, 55_001, 0)));
    }

    #[test]
    fn bound_that_is_not_exceeded_removes_nothing() {
        assert_eq!(sweep(size(1_001, 50_000, 200)), [AuditExcess::Rows { rows: 11, bytes: 0 }]);
    }
}
