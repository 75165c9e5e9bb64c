//! Formulas: what they see, what they give, and that none of them harms the next row.

mod abuse;
mod rename;
mod same;
mod support;
mod values;
