//! What a shared budget needs of its core beyond a plain one.

use std::time::Duration;

use paceline_clock::Tick;

use super::{Core, Supply};

impl Core {
    pub(crate) fn set_supply(&mut self, supply: Supply) {
        self.supply = Some(supply);
    }

    pub(crate) fn supply_mut(&mut self) -> Option<&mut Supply> {
        self.supply.as_mut()
    }

    /// No limit has more slots than this; `None` for the limits' own counts.
    pub(crate) fn cap(&mut self, slots: Option<&[usize]>) {
        for rule in &mut self.rules {
            let limit = rule.limit_index();
            rule.set_cap(slots.and_then(|slots| slots.get(limit).copied()));
        }
    }

    /// Nothing is sent before this, on another process's word.
    pub(crate) fn hold_for_others(&mut self, gate: Tick) {
        self.gate = self.gate.max(gate);
    }

    /// The server forgot until when the vendor asked everyone to wait.
    pub(crate) fn tell_gate_again(&mut self) {
        if let Some(supply) = &mut self.supply
            && self.gate > Tick::ZERO
        {
            supply.hold_until(self.gate);
        }
    }

    /// Calls that could start within `time` if none of those under way ended.
    pub(crate) fn startable(&self, time: Duration) -> usize {
        if self.tripped().is_some() {
            return 0;
        }
        let places = self.config.concurrent_max.map_or(usize::MAX, |max| max as usize);
        let places = places.saturating_sub(self.flights.len());
        match self.config.spacing_min.as_nanos() {
            0 => places,
            spacing => places.min((time.as_nanos() / spacing) as usize + 1),
        }
    }
}
