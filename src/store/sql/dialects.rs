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
/// `keys`, they are rows `k` with a `value`, each as often as it is there. With `wrapped` and `wrapped_versions`, what a table
/// has sealed in a column, in the order of its key, after one; with `wrap` and `wrap_versions`, the same put back sealed anew,
/// from rows `k` of key, version, old and new, where it is still the old.
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
    (@wrapped ($table:literal, $column:literal, $id:literal, $number:literal, $part:literal)) => {
        statements!(@same concat!(
            "SELECT ", $id, " AS id, CAST(", $number, " AS BIGINT) AS number, ", $part, " AS part, ", $column, " AS sealed
             FROM ", $table, " WHERE ", $id, " > $1 AND CAST($2 AS BIGINT) IS NOT NULL AND ", $column, " IS NOT NULL
             ORDER BY ", $id, " LIMIT $3"
        ))
    };
    (@wrapped_versions ($table:literal, $id:literal, $number:literal)) => {
        statements!(@same concat!(
            "SELECT ", $id, " AS id, ", $number, " AS number, '' AS part, wrapped_key AS sealed FROM ", $table,
            " WHERE (", $id, ", ", $number, ") > ($1, $2) AND wrapped_key IS NOT NULL
             ORDER BY ", $id, ", ", $number, " LIMIT $3"
        ))
    };
    (@wrap ($table:literal, $column:literal, $id:literal)) => {
        statements!(@wrap ($table, $column, $id, "k.value ->> 0", "k ->> 0"))
    };
    (@wrap ($table:literal, $column:literal, $id:literal, $sqlite:literal, $postgres:literal)) => {
        Sql {
            sqlite: concat!("UPDATE ", $table, " SET ", $column, " = unhex(k.value ->> 3) FROM json_each($1) k WHERE ",
                $table, ".", $id, " = ", $sqlite, " AND ", $table, ".", $column, " = unhex(k.value ->> 2)"),
            postgres: concat!("UPDATE ", $table, " SET ", $column, " = decode(k ->> 3, 'hex')
                FROM json_array_elements($1::json) k WHERE ", $table, ".", $id, " = ", $postgres, " AND ",
                $table, ".", $column, " = decode(k ->> 2, 'hex')"),
        }
    };
    (@wrap_versions ($table:literal, $id:literal, $number:literal)) => {
        Sql {
            sqlite: concat!("UPDATE ", $table, " SET wrapped_key = unhex(k.value ->> 3) FROM json_each($1) k WHERE ",
                $table, ".", $id, " = k.value ->> 0 AND ", $table, ".", $number, " = k.value ->> 1 AND ",
                $table, ".wrapped_key = unhex(k.value ->> 2)"),
            postgres: concat!("UPDATE ", $table, " SET wrapped_key = decode(k ->> 3, 'hex')
                FROM json_array_elements($1::json) k WHERE ", $table, ".", $id, " = k ->> 0 AND ",
                $table, ".", $number, " = (k ->> 1)::bigint AND ", $table, ".wrapped_key = decode(k ->> 2, 'hex')"),
        }
    };
    (@same $text:expr) => { Sql { sqlite: $text, postgres: $text } };
    (@keys ($head:literal, $tail:literal)) => {
        Sql {
            sqlite: concat!($head, " FROM json_each($1) k ", $tail),
            postgres: concat!($head, " FROM json_array_elements_text($1::json) k(value) ", $tail),
        }
    };
}
