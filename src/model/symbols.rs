//! Interned strings: products, stages, countries, units and sources are stored once.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use super::network::StringArena;

/// An interned string. `Symbol::NONE` stands for "not given".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Symbol(pub u32);

impl Symbol {
    /// The empty string: not given.
    pub const NONE: Self = Self(0);

    /// True for anything but [`Symbol::NONE`].
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }
}

/// A table of interned strings. Symbols are numbered in the order of first use. Clones share
/// their memory until one of them gets a new string.
#[derive(Debug, Clone)]
pub struct Symbols {
    names: StringArena,
    /// Numbers of the symbols, found by the hash of their names.
    index: Arc<HashTable<u32>>,
}

impl Default for Symbols {
    fn default() -> Self {
        let mut symbols = Self { names: StringArena::default(), index: Arc::default() };
        symbols.intern("");
        symbols
    }
}

impl Symbols {
    /// The symbol of `name`, made if it is new.
    pub fn intern(&mut self, name: &str) -> Symbol {
        let Self { names, index } = self;
        let hash = FxBuildHasher.hash_one(name);
        if let Some(&symbol) = index.find(hash, |&s| names.get(s) == name) {
            return Symbol(symbol);
        }
        let symbol = names.len() as u32;
        names.push(name);
        Arc::make_mut(index).insert_unique(hash, symbol, |&s| FxBuildHasher.hash_one(names.get(s)));
        Symbol(symbol)
    }

    /// The symbol of `name`, [`Symbol::NONE`] for an absent name; made if it is new.
    pub fn intern_option(&mut self, name: Option<&str>) -> Symbol {
        name.map_or(Symbol::NONE, |name| self.intern(name))
    }

    /// The symbol of `name`, if it was ever interned.
    pub fn get(&self, name: &str) -> Option<Symbol> {
        let hash = FxBuildHasher.hash_one(name);
        self.index.find(hash, |&s| self.names.get(s) == name).map(|&s| Symbol(s))
    }

    /// The string behind a symbol ("" for [`Symbol::NONE`]).
    pub fn name(&self, symbol: Symbol) -> &str {
        self.names.get(symbol.0)
    }

    /// The string behind a symbol, `None` for [`Symbol::NONE`].
    pub fn option(&self, symbol: Symbol) -> Option<&str> {
        symbol.is_some().then(|| self.name(symbol))
    }

    /// Number of symbols, the empty one included.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True if only the empty symbol exists.
    pub fn is_empty(&self) -> bool {
        self.names.len() == 1
    }

    /// Bytes of all names together; the table holds at most 4 GiB.
    pub fn text_bytes(&self) -> usize {
        self.names.text_bytes()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.names.heap_bytes() + self.index.capacity() * 5
    }

    /// All symbols with their names, the empty one first.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, &str)> {
        self.names.iter().enumerate().map(|(i, name)| (Symbol(i as u32), name))
    }
}
