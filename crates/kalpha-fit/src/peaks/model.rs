//! Components, their parameters, and what ties them.

use super::{
    LineShape, PeakError,
    expression::{Expression, Sweep},
    shape::{self, Role},
};

/// How a parameter is determined.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Constraint {
    /// By the fit, within its bounds.
    #[default]
    Free,
    /// It keeps its value.
    Fixed,
    /// By an expression of other parameters.
    Tied(String),
}

/// A parameter of a component, or a variable of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name within its component.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Start, or value if fixed; NaN to take it from the data.
    pub value: f64,
    /// Smallest value; that of the shape if absent.
    pub lower: Option<f64>,
    /// Largest value; that of the shape if absent.
    pub upper: Option<f64>,
    /// How it is determined.
    pub constraint: Constraint,
}

/// A named line shape in a model.
#[derive(Clone, Debug)]
pub struct Component {
    /// Name: letters, digits and underscores.
    pub name: String,
    /// Shape.
    pub shape: &'static dyn LineShape,
    /// Parameters, in the order of the shape.
    pub parameters: Vec<Parameter>,
}

impl Component {
    /// A component with all parameters free and started from the data.
    ///
    /// # Errors
    /// [`PeakError::Shape`] for an unknown shape.
    pub fn new(name: &str, shape_id: &str) -> Result<Self, PeakError> {
        let shape = shape::shape(shape_id)?;
        let parameters = shape
            .parameters()
            .iter()
            .map(|p| Parameter {
                name: p.name.to_owned(),
                role: p.role,
                value: p.start,
                lower: None,
                upper: None,
                constraint: Constraint::Free,
            })
            .collect();
        Ok(Self { name: name.to_owned(), shape, parameters })
    }

    /// The parameter of that name.
    ///
    /// # Errors
    /// [`PeakError::Parameter`] with the names there are.
    pub fn parameter(&mut self, name: &str) -> Result<&mut Parameter, PeakError> {
        let known = || self.parameters.iter().map(|p| p.name.as_str()).collect::<Vec<_>>();
        match self.parameters.iter().position(|p| p.name == name) {
            Some(k) => Ok(&mut self.parameters[k]),
            None => Err(PeakError::Parameter {
                parameter: format!("{}.{name}", self.name),
                known: known().join(", "),
            }),
        }
    }

    /// Starts a parameter at `value`.
    ///
    /// # Errors
    /// [`PeakError::Parameter`].
    pub fn start(mut self, name: &str, value: f64) -> Result<Self, PeakError> {
        self.parameter(name)?.value = value;
        Ok(self)
    }

    /// Keeps a parameter between two values; infinities bound nothing.
    ///
    /// # Errors
    /// [`PeakError::Parameter`].
    pub fn between(mut self, name: &str, lower: f64, upper: f64) -> Result<Self, PeakError> {
        let parameter = self.parameter(name)?;
        (parameter.lower, parameter.upper) = (Some(lower), Some(upper));
        Ok(self)
    }

    /// Fixes a parameter.
    ///
    /// # Errors
    /// [`PeakError::Parameter`].
    pub fn fix(mut self, name: &str, value: f64) -> Result<Self, PeakError> {
        let parameter = self.parameter(name)?;
        (parameter.value, parameter.constraint) = (value, Constraint::Fixed);
        Ok(self)
    }

    /// Ties a parameter to others: `p1.center + 3.35`.
    ///
    /// # Errors
    /// [`PeakError::Parameter`].
    pub fn tie(mut self, name: &str, expression: &str) -> Result<Self, PeakError> {
        self.parameter(name)?.constraint = Constraint::Tied(expression.to_owned());
        Ok(self)
    }

    /// Another line of the same shape: `splitting` away, `ratio` times as intense, all else
    /// equal. Both are expressions: numbers, or names of variables that are fitted.
    ///
    /// # Errors
    /// None at present; a wrong expression is found by [`PeakModel::new`].
    pub fn partner(&self, name: &str, splitting: &str, ratio: &str) -> Result<Self, PeakError> {
        let mut partner = Self::new(name, self.shape.id())?;
        for parameter in &mut partner.parameters {
            let same = format!("{}.{}", self.name, parameter.name);
            parameter.constraint = Constraint::Tied(match parameter.role {
                Role::Amplitude => format!("({ratio}) * {same}"),
                Role::Position => format!("{same} + ({splitting})"),
                _ => same,
            });
        }
        Ok(partner)
    }
}

/// A sum of components, checked: names, expressions, circles, bounds.
#[derive(Clone, Debug)]
pub struct PeakModel {
    components: Vec<Component>,
    variables: Vec<Parameter>,
    pub(super) layout: Layout,
}

/// All parameters of a model in one row.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) names: Vec<String>,
    pub(super) roles: Vec<Role>,
    /// First parameter of each component.
    pub(super) first: Vec<usize>,
    pub(super) lower: Vec<f64>,
    pub(super) upper: Vec<f64>,
    /// Starts; NaN where the data must tell.
    pub(super) start: Vec<f64>,
    /// Free parameters.
    pub(super) free: Vec<usize>,
    /// Place among the free ones.
    pub(super) slot: Vec<Option<usize>>,
    /// Tied parameters, each after those it depends on.
    pub(super) ties: Vec<(usize, Expression)>,
    /// Place among the tied ones.
    pub(super) tied: Vec<Option<usize>>,
    /// Free parameters that only multiply.
    pub(super) linear: Vec<bool>,
}

impl PeakModel {
    /// A model of these components.
    ///
    /// # Errors
    /// [`PeakError`] for names given twice, expressions that cannot be read, circles of ties, and
    /// bounds that leave no room.
    pub fn new(components: Vec<Component>) -> Result<Self, PeakError> {
        Self::with_variables(components, Vec::new())
    }

    /// A model with variables of its own, for expressions: a splitting, a common width.
    ///
    /// # Errors
    /// As [`PeakModel::new`].
    pub fn with_variables(
        components: Vec<Component>,
        variables: Vec<Parameter>,
    ) -> Result<Self, PeakError> {
        let layout = Layout::new(&components, &variables)?;
        Ok(Self { components, variables, layout })
    }

    /// Components, in order.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// Variables, in order.
    pub fn variables(&self) -> &[Parameter] {
        &self.variables
    }

    /// Names of all parameters: those of the components in order, then variables.
    pub fn names(&self) -> &[String] {
        &self.layout.names
    }

    /// Names of the free parameters, in the order of the fit.
    pub fn free(&self) -> impl Iterator<Item = &str> {
        self.layout.free.iter().map(|k| self.layout.names[*k].as_str())
    }
}

impl Parameter {
    /// A variable of the model, free between two values.
    pub fn variable(name: &str, value: f64, lower: f64, upper: f64) -> Self {
        Self {
            name: name.to_owned(),
            role: Role::Other,
            value,
            lower: Some(lower),
            upper: Some(upper),
            constraint: Constraint::Free,
        }
    }
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_numeric()) && name != "pi"
}

impl Layout {
    fn new(components: &[Component], variables: &[Parameter]) -> Result<Self, PeakError> {
        if components.is_empty() {
            return Err(PeakError::Empty { what: "components" });
        }
        let mut layout = Self::default();
        let mut given: Vec<&Parameter> = Vec::new();
        for component in components {
            layout.first.push(given.len());
            let infos = component.shape.parameters();
            for (parameter, info) in component.parameters.iter().zip(infos) {
                layout.add(
                    format!("{}.{}", component.name, parameter.name),
                    parameter,
                    info.lower,
                    info.upper,
                )?;
                given.push(parameter);
            }
        }
        for variable in variables {
            layout.add(variable.name.clone(), variable, f64::NEG_INFINITY, f64::INFINITY)?;
            given.push(variable);
        }
        let mut names: Vec<&str> = components.iter().map(|c| c.name.as_str()).collect();
        names.extend(variables.iter().map(|v| v.name.as_str()));
        for (i, name) in names.iter().enumerate() {
            if !is_name(name) || names[..i].contains(name) {
                return Err(PeakError::Name { name: (*name).to_owned() });
            }
        }
        let n = given.len();
        let mut expressions: Vec<Option<Expression>> = Vec::with_capacity(n);
        for (k, parameter) in given.iter().enumerate() {
            expressions.push(match &parameter.constraint {
                Constraint::Tied(text) => Some(layout.parse(k, text, parameter)?),
                _ => None,
            });
        }
        layout.sort_ties(expressions)?;
        layout.slot = vec![None; n];
        for (k, parameter) in given.iter().enumerate() {
            if parameter.constraint == Constraint::Free {
                layout.slot[k] = Some(layout.free.len());
                layout.free.push(k);
            }
        }
        if layout.free.is_empty() {
            return Err(PeakError::Empty { what: "free parameters" });
        }
        layout.find_linear();
        Ok(layout)
    }

    fn add(
        &mut self,
        name: String,
        parameter: &Parameter,
        lower: f64,
        upper: f64,
    ) -> Result<(), PeakError> {
        let (low, high) = (
            parameter.lower.unwrap_or(lower).max(lower),
            parameter.upper.unwrap_or(upper).min(upper),
        );
        let wrong = |what: String| Err(PeakError::Contradiction { parameter: name.clone(), what });
        if low.is_nan() || high.is_nan() || low > high {
            return wrong(format!("no value is between {low} and {high}"));
        }
        let value = parameter.value;
        match parameter.constraint {
            Constraint::Fixed if !value.is_finite() => {
                return wrong("fixed without a value".to_owned());
            }
            // A start or a fixed value outside what the user or the shape allows.
            Constraint::Free | Constraint::Fixed if value < low || value > high => {
                return wrong(format!("{value} is not between {low} and {high}"));
            }
            _ => {}
        }
        self.names.push(name);
        self.roles.push(parameter.role);
        self.lower.push(low);
        self.upper.push(high);
        self.start.push(value);
        Ok(())
    }

    fn parse(&self, k: usize, text: &str, parameter: &Parameter) -> Result<Expression, PeakError> {
        let name = &self.names[k];
        if parameter.lower.is_some() || parameter.upper.is_some() {
            return Err(PeakError::Contradiction {
                parameter: name.clone(),
                what: "tied and bounded (hint: bound the parameters of the expression, or add a \
                       variable with bounds to it)"
                    .to_owned(),
            });
        }
        Expression::parse(name, text, |wanted| {
            self.names.iter().position(|n| n == wanted).ok_or_else(|| PeakError::Parameter {
                parameter: wanted.to_owned(),
                known: self.names.join(", "),
            })
        })
    }

    /// Ties after those they depend on; the circle where there is one.
    fn sort_ties(&mut self, mut expressions: Vec<Option<Expression>>) -> Result<(), PeakError> {
        let n = expressions.len();
        self.tied = vec![None; n];
        let mut waiting: Vec<usize> = (0..n).filter(|k| expressions[*k].is_some()).collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut left = Vec::new();
            for k in waiting {
                let ready = expressions[k]
                    .as_ref()
                    .is_some_and(|e| e.parameters().all(|p| expressions[p].is_none()));
                if !ready {
                    left.push(k);
                    continue;
                }
                if let Some(expression) = expressions[k].take() {
                    self.tied[k] = Some(self.ties.len());
                    self.ties.push((k, expression));
                }
            }
            if left.len() == before {
                return Err(PeakError::Circle { circle: self.circle(&expressions, left[0]) });
            }
            waiting = left;
        }
        Ok(())
    }

    fn circle(&self, expressions: &[Option<Expression>], from: usize) -> String {
        let mut path = vec![from];
        let mut at = from;
        loop {
            let next = expressions[at]
                .as_ref()
                .and_then(|e| e.parameters().find(|p| expressions[*p].is_some()));
            let Some(next) = next else { break };
            let seen = path.iter().position(|p| *p == next);
            path.push(next);
            if let Some(first) = seen {
                path.drain(..first);
                break;
            }
            at = next;
        }
        path.iter().map(|k| self.names[*k].as_str()).collect::<Vec<_>>().join(" -> ")
    }

    /// Amplitudes that reach the model only as factors, directly or through ties of first degree.
    fn find_linear(&mut self) {
        let n = self.names.len();
        let amplitude = |k: usize| self.roles[k] == Role::Amplitude;
        let mut linear: Vec<bool> =
            (0..n).map(|k| self.slot[k].is_some() && amplitude(k)).collect();
        // A tied amplitude must be of first degree in all that are solved for, or in none.
        loop {
            let mut moves = linear.clone();
            let mut spoiled = None;
            for (k, expression) in &self.ties {
                let touched: Vec<usize> = expression.parameters().filter(|p| moves[*p]).collect();
                if touched.is_empty() {
                    continue;
                }
                if amplitude(*k) && expression.scales_with(|p| moves[p]) {
                    moves[*k] = true;
                } else {
                    spoiled = Some(self.sources(&touched, &linear));
                    break;
                }
            }
            match spoiled {
                Some(sources) => sources.into_iter().for_each(|k| linear[k] = false),
                None => break,
            }
        }
        self.linear = self.free.iter().map(|k| linear[*k]).collect();
    }

    /// Free linear parameters that `targets` depend on.
    fn sources(&self, targets: &[usize], linear: &[bool]) -> Vec<usize> {
        let mut found = Vec::new();
        let mut open = targets.to_vec();
        while let Some(k) = open.pop() {
            match self.tied[k] {
                Some(t) => open.extend(self.ties[t].1.parameters()),
                None if linear[k] => found.push(k),
                None => {}
            }
        }
        found
    }

    /// Values of all parameters from those of the free ones; `full` holds the fixed ones.
    pub(super) fn expand(&self, free: &[f64], full: &mut [f64], sweep: &mut Sweep) {
        for (k, value) in self.free.iter().zip(free) {
            full[*k] = *value;
        }
        for (k, expression) in &self.ties {
            full[*k] = expression.value(full, sweep);
        }
    }

    /// Derivatives of all parameters to free ones, all x free.
    pub(super) fn full_slopes(&self, full: &[f64]) -> Vec<f64> {
        let (all, n) = (self.names.len(), self.free.len());
        let mut ties = vec![0.0; self.ties.len() * n];
        self.tie_slopes(full, &mut ties, &mut Sweep::default());
        let mut slopes = vec![0.0; all * n];
        for k in 0..all {
            match (self.slot[k], self.tied[k]) {
                (Some(f), _) => slopes[k * n + f] = 1.0,
                (None, Some(t)) => {
                    slopes[k * n..(k + 1) * n].copy_from_slice(&ties[t * n..(t + 1) * n]);
                }
                (None, None) => {}
            }
        }
        slopes
    }

    /// Derivatives of tied parameters to free ones, ties x free.
    pub(super) fn tie_slopes(&self, full: &[f64], slopes: &mut [f64], sweep: &mut Sweep) {
        let n = self.free.len();
        for (t, (_, expression)) in self.ties.iter().enumerate() {
            let (before, row) = slopes.split_at_mut(t * n);
            let row = &mut row[..n];
            row.fill(0.0);
            expression.slopes(full, sweep, |k, d| match (self.slot[k], self.tied[k]) {
                (Some(f), _) => row[f] += d,
                // Sorted: its row is among those before.
                (None, Some(other)) => {
                    let other = &before[other * n..(other + 1) * n];
                    row.iter_mut().zip(other).for_each(|(r, o)| *r += d * o);
                }
                (None, None) => {}
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peak(name: &str) -> Component {
        Component::new(name, "gaussian").unwrap()
    }

    #[test]
    fn ties_are_sorted_and_amplitudes_recognised() {
        let a = peak("a").tie("area", "2 * b.area").unwrap().tie("fwhm", "c.fwhm + w").unwrap();
        let b = peak("b").tie("area", "c.area / ratio").unwrap();
        let ratio = Parameter::variable("ratio", 2.0, 1.0, 3.0);
        let w = Parameter::variable("w", 0.5, 0.0, 1.0);
        let model = PeakModel::with_variables(vec![a, b, peak("c")], vec![ratio, w]).unwrap();
        let layout = &model.layout;
        let free: Vec<&str> = model.free().collect();
        assert_eq!(
            free,
            ["a.center", "b.center", "b.fwhm", "c.area", "c.center", "c.fwhm", "ratio", "w"]
        );
        assert_eq!(layout.linear, [false, false, false, true, false, false, false, false]);
        let mut full = layout.start.clone();
        let mut sweep = Sweep::default();
        let values = [1.0, 2.0, 0.3, 12.0, 3.0, 0.8, 2.0, 0.5];
        layout.expand(&values, &mut full, &mut sweep);
        assert_eq!((full[0], full[2], full[3]), (12.0, 1.3, 6.0));
        let mut slopes = vec![0.0; layout.ties.len() * 8];
        layout.tie_slopes(&full, &mut slopes, &mut sweep);
        let row = |k: usize| {
            let t = layout.tied[k].unwrap();
            &slopes[t * 8..(t + 1) * 8]
        };
        // a.area = 2 c.area / ratio.
        assert_eq!(row(0), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, -6.0, 0.0]);
        assert_eq!(row(2), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
        // An amplitude that decides a width is no factor.
        let odd = peak("a").tie("fwhm", "0.1 * b.area").unwrap();
        let model = PeakModel::new(vec![odd, peak("b")]).unwrap();
        assert_eq!(model.layout.linear, [true, false, false, false, false]);
    }

    #[test]
    fn contradictions_are_found() {
        let error = |components: Vec<Component>| PeakModel::new(components).unwrap_err();
        let circle = error(vec![
            peak("a").tie("center", "b.center + 1").unwrap(),
            peak("b").tie("center", "a.center - 1").unwrap(),
        ]);
        assert_eq!(circle, PeakError::Circle { circle: "a.center -> b.center -> a.center".into() });
        let itself = error(vec![peak("a").tie("fwhm", "a.fwhm").unwrap()]);
        assert_eq!(itself, PeakError::Circle { circle: "a.fwhm -> a.fwhm".into() });
        assert!(matches!(error(vec![peak("a"), peak("a")]), PeakError::Name { .. }));
        assert!(matches!(error(vec![peak("a b")]), PeakError::Name { .. }));
        assert!(matches!(error(vec![]), PeakError::Empty { .. }));
        for wrong in [
            peak("a").between("fwhm", 2.0, 1.0).unwrap(),
            peak("a").between("fwhm", 1.0, 2.0).unwrap().start("fwhm", 3.0).unwrap(),
            peak("a").fix("fwhm", -1.0).unwrap(),
            peak("a").fix("fwhm", f64::NAN).unwrap(),
            peak("a").between("center", 0.0, 1.0).unwrap().tie("center", "a.fwhm").unwrap(),
        ] {
            assert!(matches!(error(vec![wrong]), PeakError::Contradiction { .. }));
        }
        let fixed = peak("a").fix("area", 1.0).unwrap().fix("center", 0.0).unwrap();
        assert!(matches!(error(vec![fixed.fix("fwhm", 1.0).unwrap()]), PeakError::Empty { .. }));
        assert!(matches!(peak("a").start("width", 1.0), Err(PeakError::Parameter { .. })));
    }
}
