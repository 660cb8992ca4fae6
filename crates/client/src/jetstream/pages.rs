//! Lists of the API, which come a page at a time. Servers write an empty one as `null`.

use wire::jetstream::api::{ConsumerInfo, ConsumerList, ConsumerNames, StreamInfo, StreamList, StreamNames};

/// Part of a list.
pub(crate) trait Page {
    type Item;
    fn total(&self) -> u64;
    fn items(self) -> Vec<Self::Item>;
}

impl Page for StreamList {
    type Item = StreamInfo;

    fn total(&self) -> u64 {
        self.total
    }

    fn items(self) -> Vec<StreamInfo> {
        self.streams.unwrap_or_default()
    }
}

impl Page for StreamNames {
    type Item = String;

    fn total(&self) -> u64 {
        self.total
    }

    fn items(self) -> Vec<String> {
        self.streams.unwrap_or_default()
    }
}

impl Page for ConsumerList {
    type Item = ConsumerInfo;

    fn total(&self) -> u64 {
        self.total
    }

    fn items(self) -> Vec<ConsumerInfo> {
        self.consumers
    }
}

impl Page for ConsumerNames {
    type Item = String;

    fn total(&self) -> u64 {
        self.total
    }

    fn items(self) -> Vec<String> {
        self.consumers
    }
}

/// Adds a page; whether there are more. One that adds nothing is the last, whatever its total says.
pub(crate) fn gather<P: Page>(all: &mut Vec<P::Item>, page: P) -> bool {
    let (before, total) = (all.len(), page.total());
    all.extend(page.items());
    all.len() > before && (all.len() as u64) < total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(total: u64, names: &[&str]) -> ConsumerNames {
        let consumers = names.iter().map(|name| (*name).to_owned()).collect();
        ConsumerNames { total, consumers, ..ConsumerNames::default() }
    }

    #[test]
    fn pages_are_gathered_until_all_are_there_or_one_is_empty() {
        let mut all = Vec::new();
        assert!(gather(&mut all, names(5, &["a", "b"])));
        assert!(gather(&mut all, names(5, &["c", "d"])));
        assert!(!gather(&mut all, names(5, &["e"])));
        assert_eq!(all, ["a", "b", "c", "d", "e"]);
        assert!(!gather(&mut all, names(9, &[])), "a total that is never reached ends too");
        assert!(!gather(&mut Vec::new(), names(0, &[])));
    }

    #[test]
    fn an_empty_list_may_be_null() {
        let page: StreamList = serde_json::from_str(r#"{"total":0,"offset":0,"streams":null}"#).unwrap();
        assert_eq!((page.total(), page.items().len()), (0, 0));
        let page: ConsumerNames = serde_json::from_str(r#"{"total":0,"consumers":null}"#).unwrap();
        assert!(page.items().is_empty());
    }
}
