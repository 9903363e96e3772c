//! Losses of all nodes on one day of an answer's path: what a map shows while its clock is dragged.

use crate::analysis::Progress;
use crate::analysis::impact::Shocks;
use crate::analysis::timeline::{self, Record, Setting, View};
use crate::service::{Service, ServiceError};

use super::Question;

/// Keeps the losses of the last step that it sees.
#[derive(Default)]
struct Last(Vec<f64>);

impl Record for Last {
    fn step(&mut self, view: &View<'_>) {
        if view.step + 1 == view.setting.steps {
            self.0 = view.setting.model.snapshot().nodes().map(|v| view.loss(v)).collect();
        }
    }
}

impl Service {
    /// Loss of every node, by index, in the step that holds a day; the last step for any later day.
    /// The same run as the timeline of the answer, up to that day. Blocks.
    ///
    /// # Errors
    /// Options that do not go together; cancellation.
    pub fn losses_on_day(
        &self,
        question: &Question,
        day: f64,
        progress: &Progress,
    ) -> Result<Vec<f64>, ServiceError> {
        let Question { snapshot, body, .. } = question;
        let shocks = Shocks::compile(snapshot, &body.shocks)?;
        let options = timeline::model_options(&body.model);
        let responses = timeline::model_responses(&body.responses);
        let model = self.models.get(snapshot, &options, &responses)?;
        let mut setting = Setting::new(&model, &body.responses, true)?;
        let step = (day.max(0.0) / setting.step.days()) as usize;
        setting.steps = setting.steps.min(step.saturating_add(1));
        let mut last = Last::default();
        timeline::run(&setting, &shocks, &body.responses, &mut last, progress)?;
        Ok(last.0)
    }
}
