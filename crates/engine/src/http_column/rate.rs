//! What a column of kind `http` asks of its rate.

use paceline_governor::{Rate, RateError, Unit};

use super::HttpColumn;
use crate::{Error, Result};

impl HttpColumn {
    /// Refuses a rate that a column of kind `http` cannot keep: its calls carry no tokens, so a limit of tokens would
    /// hold back nothing.
    ///
    /// # Errors
    /// Every limit that counts tokens.
    pub fn check_rate(rate: &Rate) -> Result<()> {
        let of_tokens = rate.limits.iter().filter(|limit| limit.unit() == Unit::Tokens);
        let faults: Vec<RateError> = of_tokens
            .map(|limit| RateError {
                field: "limits".to_owned(),
                problem: format!(
                    "{limit} counts tokens, and nobody knows how many a call of kind http takes; limit its calls, as in \
                     60/min"
                ),
                did_you_mean: None,
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(Error::Rate(faults)) }
    }
}
