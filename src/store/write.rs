//! What a plan wants written: built beside each table's rows, done only under the lock.

use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Sqlite};

use super::{Error, Locked, Result, Sql, Tx, on};

/// One value of a row.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    Text(Option<String>),
    Int(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<String>> for Cell {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Cell {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<Vec<u8>> for Cell {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Some(value))
    }
}

impl From<Option<Vec<u8>>> for Cell {
    fn from(value: Option<Vec<u8>>) -> Self {
        Self::Bytes(value)
    }
}

/// The columns of a table, with the kind of each as its first row shows it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    /// What an existing key means: nothing (an error), or that the row is there already.
    pub(super) keep_existing: bool,
}

/// One row to insert or one statement to run.
#[derive(Debug)]
pub struct Write(pub(super) Op);

#[derive(Debug)]
pub(super) enum Op {
    Insert {
        table: &'static Table,
        row: Vec<Cell>,
    },
    /// A row to which the transaction adds when it is due, and its place: how many entries were there before.
    Place {
        table: &'static Table,
        row: Vec<Cell>,
        due_at: i64,
    },
    Change {
        table: &'static str,
        sql: Sql,
        cells: Vec<Cell>,
        exactly_one: bool,
    },
}

impl Write {
    pub(super) fn insert(table: &'static Table, row: Vec<Cell>) -> Self {
        Self(Op::Insert { table, row })
    }

    /// The same of a row that is read in the order in which rows become visible. Its table's last columns are when it
    /// is due and its place.
    pub(super) fn place(table: &'static Table, row: Vec<Cell>, due_at: i64) -> Self {
        Self(Op::Place { table, row, due_at })
    }

    /// A statement that must change exactly one row.
    pub(super) fn change_one(table: &'static str, sql: Sql, cells: Vec<Cell>) -> Self {
        Self(Op::Change { table, sql, cells, exactly_one: true })
    }

    /// A statement that may change any number of rows.
    pub(super) fn change_any(table: &'static str, sql: Sql, cells: Vec<Cell>) -> Self {
        Self(Op::Change { table, sql, cells, exactly_one: false })
    }
}

/// Rows that go together, by their table.
type Rows = Vec<(&'static Table, Vec<Vec<Cell>>)>;

fn join(inserts: &mut Rows, table: &'static Table, row: Vec<Cell>) {
    match inserts.iter_mut().find(|(other, _)| other.name == table.name) {
        Some((_, rows)) => rows.push(row),
        None => inserts.push((table, vec![row])),
    }
}

impl Locked {
    /// Does the writes in their order, but for inserts that follow each other: their rows go together, one statement
    /// for each table, because a statement for each row would cost ten times as much.
    pub(crate) async fn write(&mut self, writes: Vec<Write>) -> Result<()> {
        let mut inserts = Rows::new();
        for Write(op) in writes {
            match op {
                Op::Insert { table, row } => join(&mut inserts, table, row),
                Op::Place { table, mut row, due_at } => {
                    // INVARIANT: nothing is due before the last entry that a reader may have seen.
                    row.extend([due_at.max(self.head_at().micros()).into(), self.place().into()]);
                    join(&mut inserts, table, row);
                }
                Op::Change { table, sql, cells, exactly_one } => {
                    self.insert_all(&mut inserts).await?;
                    let text = self.reads.0.text(&sql);
                    let actual = on!(&mut self.reads.0, conn => {
                        let mut query = sqlx::query(text);
                        for cell in cells {
                            query = match cell {
                                Cell::Text(value) => query.bind(value),
                                Cell::Int(value) => query.bind(value),
                                Cell::Bytes(value) => query.bind(value),
                            };
                        }
                        query.execute(conn).await?.rows_affected()
                    });
                    if exactly_one && actual != 1 {
                        return Err(Error::RowsAffected { table, actual });
                    }
                }
            }
        }
        self.insert_all(&mut inserts).await
    }

    async fn insert_all(&mut self, inserts: &mut Rows) -> Result<()> {
        for (table, rows) in inserts.drain(..) {
            insert(&mut self.reads.0, table, rows).await?;
        }
        Ok(())
    }
}

/// SQLite binds at most 32,766 values in one statement.
const MOST_VALUES: usize = 30_000;

/// The one statement that differs in shape: row by row would cost ten times as much on either database.
async fn insert(tx: &mut Tx, table: &Table, rows: Vec<Vec<Cell>>) -> Result<()> {
    let columns = table.columns.join(", ");
    let head = format!("INSERT INTO {} ({columns}) ", table.name);
    let conflict = if table.keep_existing { " ON CONFLICT DO NOTHING" } else { "" };
    match tx {
        Tx::Sqlite(tx) => {
            let mut rows = rows;
            let most = (MOST_VALUES / table.columns.len()).max(1);
            while !rows.is_empty() {
                let rest = rows.split_off(rows.len().min(most));
                let mut query = QueryBuilder::<Sqlite>::new(&head);
                query.push_values(rows, |mut values, row| {
                    for cell in row {
                        match cell {
                            Cell::Text(value) => values.push_bind(value),
                            Cell::Int(value) => values.push_bind(value),
                            Cell::Bytes(value) => values.push_bind(value),
                        };
                    }
                });
                query.push(conflict);
                query.build().execute(&mut **tx).await?;
                rows = rest;
            }
        }
        Tx::Postgres(tx) => {
            let columns = transpose(rows);
            let kinds = |column: &Column| match column {
                Column::Text(_) => "text[]",
                Column::Int(_) => "bigint[]",
                Column::Bytes(_) => "bytea[]",
            };
            let arrays: Vec<String> =
                columns.iter().enumerate().map(|(i, column)| format!("${}::{}", i + 1, kinds(column))).collect();
            // The text is made of names in this crate alone.
            let text = format!("{head}SELECT * FROM UNNEST({}){conflict}", arrays.join(", "));
            let mut query = sqlx::query::<Postgres>(AssertSqlSafe(text));
            for column in columns {
                query = match column {
                    Column::Text(values) => query.bind(values),
                    Column::Int(values) => query.bind(values),
                    Column::Bytes(values) => query.bind(values),
                };
            }
            query.execute(&mut **tx).await?;
        }
    }
    Ok(())
}

enum Column {
    Text(Vec<Option<String>>),
    Int(Vec<Option<i64>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

fn transpose(rows: Vec<Vec<Cell>>) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for (number, row) in rows.into_iter().enumerate() {
        for (place, cell) in row.into_iter().enumerate() {
            if number == 0 {
                columns.push(match &cell {
                    Cell::Text(_) => Column::Text(Vec::new()),
                    Cell::Int(_) => Column::Int(Vec::new()),
                    Cell::Bytes(_) => Column::Bytes(Vec::new()),
                });
            }
            match (columns.get_mut(place), cell) {
                (Some(Column::Text(values)), Cell::Text(value)) => values.push(value),
                (Some(Column::Int(values)), Cell::Int(value)) => values.push(value),
                (Some(Column::Bytes(values)), Cell::Bytes(value)) => values.push(value),
                // A table's rows are made in one place each, so kinds and lengths agree; a shorter array would
                // make the statement fail, not write something else.
                _ => {}
            }
        }
    }
    columns
}
