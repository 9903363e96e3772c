//! Interned strings: products, stages, countries, units and sources are stored once.

use std::sync::Arc;

use rustc_hash::FxHashMap;

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

/// A table of interned strings. Symbols are numbered in the order of first use.
#[derive(Debug, Clone)]
pub struct Symbols {
    names: Vec<Arc<str>>,
    index: FxHashMap<Arc<str>, Symbol>,
}

impl Default for Symbols {
    fn default() -> Self {
        let empty: Arc<str> = Arc::from("");
        let index = FxHashMap::from_iter([(empty.clone(), Symbol::NONE)]);
        Self { names: vec![empty], index }
    }
}

impl Symbols {
    /// The symbol of `name`, made if it is new.
    pub fn intern(&mut self, name: &str) -> Symbol {
        if let Some(&symbol) = self.index.get(name) {
            return symbol;
        }
        let symbol = Symbol(self.names.len() as u32);
        let name: Arc<str> = Arc::from(name);
        self.names.push(name.clone());
        self.index.insert(name, symbol);
        symbol
    }

    /// The symbol of `name`, [`Symbol::NONE`] for an absent name; made if it is new.
    pub fn intern_option(&mut self, name: Option<&str>) -> Symbol {
        name.map_or(Symbol::NONE, |name| self.intern(name))
    }

    /// The symbol of `name`, if it was ever interned.
    pub fn get(&self, name: &str) -> Option<Symbol> {
        self.index.get(name).copied()
    }

    /// The string behind a symbol ("" for [`Symbol::NONE`]).
    pub fn name(&self, symbol: Symbol) -> &str {
        &self.names[symbol.0 as usize]
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

    /// All symbols with their names, the empty one first.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, &str)> {
        self.names.iter().enumerate().map(|(i, name)| (Symbol(i as u32), name.as_ref()))
    }
}
