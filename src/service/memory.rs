//! Memory in use, and the budget that heavy work must fit into.

use super::error::ServiceError;

/// Resident memory of this process, where the system tells.
pub fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    // Linux on every platform that we build for has pages of 4 KiB or says so in auxv; a wrong
    // guess only makes the budget stricter or looser.
    Some(pages * 4096)
}

/// Memory of this machine, where the system tells.
pub fn machine_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Memory that a graph of this size takes, about: measured with 10^5 to 10^7 flows of random graphs
/// (benches/scale.md). Attributes, and what analyses need, come on top.
pub fn snapshot_bytes(nodes: u64, flows: u64) -> u64 {
    nodes.saturating_mul(90).saturating_add(flows.saturating_mul(50))
}

/// Most memory that the process should use.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryBudget {
    /// Bytes; 0: no budget.
    pub bytes: u64,
}

impl MemoryBudget {
    /// Refuses work that would go over the budget.
    ///
    /// # Errors
    /// [`ServiceError::OverBudget`].
    pub fn admit(&self, needed: u64) -> Result<(), ServiceError> {
        // Small work is not worth a look at the system.
        if self.bytes == 0 || needed < 1 << 20 {
            return Ok(());
        }
        let used = resident_bytes().unwrap_or(0);
        if used.saturating_add(needed) > self.bytes {
            return Err(ServiceError::OverBudget { needed, used, budget: self.bytes });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_over_the_budget_is_refused_with_the_figures() {
        assert!(MemoryBudget::default().admit(u64::MAX).is_ok());
        let budget = MemoryBudget { bytes: 1 << 30 };
        assert!(budget.admit(1 << 10).is_ok());
        let error = budget.admit(1 << 40).unwrap_err();
        assert!(matches!(error, ServiceError::OverBudget { budget: b, .. } if b == 1 << 30));
        assert!(resident_bytes().is_none_or(|bytes| bytes > 1 << 20));
        assert!(machine_bytes() >= resident_bytes());
        assert_eq!(snapshot_bytes(2, 3), 330);
    }
}
