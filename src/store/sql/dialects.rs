//! How one text becomes a statement in both dialects.

/// A statement in both dialects.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    /// For SQLite.
    pub sqlite: &'static str,
    /// For PostgreSQL.
    pub postgres: &'static str,
}

/// The same text for both, or one each. With `set`, a column is one of the keys in the first parameter, a JSON array; with
/// `keys`, they are rows `k` with a `value`, each as often as it is there.
macro_rules! statements {
    ($($name:ident = $kind:ident $args:tt;)+) => {
        $(pub(in crate::store) const $name: Sql = statements!(@$kind $args);)+

        /// Each of them by its name.
        pub(super) const STATEMENTS: &[(&str, Sql)] = &[$((stringify!($name), $name)),+];
    };
    (@both ($text:literal)) => { Sql { sqlite: $text, postgres: $text } };
    (@each ($sqlite:literal, $postgres:literal)) => { Sql { sqlite: $sqlite, postgres: $postgres } };
    (@set ($head:literal, $tail:literal)) => {
        Sql {
            sqlite: concat!($head, " IN (SELECT value FROM json_each($1))", $tail),
            postgres: concat!($head, " = ANY(ARRAY(SELECT json_array_elements_text($1::json)))", $tail),
        }
    };
    (@keys ($head:literal, $tail:literal)) => {
        Sql {
            sqlite: concat!($head, " FROM json_each($1) k ", $tail),
            postgres: concat!($head, " FROM json_array_elements_text($1::json) k(value) ", $tail),
        }
    };
}
