//! What turns the page of limits into constants, into its list, and into the settings of a server: each limit is written
//! once, so none of the three can say anything else than the others.

/// Limits that hold on every server: their constants, and `fixed()` that lists them.
macro_rules! fixed {
    ($($(#[doc = $about:literal])+ $name:ident: $kind:ty = $value:expr, $unit:literal, $source:expr;)+) => {
        $($(#[doc = $about])+ pub const $name: $kind = $value;)+

        fn fixed() -> Vec<Limit> {
            vec![$(Limit::of(stringify!($name), $name, $unit, $source, concat!($($about),+), false)),+]
        }
    };
}

/// Limits that whoever operates a server may set: constants with their defaults, and the struct [`Settings`].
macro_rules! settable {
    ($($(#[doc = $about:literal])+ $name:ident $field:ident: $kind:ty = $value:expr, $unit:literal, $source:expr, $range:expr;)+) => {
        $($(#[doc = $about])+ pub const $name: $kind = $value;)+

        /// The limits that whoever operates a server may set: `paceline serve --limits FILE`.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct Settings {
            $($(#[doc = $about])+ pub $field: $kind,)+
        }

        impl Default for Settings {
            /// The values of this page.
            fn default() -> Self {
                Self { $($field: $name),+ }
            }
        }

        impl Settings {
            /// The names that [`Settings::from_json`] takes.
            pub const NAMES: &[&str] = &[$(stringify!($field)),+];

            /// Sets one; `None` if there is none of that name.
            fn set(&mut self, name: &str, value: &Json) -> Option<Result<(), String>> {
                match name {
                    $(stringify!($field) => Some(settings::take(&mut self.$field, value, $range, $unit)),)+
                    _ => None,
                }
            }

            /// These, listed.
            fn listed(&self) -> Vec<Limit> {
                vec![$(Limit::of(stringify!($name), self.$field, $unit, $source, concat!($($about),+), true)),+]
            }
        }
    };
}
