//! The column of times in a block: four bytes a row while all times are whole milliseconds close together, eight
//! otherwise. It is exact in both forms.

const NS_PER_MS: u64 = 1_000_000;

/// See the module.
pub(super) struct Times {
    base_ns: u64,
    form: Form,
}

enum Form {
    /// Milliseconds behind the base.
    Near(Vec<u32>),
    /// Nanoseconds since 1970.
    Exact(Vec<u64>),
}

impl Times {
    pub(super) fn new() -> Times {
        Times { base_ns: 0, form: Form::Near(Vec::new()) }
    }

    pub(super) fn push(&mut self, time_ns: u64) {
        if let Form::Near(near) = &mut self.form {
            if near.is_empty() {
                self.base_ns = time_ns;
            }
            if let Some(ms) = whole_ms(self.base_ns, time_ns) {
                return near.push(ms);
            }
            let base_ns = self.base_ns;
            self.form = Form::Exact(near.iter().map(|ms| base_ns + u64::from(*ms) * NS_PER_MS).collect());
        }
        if let Form::Exact(exact) = &mut self.form {
            exact.push(time_ns);
        }
    }

    /// The time of a row that is there; 0 otherwise.
    pub(super) fn at(&self, row: usize) -> u64 {
        match &self.form {
            Form::Near(near) => near.get(row).map_or(0, |ms| self.base_ns + u64::from(*ms) * NS_PER_MS),
            Form::Exact(exact) => exact.get(row).copied().unwrap_or(0),
        }
    }

    pub(super) fn clear(&mut self) {
        match &mut self.form {
            Form::Near(near) => near.clear(),
            Form::Exact(_) => self.form = Form::Near(Vec::new()),
        }
    }

    pub(super) fn shrink(&mut self) {
        match &mut self.form {
            Form::Near(near) => near.shrink_to_fit(),
            Form::Exact(exact) => exact.shrink_to_fit(),
        }
    }

    /// Heap bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        match &self.form {
            Form::Near(near) => near.capacity() * 4,
            Form::Exact(exact) => exact.capacity() * 8,
        }
    }
}

fn whole_ms(base_ns: u64, time_ns: u64) -> Option<u32> {
    let behind = time_ns.checked_sub(base_ns)?;
    match behind % NS_PER_MS {
        0 => u32::try_from(behind / NS_PER_MS).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_comes_back_exactly() {
        for step in [0, 1, NS_PER_MS, 7_777_777, NS_PER_MS << 32] {
            let mut times = Times::new();
            let wanted: Vec<u64> = (0..10).map(|i| 1_700_000_000_000_000_123 + i * step).collect();
            wanted.iter().for_each(|t| times.push(*t));
            assert_eq!((0..10).map(|i| times.at(i)).collect::<Vec<_>>(), wanted, "step {step}");
        }
    }
}
