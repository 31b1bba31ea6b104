use std::cmp::Ordering;

use crate::products::Product;

/// By what products are found without looking at all of them, however many there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// All aliases of all products, sorted by alias, then by machine.
    aliases: Vec<Alias>,
    /// The products with columns, sorted by these, then by machine.
    columns: Vec<usize>,
}

/// One alias of one product.
#[derive(Clone, Copy, Debug)]
struct Alias {
    product: usize,
    n: usize,
}

impl Order {
    pub(crate) fn of(all: &[Product]) -> Self {
        let mut aliases = Vec::new();
        let mut columns = Vec::new();
        for (product, it) in all.iter().enumerate() {
            aliases.extend((0..it.aliases.len()).map(|n| Alias { product, n }));
            columns.extend(it.columns.as_ref().map(|_| product));
        }
        let named = |alias: &Alias| (alias.text(all), alias.machine(all), alias.product);
        aliases.sort_unstable_by(|one, other| named(one).cmp(&named(other)));
        columns.sort_unstable_by(|one, other| {
            let by_columns = placed(all, *one).cmp(&placed(all, *other));
            by_columns.then(one.cmp(other))
        });
        Self { aliases, columns }
    }

    /// The products with this alias, of one machine or of all.
    pub(crate) fn with_alias<'a>(
        &'a self,
        all: &'a [Product],
        alias: &str,
        machine: Option<&str>,
    ) -> impl Iterator<Item = &'a Product> + use<'a> {
        let there = range(&self.aliases, |found| {
            let text = found.text(all).cmp(alias);
            let machine = machine.map_or(Ordering::Equal, |it| found.machine(all).cmp(it));
            text.then(machine)
        });
        there.iter().filter_map(|found| all.get(found.product))
    }

    /// All aliases, each once.
    pub(crate) fn alias_names<'a>(&'a self, all: &'a [Product]) -> impl Iterator<Item = &'a str> {
        let chunks = self
            .aliases
            .chunk_by(|one, next| one.text(all) == next.text(all));
        chunks.filter_map(|same| same.first().map(|alias| alias.text(all)))
    }

    /// The products with these columns on one machine.
    pub(crate) fn with_columns<'a>(
        &'a self,
        all: &'a [Product],
        os: &str,
        release: &str,
        variant: &str,
        machine: &str,
    ) -> impl Iterator<Item = &'a Product> + use<'a> {
        let there = range(&self.columns, |n| {
            let found = placed(all, *n).map(|(found, _)| found);
            found.cmp(&Some([os, release, variant, machine]))
        });
        there.iter().filter_map(|n| all.get(*n))
    }

    /// The products that are not the only ones with their columns and architecture.
    pub(crate) fn with_the_same_columns<'a>(
        &'a self,
        all: &'a [Product],
    ) -> impl Iterator<Item = usize> + 'a {
        let chunks = self
            .columns
            .chunk_by(|one, next| placed(all, *one) == placed(all, *next));
        chunks.filter(|same| same.len() > 1).flatten().copied()
    }
}

impl Alias {
    fn text(self, all: &[Product]) -> &str {
        let product = all.get(self.product);
        product
            .and_then(|it| it.aliases.get(self.n))
            .map_or("", AsRef::as_ref)
    }

    fn machine(self, all: &[Product]) -> &str {
        all.get(self.product).map_or("", |it| &it.machine)
    }
}

/// What a product is sorted by: its columns and its machine, then the architecture as written.
fn placed(all: &[Product], n: usize) -> Option<([&str; 4], &str)> {
    let product = all.get(n)?;
    let columns = product.columns.as_ref()?;
    let columns = [
        &*columns.os,
        &*columns.release,
        &*columns.variant,
        &*product.machine,
    ];
    Some((columns, &product.architecture))
}

/// The part of a sorted slice that is equal to what is wanted.
fn range<T>(sorted: &[T], order: impl Fn(&T) -> Ordering) -> &[T] {
    let from = sorted.partition_point(|it| order(it) == Ordering::Less);
    let behind = sorted.partition_point(|it| order(it) != Ordering::Greater);
    sorted.get(from..behind).unwrap_or_default()
}
