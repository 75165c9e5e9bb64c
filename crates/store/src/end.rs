//! How a cell ends, as both backends write it.

use paceline_model::{
    CellError, CellState, Filled, Fingerprint, RowId, TaskReport, TaskStep, Value,
};

/// The end of one cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'v> {
    pub(crate) row: RowId,
    pub(crate) state: CellState,
    /// `None` leaves the table's value as it is.
    pub(crate) value: Option<&'v Value>,
    pub(crate) error: Option<&'v CellError>,
    pub(crate) fingerprint: Option<&'v Fingerprint>,
}

impl<'v> End<'v> {
    /// What a report says; `None` if it does not end its cell.
    pub(crate) fn of(report: &'v TaskReport) -> Option<Self> {
        let TaskStep::Finish { state, value, error } = &report.step else { return None };
        Some(Self {
            row: report.row,
            state: *state,
            value: value.as_ref(),
            error: error.as_ref(),
            fingerprint: report.fingerprint.as_ref(),
        })
    }

    /// What was filled without a call.
    pub(crate) fn filled(filled: &'v Filled) -> Self {
        Self {
            row: filled.row,
            state: filled.state,
            value: filled.value.as_ref(),
            error: filled.error.as_ref(),
            fingerprint: filled.fingerprint.as_ref(),
        }
    }

    /// Nobody knows what became of it.
    pub(crate) fn unknown(row: RowId, error: Option<&'v CellError>) -> Self {
        Self { row, state: CellState::Unknown, value: None, error, fingerprint: None }
    }
}
