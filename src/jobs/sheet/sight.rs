//! Looking at a spreadsheet: where its two tabs are, where they have our columns, which rows there are.
//!
//! One read does it once the tabs are known: their first rows, which tell whether anything moved, together with
//! the columns that name the rows. If anything moved, or now and then, everything is looked up anew.

use chrono::{DateTime, TimeDelta, Utc};

use super::GOOGLE;
use super::columns::{ITEMS, Layout, ORDERS, TabSpec, is_ours};
use super::failure::{Budget, Call, Failure};
use super::plan::{TabState, value_text};
use crate::clients::sheets::{
    CellValue, Major, SheetRequest, SheetsClient, SheetsError, Tab, a1_range, column_letters,
};
use crate::observability::metrics::timed_call;

/// After this a spreadsheet is surveyed again: a tab that took another's name is not noticed otherwise.
const TRUSTED: TimeDelta = TimeDelta::minutes(10);

/// Where the two tabs are.
#[derive(Debug, Clone)]
pub(super) struct Known {
    tabs: [KnownTab; 2],
    surveyed_at: DateTime<Utc>,
    generation: i64,
}

impl Known {
    /// Whether it may be relied on without a survey.
    pub(super) fn holds(&self, now: DateTime<Utc>, generation: i64) -> bool {
        self.generation == generation && now - self.surveyed_at < TRUSTED
    }
}

#[derive(Debug, Clone)]
struct KnownTab {
    spec: &'static TabSpec,
    sheet_id: i32,
    title: String,
    width: usize,
    header: Vec<String>,
}

impl KnownTab {
    fn new(spec: &'static TabSpec, tab: &Tab, header: Vec<String>) -> Self {
        let width = usize::try_from(tab.column_count).unwrap_or(0);
        Self { spec, sheet_id: tab.sheet_id, title: tab.title.clone(), width, header }
    }

    fn layout(&self) -> Result<Layout, SheetsError> {
        Layout::read(self.spec, &self.header, self.width)
    }
}

/// One spreadsheet.
pub(super) struct Sight<'a> {
    pub client: &'a SheetsClient,
    pub budget: &'a Budget,
    pub id: &'a str,
    pub now: DateTime<Utc>,
    /// How often its tabs were replaced.
    pub generation: i64,
}

impl Sight<'_> {
    /// Both tabs as they are, orders first, and what may be relied on the next time.
    pub(super) async fn see(&self, known: Option<Known>) -> Result<(Known, [TabState; 2]), Failure> {
        if let Some(known) = known {
            match self.look(&known).await {
                Ok(Some(tabs)) => return Ok((known, tabs)),
                Ok(None)
                | Err(Failure::Sheets(SheetsError::TabGone { .. } | SheetsError::GridExceeded { .. })) => {}
                Err(failure) => return Err(failure),
            }
        }
        let known = self.survey().await?;
        if let Some(tabs) = self.look(&known).await? {
            return Ok((known, tabs));
        }
        let message = "its columns were moved while they were read".to_owned();
        Err(SheetsError::Unavailable { message }.into())
    }

    /// The tabs of these names as they are, orders first.
    pub(super) async fn see_named(&self, titles: [&str; 2]) -> Result<[TabState; 2], Failure> {
        self.budget.take(Call::Read, self.id).await?;
        let info = self.client.spreadsheet(self.id).await?;
        let mut tabs = Vec::new();
        for title in titles {
            let gone = || SheetsError::TabGone { message: format!("there is no tab {title}") };
            tabs.push(info.tabs.iter().find(|tab| tab.title == title).ok_or_else(gone)?);
        }
        let ranges: Vec<String> = tabs.iter().map(|tab| a1_range(&tab.title, "1:1")).collect();
        let mut headers = self.read(&ranges).await?.into_iter().map(|rows| header(Some(rows)));
        let mut known = |spec, tab: &Tab| KnownTab::new(spec, tab, headers.next().unwrap_or_default());
        let tabs = [known(&ORDERS, tabs[0]), known(&ITEMS, tabs[1])];
        let known = Known { tabs, surveyed_at: self.now, generation: self.generation };
        let moved =
            || SheetsError::Unavailable { message: "its columns were moved while they were read".to_owned() };
        Ok(self.look(&known).await?.ok_or_else(moved)?)
    }

    /// Reads headers and keys in one go; none when the headers are not those that were known.
    async fn look(&self, known: &Known) -> Result<Option<[TabState; 2]>, Failure> {
        let layouts = [known.tabs[0].layout()?, known.tabs[1].layout()?];
        let mut ranges = Vec::new();
        for (tab, layout) in known.tabs.iter().zip(&layouts) {
            ranges.push(a1_range(&tab.title, "1:1"));
            for at in layout.keys(tab.spec).into_iter().filter(|at| *at < tab.width) {
                let column = column_letters(at);
                ranges.push(a1_range(&tab.title, &format!("{column}:{column}")));
            }
        }
        let mut found = self.read(&ranges).await?.into_iter();
        let mut states = Vec::with_capacity(2);
        for (tab, layout) in known.tabs.iter().zip(layouts) {
            if header(found.next()) != tab.header {
                return Ok(None);
            }
            let keys = layout.keys(tab.spec).into_iter();
            let columns: Vec<Vec<CellValue>> =
                keys.map(|at| {
                    if at < tab.width { found.next().map(column).unwrap_or_default() } else { Vec::new() }
                })
                .collect();
            states.push(TabState::new(tab.spec, tab.sheet_id, layout, &columns));
        }
        Ok(states.try_into().ok())
    }

    /// Everything in our columns of both tabs: per column of the tab's spec its cells from the top, none where
    /// the tab does not have it.
    pub(super) async fn contents(
        &self,
        known: &Known,
        states: [&TabState; 2],
    ) -> Result<[Vec<Vec<CellValue>>; 2], Failure> {
        let mut ranges = Vec::new();
        for (tab, state) in known.tabs.iter().zip(states) {
            for at in state.layout.places.iter().flatten().filter(|at| **at < tab.width) {
                let column = column_letters(*at);
                ranges.push(a1_range(&tab.title, &format!("{column}:{column}")));
            }
        }
        let mut found = self.read(&ranges).await?.into_iter();
        let mut read = |tab: &KnownTab, state: &TabState| {
            let places = state.layout.places.iter();
            places
                .map(|place| match place {
                    Some(at) if *at < tab.width => found.next().map(column).unwrap_or_default(),
                    _ => Vec::new(),
                })
                .collect::<Vec<_>>()
        };
        Ok([read(&known.tabs[0], states[0]), read(&known.tabs[1], states[1])])
    }

    /// Finds both tabs, by name or, when they were renamed, by their columns. Makes those that are not there.
    async fn survey(&self) -> Result<Known, Failure> {
        self.budget.take(Call::Read, self.id).await?;
        let get = self.client.spreadsheet(self.id);
        let info = timed_call(GOOGLE, "spreadsheets.get", SheetsError::class, get).await?;
        // A chart on a tab of its own has no cells.
        let mut tabs: Vec<Tab> = info.tabs.into_iter().filter(|tab| tab.row_count > 0).collect();
        let named = |spec: &TabSpec, tab: &Tab| tab.title.trim().eq_ignore_ascii_case(spec.title);
        if [&ORDERS, &ITEMS].iter().all(|spec| tabs.iter().any(|tab| named(spec, tab))) {
            tabs.retain(|tab| named(&ORDERS, tab) || named(&ITEMS, tab));
        }
        let ranges: Vec<String> = tabs.iter().map(|tab| a1_range(&tab.title, "1:1")).collect();
        let headers: Vec<Vec<String>> =
            self.read(&ranges).await?.into_iter().map(|rows| header(Some(rows))).collect();

        let mut found = Vec::with_capacity(2);
        for spec in [&ORDERS, &ITEMS] {
            found.push(match tabs.iter().position(|tab| named(spec, tab)) {
                Some(at) => Some(KnownTab::new(spec, &tabs[at], headers[at].clone())),
                None => renamed(spec, &tabs, &headers)?,
            });
        }
        let tabs = self.complete(found).await?;
        Ok(Known { tabs, surveyed_at: self.now, generation: self.generation })
    }

    /// Adds the tabs that were not found, in the order of orders and items.
    async fn complete(&self, found: Vec<Option<KnownTab>>) -> Result<[KnownTab; 2], Failure> {
        let specs = [&ORDERS, &ITEMS];
        let missing: Vec<&'static TabSpec> = specs
            .into_iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(spec, _)| spec)
            .collect();
        let mut added = Vec::new();
        if !missing.is_empty() {
            self.budget.take(Call::Write, self.id).await?;
            let add = |spec: &&TabSpec| SheetRequest::AddTab {
                title: spec.title.to_owned(),
                columns: i32::try_from(spec.columns.len()).unwrap_or(i32::MAX),
            };
            let adding = self.client.batch_update(self.id, missing.iter().map(add).collect());
            added = timed_call(GOOGLE, "spreadsheets.batchUpdate", SheetsError::class, adding).await?;
        }
        let mut added =
            missing.into_iter().zip(added).map(|(spec, tab)| KnownTab::new(spec, &tab, Vec::new()));
        let tabs: Vec<KnownTab> =
            found.into_iter().filter_map(|found| found.or_else(|| added.next())).collect();
        tabs.try_into().map_err(|_| {
            let message = "tabs were added, and Google does not say which".to_owned();
            SheetsError::Unclear { message }.into()
        })
    }

    async fn read(&self, ranges: &[String]) -> Result<Vec<Vec<Vec<CellValue>>>, Failure> {
        self.budget.take(Call::Read, self.id).await?;
        let read = self.client.read_ranges(self.id, ranges, Major::Rows);
        Ok(timed_call(GOOGLE, "spreadsheets.values.batchGet", SheetsError::class, read).await?)
    }
}

/// The one tab of another name that has all columns of `spec`.
fn renamed(
    spec: &'static TabSpec,
    tabs: &[Tab],
    headers: &[Vec<String>],
) -> Result<Option<KnownTab>, SheetsError> {
    let alike: Vec<(&Tab, &Vec<String>)> =
        tabs.iter().zip(headers).filter(|(_, header)| is_ours(spec, header)).collect();
    match alike.as_slice() {
        [] => Ok(None),
        [(tab, header)] => Ok(Some(KnownTab::new(spec, tab, (*header).clone()))),
        several => {
            let names: Vec<&str> = several.iter().map(|(tab, _)| tab.title.as_str()).collect();
            let title = spec.title;
            Err(SheetsError::Configuration {
                message: format!("no tab is named {title}, and several look like it: {}", names.join(", ")),
                remedy: format!("name the one to keep up to date {title}"),
            })
        }
    }
}

/// The first row, without the blanks at its end.
fn header(rows: Option<Vec<Vec<CellValue>>>) -> Vec<String> {
    let first = rows.and_then(|rows| rows.into_iter().next()).unwrap_or_default();
    let mut names: Vec<String> = first.iter().map(|value| value_text(Some(value))).collect();
    names.truncate(names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1));
    names
}

/// A column that was read as rows of one cell.
fn column(rows: Vec<Vec<CellValue>>) -> Vec<CellValue> {
    rows.into_iter().map(|row| row.into_iter().next().unwrap_or(CellValue::Empty)).collect()
}
