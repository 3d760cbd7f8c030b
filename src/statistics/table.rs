//! Which tables there are.
//!
//! The menu is fixed before the incidents are known and has no free predicates, so nobody can choose two tables that
//! differ by one organisation. A table counts over no dimension (the total), over one, or over two. A margin is a
//! table of its own and is published once, in that table: a cross carries no row or column totals.

use std::fmt;

/// The most dimensions of a menu: the values of one incident fit into eight bytes.
pub const MOST_DIMENSIONS: usize = 8;

/// The most combinations of values that one group of linked dimensions may have.
const MOST_CLASSES: usize = 1 << 14;

/// Which value an incident has in each dimension of the menu, by the dimension's place.
pub type Coordinates = [u8; MOST_DIMENSIONS];

/// A property of an incident, or of the organisation that it happened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimension {
    /// Its name in the menu.
    pub id: String,
    /// Its values in the order in which they are shown; "not known" is one of them.
    pub values: Vec<String>,
}

/// One table of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name in the menu.
    pub id: String,
    /// What a reader sees above it.
    pub title: String,
    /// The places of its dimensions in the menu: none, one or two, rows first.
    pub over: Vec<usize>,
}

/// Every table that a holder publishes for a period.
#[derive(Debug, Clone)]
pub struct Menu {
    dimensions: Vec<Dimension>,
    tables: Vec<Table>,
    offsets: Vec<usize>,
    /// For each table, two dimensions with how many cells one value further is away; nought for none.
    strides: Vec<[(usize, usize); 2]>,
    groups: Vec<Group>,
}

/// Dimensions that crosses tie together, directly or through others. Tables of different groups share the total alone.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) dimensions: Vec<usize>,
    pub(crate) tables: Vec<usize>,
}

/// Why this is not a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MenuError {
    /// More than eight dimensions.
    TooManyDimensions,
    /// The dimension has no value, or more than 255.
    Values(String),
    /// The table has more than two dimensions, one twice, or one that the menu does not have.
    Over(String),
    /// Two tables count over the same dimensions: two looks at one number are one too many.
    Twice(String),
    /// No table, or not exactly one, is the total.
    Total,
    /// The linked dimensions have more combinations than the control can weigh against each other.
    TooWide(usize),
}

impl fmt::Display for MenuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyDimensions => write!(f, "a menu has at most {MOST_DIMENSIONS} dimensions"),
            Self::Values(id) => write!(f, "dimension `{id}` needs between 1 and 255 values"),
            Self::Over(id) => write!(f, "table `{id}` must count over at most two different dimensions of the menu"),
            Self::Twice(id) => write!(f, "table `{id}` counts over the dimensions of another table"),
            Self::Total => f.write_str("exactly one table must count over no dimension: the total"),
            Self::TooWide(classes) => {
                write!(f, "linked dimensions have {classes} combinations, more than {MOST_CLASSES}")
            }
        }
    }
}

impl std::error::Error for MenuError {}

impl Menu {
    /// Checks that the tables can be controlled together.
    pub fn new(dimensions: Vec<Dimension>, tables: Vec<Table>) -> Result<Self, MenuError> {
        if dimensions.len() > MOST_DIMENSIONS {
            return Err(MenuError::TooManyDimensions);
        }
        if let Some(wrong) = dimensions.iter().find(|one| one.values.is_empty() || one.values.len() > 255) {
            return Err(MenuError::Values(wrong.id.clone()));
        }
        if tables.iter().filter(|table| table.over.is_empty()).count() != 1 {
            return Err(MenuError::Total);
        }
        for (place, table) in tables.iter().enumerate() {
            let known = table.over.iter().all(|dimension| *dimension < dimensions.len());
            let twice = matches!(table.over.as_slice(), [rows, columns] if rows == columns);
            if !known || twice || table.over.len() > 2 {
                return Err(MenuError::Over(table.id.clone()));
            }
            if tables.iter().take(place).any(|other| same_dimensions(&other.over, &table.over)) {
                return Err(MenuError::Twice(table.id.clone()));
            }
        }
        let groups = groups(dimensions.len(), &tables);
        let mut menu = Self { dimensions, tables, offsets: Vec::new(), strides: Vec::new(), groups };
        menu.strides = menu.tables.iter().map(|table| menu.strides_of(table)).collect();
        let mut offset = 0;
        for table in &menu.tables {
            menu.offsets.push(offset);
            offset += menu.cells_of(table);
        }
        menu.offsets.push(offset);
        match menu.groups.iter().map(|group| menu.classes_of(group)).max() {
            Some(classes) if classes > MOST_CLASSES => Err(MenuError::TooWide(classes)),
            _ => Ok(menu),
        }
    }

    /// The dimensions, in order.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// The tables, in order.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// How many cells all tables have together. Cells are numbered through, table by table, row by row.
    pub fn cells(&self) -> usize {
        self.offsets.last().copied().unwrap_or_default()
    }

    /// The numbers of a table's cells.
    pub fn range(&self, table: usize) -> std::ops::Range<usize> {
        let at = |place: usize| self.offsets.get(place).copied().unwrap_or_else(|| self.cells());
        at(table)..at(table + 1)
    }

    /// The cell of a table in which an incident with these values is counted.
    pub fn cell(&self, table: usize, coordinates: Coordinates) -> usize {
        let at = |(dimension, stride): (usize, usize)| {
            coordinates.get(dimension).map_or(0, |value| usize::from(*value) * stride)
        };
        let start = self.offsets.get(table).copied().unwrap_or_default();
        start + self.strides.get(table).map_or(0, |[rows, columns]| at(*rows) + at(*columns))
    }

    /// How many values a dimension has.
    pub(crate) fn width(&self, dimension: usize) -> usize {
        self.dimensions.get(dimension).map_or(1, |found| found.values.len())
    }

    /// The groups of linked dimensions.
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether each value exists.
    pub(crate) fn holds(&self, coordinates: Coordinates) -> bool {
        self.dimensions.iter().zip(coordinates).all(|(dimension, value)| usize::from(value) < dimension.values.len())
    }

    fn cells_of(&self, table: &Table) -> usize {
        table.over.iter().map(|dimension| self.width(*dimension)).product()
    }

    fn strides_of(&self, table: &Table) -> [(usize, usize); 2] {
        match *table.over.as_slice() {
            [rows, columns] => [(rows, self.width(columns)), (columns, 1)],
            [rows] => [(rows, 1), (0, 0)],
            _ => [(0, 0); 2],
        }
    }

    fn classes_of(&self, group: &Group) -> usize {
        let widths = group.dimensions.iter().map(|dimension| self.width(*dimension));
        widths.fold(1, usize::saturating_mul)
    }
}

fn same_dimensions(one: &[usize], other: &[usize]) -> bool {
    one.len() == other.len() && one.iter().all(|dimension| other.contains(dimension))
}

/// Joins the dimensions of every cross; a dimension that no table counts over belongs to no group.
fn groups(dimensions: usize, tables: &[Table]) -> Vec<Group> {
    let mut group_of: Vec<usize> = (0..dimensions).collect();
    for table in tables {
        if let [rows, columns] = *table.over.as_slice()
            && let (Some(kept), Some(joined)) = (group_of.get(rows).copied(), group_of.get(columns).copied())
        {
            group_of.iter_mut().filter(|group| **group == joined).for_each(|group| *group = kept);
        }
    }
    let members = |id: usize| (0..dimensions).filter(|one| group_of.get(*one) == Some(&id)).collect::<Vec<_>>();
    (0..dimensions)
        .map(|id| {
            let dimensions = members(id);
            let counts = |table: &Table| table.over.iter().any(|dimension| dimensions.contains(dimension));
            let tables = (0..tables.len()).filter(|place| tables.get(*place).is_some_and(counts)).collect();
            Group { dimensions, tables }
        })
        .filter(|group| !group.tables.is_empty())
        .collect()
}
