//! The columns of a network: string arena, figure columns, node and flow tables.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::column::Column;
use super::shift::Shift;
use super::sparse::{AttributeColumn, Sparse};
use crate::model::figure::{Figure, FigureClass};
use crate::model::record::Rule;
use crate::model::symbols::{Symbol, Symbols};

/// Many strings in one allocation. Clones share it until one of them is written to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StringArena {
    bytes: Arc<String>,
    ends: Column<u32>,
}

impl StringArena {
    /// Room for `strings` strings of `bytes` bytes in all.
    pub fn with_capacity(strings: usize, bytes: usize) -> Self {
        let ends = Vec::with_capacity(strings);
        Self { bytes: Arc::new(String::with_capacity(bytes)), ends: ends.into() }
    }

    /// Appends a string. The arena holds at most 4 GiB.
    pub fn push(&mut self, text: &str) {
        Arc::make_mut(&mut self.bytes).push_str(text);
        self.ends.push(u32::try_from(self.bytes.len()).expect("ids take less than 4 GiB"));
    }

    /// The string at `index`.
    pub fn get(&self, index: u32) -> &str {
        let i = index as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.bytes[start..self.ends[i] as usize]
    }

    /// Bytes of all strings together.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all strings together.
    pub fn text_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// True if it holds no string.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len() as u32).map(|i| self.get(i))
    }

    /// Position of `text` in a sorted arena.
    pub fn binary_search(&self, text: &str) -> Option<u32> {
        self.search(text).ok()
    }

    /// Position of `text` in a sorted arena, or the position where it would be.
    ///
    /// # Errors
    /// Not an error: where `text` would stand.
    pub fn search(&self, text: &str) -> Result<u32, u32> {
        let (mut low, mut high) = (0u32, self.len() as u32);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle).cmp(text) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// Removes and inserts strings; `items` are the inserted ones in order.
    pub(super) fn splice(&mut self, shift: &Shift, items: &[&str]) {
        match (shift.removed(), shift.inserted(), items) {
            ([], [], _) => {}
            // The usual case, in place.
            ([], &[place], &[item]) => {
                let at = if place == 0 { 0 } else { self.ends[place as usize - 1] };
                Arc::make_mut(&mut self.bytes).insert_str(at as usize, item);
                let ends = self.ends.to_mut();
                ends.insert(place as usize, at);
                for end in &mut ends[place as usize..] {
                    *end += item.len() as u32;
                }
            }
            (&[row], [], _) => {
                let start = if row == 0 { 0 } else { self.ends[row as usize - 1] };
                let end = self.ends[row as usize];
                let bytes = Arc::make_mut(&mut self.bytes);
                bytes.replace_range(start as usize..end as usize, "");
                let ends = self.ends.to_mut();
                ends.remove(row as usize);
                for later in &mut ends[row as usize..] {
                    *later -= end - start;
                }
            }
            (removed, inserted, items) => {
                let added: usize = items.iter().map(|item| item.len()).sum();
                let count = self.len() + items.len() - removed.len();
                let mut out = Self::with_capacity(count, self.byte_len() + added);
                let mut entering = inserted.iter().zip(items).peekable();
                let mut leaving = removed.iter().peekable();
                for row in 0..=self.len() as u32 {
                    while let Some((_, item)) = entering.next_if(|(place, _)| **place == row) {
                        out.push(item);
                    }
                    if leaving.next_if_eq(&&row).is_none() && (row as usize) < self.len() {
                        out.push(self.get(row));
                    }
                }
                *self = out;
            }
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.heap_bytes()
    }
}

/// What a figure is beside its number. Equal ones are stored once per column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FigureMeta {
    /// Unit.
    pub unit: Symbol,
    /// Year described.
    pub year: Option<i32>,
    /// Source.
    pub source: Symbol,
    /// Class.
    pub class: Option<FigureClass>,
}

/// A column of optional figures. Rows without a number hold NaN; a column in which no row has a
/// number takes no memory.
#[derive(Debug, Clone, Default)]
pub struct FigureColumn {
    values: Column<f64>,
    meta_ids: Column<u32>,
    metas: Vec<FigureMeta>,
    meta_index: FxHashMap<FigureMeta, u32>,
    ranges: Sparse<(Option<f64>, Option<f64>)>,
}

impl FigureColumn {
    /// The number of a row, `None` if unknown.
    pub fn get(&self, row: usize) -> Option<f64> {
        self.values.get(row).copied().filter(|v| !v.is_nan())
    }

    /// All numbers (NaN = unknown); shorter than the table if later rows have none.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// All numbers, to be changed in place (NaN = unknown).
    pub fn values_mut(&mut self) -> &mut [f64] {
        self.values.to_mut()
    }

    /// What stands beside the number of a row.
    pub fn meta(&self, row: usize) -> FigureMeta {
        match self.meta_ids.get(row) {
            Some(&id) if id > 0 => self.metas[id as usize - 1],
            _ => FigureMeta::default(),
        }
    }

    /// The stated range of a row.
    pub fn range(&self, row: usize) -> Option<(Option<f64>, Option<f64>)> {
        self.ranges.get(&(row as u32)).copied()
    }

    /// Sets a row. Rows in between become unknown.
    pub fn set(&mut self, row: usize, figure: Option<&Figure>, symbols: &mut Symbols) {
        let Some(figure) = figure else {
            if self.get(row).is_some() {
                self.values.to_mut()[row] = f64::NAN;
                self.ranges.remove(&(row as u32));
                if self.meta_id(row) != 0 {
                    self.meta_ids.to_mut()[row] = 0;
                }
            }
            return;
        };
        let meta = FigureMeta {
            unit: symbols.intern_option(figure.unit.as_deref()),
            year: figure.year,
            source: symbols.intern_option(figure.source.as_deref()),
            class: figure.class,
        };
        let range =
            (figure.low.is_some() || figure.high.is_some()).then_some((figure.low, figure.high));
        self.set_parts(row, figure.value, meta, range);
    }

    /// Sets a row from its parts.
    pub fn set_parts(
        &mut self,
        row: usize,
        value: f64,
        meta: FigureMeta,
        range: Option<(Option<f64>, Option<f64>)>,
    ) {
        // What stays the same is not written, so that versions go on sharing it.
        if self.values.get(row).is_none_or(|old| old.to_bits() != value.to_bits()) {
            let values = self.values.to_mut();
            if values.len() <= row {
                values.resize(row + 1, f64::NAN);
            }
            values[row] = value;
        }
        let id = if meta == FigureMeta::default() {
            0
        } else {
            let next = self.metas.len() as u32 + 1;
            *self.meta_index.entry(meta).or_insert_with(|| {
                self.metas.push(meta);
                next
            })
        };
        if self.meta_id(row) != id {
            let ids = self.meta_ids.to_mut();
            if ids.len() <= row {
                ids.resize(row + 1, 0);
            }
            ids[row] = id;
        }
        match range {
            Some(range) => self.ranges.insert(row as u32, range),
            None => self.ranges.remove(&(row as u32)),
        }
    }

    /// A column from whole parts, as a store or a bulk reader has them.
    ///
    /// `values` holds NaN where nothing is known and may end after the last known row; `meta_ids`
    /// is 0 for a bare number, else one more than a position in `metas`, and may be shorter than
    /// `values` (the rest are bare).
    ///
    /// # Errors
    /// A sentence, if the parts do not fit together.
    pub fn from_parts(
        values: Vec<f64>,
        meta_ids: Vec<u32>,
        metas: Vec<FigureMeta>,
        ranges: FxHashMap<u32, (Option<f64>, Option<f64>)>,
    ) -> Result<Self, String> {
        if meta_ids.len() > values.len() {
            return Err("a figure column describes more rows than it has".into());
        }
        if meta_ids.iter().any(|&id| id as usize > metas.len()) {
            return Err("a figure column names a description that it does not have".into());
        }
        if ranges.keys().any(|&row| row as usize >= values.len()) {
            return Err("a figure column has a range for a row that it does not have".into());
        }
        let meta_index = metas.iter().enumerate().map(|(i, &m)| (m, i as u32 + 1)).collect();
        let (values, meta_ids) = (values.into(), meta_ids.into());
        Ok(Self { values, meta_ids, metas, meta_index, ranges: ranges.into() })
    }

    /// Position of a row's description among [`Self::metas`], plus one; 0 for a bare number.
    pub fn meta_id(&self, row: usize) -> u32 {
        self.meta_ids.get(row).copied().unwrap_or(0)
    }

    /// The distinct descriptions of the column (some may be in use no more).
    pub fn metas(&self) -> &[FigureMeta] {
        &self.metas
    }

    /// The rows `order` of this column as a new column: row `i` of the result is row `order[i]`.
    pub(super) fn reorder(&self, order: &[u32]) -> Self {
        if self.values.is_empty() {
            return Self::default();
        }
        let value = |&o: &u32| self.values.get(o as usize).copied().unwrap_or(f64::NAN);
        let mut out = Self {
            values: order.iter().map(value).collect(),
            meta_ids: Column::default(),
            metas: self.metas.clone(),
            meta_index: self.meta_index.clone(),
            ranges: self.ranges.select(order),
        };
        if !self.meta_ids.is_empty() {
            out.meta_ids = order.iter().map(|&o| self.meta_id(o as usize)).collect();
        }
        out
    }

    /// Follows rows that are removed or inserted; inserted ones are unknown.
    pub(super) fn shift(&mut self, shift: &Shift) {
        fn follow<T: Copy>(column: &mut Column<T>, shift: &Shift, filler: T) {
            // Rows beyond the end of the column have no number anyway.
            let part = shift.below(column.len());
            column.splice(&part, &vec![filler; part.inserted().len()]);
        }
        follow(&mut self.values, shift, f64::NAN);
        follow(&mut self.meta_ids, shift, 0);
        self.ranges.shift(shift);
    }

    /// Gives this column memory of its own.
    pub(super) fn unshare(&mut self) {
        self.values.to_mut();
        self.meta_ids.to_mut();
    }

    /// Ends a series of [`Self::set`] in any order.
    pub(super) fn settle(&mut self) {
        self.ranges.settle();
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.values.heap_bytes() + self.meta_ids.heap_bytes() + self.ranges.heap_bytes()
    }
}

/// Nodes as columns, sorted by id.
#[derive(Debug, Clone, Default)]
pub struct NodeTable {
    /// Ids, sorted.
    pub ids: StringArena,
    /// Product of each node (its own id where none was given).
    pub product: Column<Symbol>,
    /// Stage, or none.
    pub stage: Column<Symbol>,
    /// Country code, or none.
    pub country: Column<Symbol>,
    /// Output per year.
    pub output: FigureColumn,
    /// Capacity per year.
    pub capacity: FigureColumn,
    /// Days of use held of each input.
    pub stock_days: FigureColumn,
    /// Attributes of the nodes that have any.
    pub attributes: AttributeColumn,
}

/// Flows as columns, sorted by (from, to, product name).
#[derive(Debug, Clone, Default)]
pub struct FlowTable {
    /// Supplier.
    pub from: Column<u32>,
    /// Consumer.
    pub to: Column<u32>,
    /// What flows.
    pub product: Column<Symbol>,
    /// Quantity per year; known for every flow.
    pub quantity: FigureColumn,
    /// Most the link can carry, where stated.
    pub capacity: FigureColumn,
    /// Transit time in days, where stated.
    pub lead_days: FigureColumn,
    /// Flows that follow their host (outside rationing).
    pub joint: Sparse<()>,
    /// Attributes of the flows that have any.
    pub attributes: AttributeColumn,
}

impl FlowTable {
    /// The flows `rows`, in that order. Columns are moved one by one, so that at most one of
    /// them is in memory twice.
    pub(super) fn select(self, rows: &[u32]) -> Self {
        fn pick<T: Copy>(column: Column<T>, rows: &[u32]) -> Column<T> {
            rows.iter().map(|&e| column[e as usize]).collect()
        }
        let column = |column: FigureColumn| column.reorder(rows);
        Self {
            from: pick(self.from, rows),
            to: pick(self.to, rows),
            product: pick(self.product, rows),
            quantity: column(self.quantity),
            capacity: column(self.capacity),
            lead_days: column(self.lead_days),
            joint: self.joint.select(rows),
            attributes: AttributeColumn(self.attributes.0.select(rows)),
        }
    }

    /// Bytes on the heap, attributes left out.
    pub fn heap_bytes(&self) -> usize {
        let figures = [&self.quantity, &self.capacity, &self.lead_days];
        self.from.heap_bytes()
            + self.to.heap_bytes()
            + self.product.heap_bytes()
            + figures.into_iter().map(FigureColumn::heap_bytes).sum::<usize>()
            + self.joint.heap_bytes()
            + self.attributes.0.heap_bytes()
    }
}

impl NodeTable {
    /// Bytes on the heap, attributes left out.
    pub fn heap_bytes(&self) -> usize {
        let figures = [&self.output, &self.capacity, &self.stock_days];
        self.ids.heap_bytes()
            + 3 * self.product.heap_bytes()
            + figures.into_iter().map(FigureColumn::heap_bytes).sum::<usize>()
            + self.attributes.0.heap_bytes()
    }
}

/// What one product needs to make another.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    /// Product that is made.
    pub output: Symbol,
    /// Product that it needs.
    pub input: Symbol,
    /// How a shortage acts.
    pub rule: Rule,
    /// Share of output that stops when the input stops (`limiting`).
    pub dependence: Option<Figure>,
    /// Least share that keeps production whole (`threshold`).
    pub min_share: Option<f64>,
    /// Input per unit of output.
    pub intensity: Option<Figure>,
}
