//! Query strings, as far as an endpoint looks into them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The first value of a query parameter, percent-decoded.
pub(crate) fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let (_, value) =
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?;
    Some(percent_decode_str(value).decode_utf8_lossy())
}
