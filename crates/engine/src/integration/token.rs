//! A token that stands in the column's own configuration.

use async_trait::async_trait;
use paceline_hex::{Secret, TokenError, TokenSource};

/// A token that never changes. After a refusal it is read again and is the same; a person has to renew it.
pub(crate) struct Fixed(Secret);

impl Fixed {
    pub(crate) fn new(token: &str) -> Result<Self, TokenError> {
        Secret::new(token).map(Self)
    }
}

#[async_trait]
impl TokenSource for Fixed {
    async fn read(&self) -> Result<Secret, TokenError> {
        Ok(self.0.clone())
    }
}
