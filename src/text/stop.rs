//! Stop strings in streamed text.

/// What [`StopMatcher::push`] lets through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopStep {
    /// Text that is certain to come before any stop string.
    pub text: String,
    /// The index of the stop string that was found; nothing after it is given out.
    pub stop: Option<usize>,
}

/// Finds stop strings in text that comes in pieces: text that may be the start of one is held back until it is
/// certain; the stop string itself and what follows never come out.
#[derive(Clone, Debug, Default)]
pub struct StopMatcher {
    stops: Vec<String>,
    held: String,
    stopped: Option<usize>,
}

impl StopMatcher {
    /// A matcher for these strings; empty ones match nothing.
    pub fn new(stops: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { stops: stops.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Adds a piece of text. The stop string that is complete first ends the text, so that the outcome does not
    /// depend on how the text was cut into pieces.
    pub fn push(&mut self, text: &str) -> StopStep {
        if self.stopped.is_some() {
            return StopStep { text: String::new(), stop: self.stopped };
        }
        self.held.push_str(text);
        let found = self.stops.iter().enumerate().filter(|(_, s)| !s.is_empty());
        let found = found.filter_map(|(i, s)| self.held.find(s.as_str()).map(|at| (at + s.len(), at, i))).min();
        if let Some((_, at, index)) = found {
            self.stopped = Some(index);
            self.held.truncate(at);
            return StopStep { text: std::mem::take(&mut self.held), stop: self.stopped };
        }
        let kept = self.possible_start();
        let rest = self.held.split_off(self.held.len() - kept);
        StopStep { text: std::mem::replace(&mut self.held, rest), stop: None }
    }

    /// The text still held back, when nothing more will come.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes at the end of the held text that may be the start of a stop string.
    fn possible_start(&self) -> usize {
        let longest = |stop: &String| {
            let most = self.held.len().min(stop.len().saturating_sub(1));
            (1..=most)
                .rev()
                .find(|&n| stop.is_char_boundary(n) && self.held.as_bytes().ends_with(&stop.as_bytes()[..n]))
                .unwrap_or(0)
        };
        self.stops.iter().map(longest).max().unwrap_or(0)
    }
}
