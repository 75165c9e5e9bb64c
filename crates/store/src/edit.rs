//! What a bulk change of rows tells those who follow.

use paceline_model::{ChangeKind, RowId, limits};

/// The rows that were touched, as far as a change tells them one by one.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    count: u64,
    /// Empty once there are too many.
    rows: Vec<RowId>,
}

impl Touched {
    pub(crate) fn add(&mut self, row: RowId) {
        self.count += 1;
        if self.count > limits::CHANGE_ROWS_MAX as u64 {
            self.rows = Vec::new();
        } else {
            self.rows.push(row);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Those rows, if a change can tell them one by one and there are any.
    pub(crate) fn rows(&self) -> Option<&[RowId]> {
        (!self.rows.is_empty()).then_some(&self.rows)
    }

    /// The change that tells it; none if nothing was touched.
    pub(crate) fn change(self, kind: impl FnOnce(Vec<RowId>) -> ChangeKind) -> Option<ChangeKind> {
        match self.count {
            0 => None,
            count if count > limits::CHANGE_ROWS_MAX as u64 => Some(ChangeKind::Reload),
            _ => Some(kind(self.rows)),
        }
    }
}
