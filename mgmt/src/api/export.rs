//! Whole lists as files, read a portion at a time: nobody who reads slowly holds the database.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::assets::{AssetQuery, AssetSummary};
use super::devices::{DeviceQuery, DeviceSummary, summary};
use super::flows::{Flow, FlowQuery, record};
use super::problem::Problem;
use super::request::Queries;
use crate::Shared;
use crate::inventory::Column;
use crate::inventory::list::cell;
use crate::store::asset::{self, AssetPlace};
use crate::store::device::{self, DevicePlace, DeviceSort, word};
use crate::store::flow::{self, FlowRow};

/// Entries read at a time.
const PORTION: u32 = 500;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(export_devices))
        .routes(routes!(export_assets))
        .routes(routes!(export_flows))
}

/// In which form.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListExportQuery {
    /// In which form
    #[param(inline)]
    pub format: Option<ListFormat>,
}

/// In which form a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ListFormat {
    /// CSV with a line of headings. What a spreadsheet would compute has a `'` before it.
    #[default]
    Csv,
    /// A JSON list.
    Json,
}

/// The devices, all or those that are asked for, as a file
#[utoipa::path(get, path = "/devices/export", tag = "devices",
    params(DeviceQuery, ListExportQuery),
    responses((status = 200, description = "The devices",
        content((String = "text/csv"), (Vec<DeviceSummary> = "application/json")))))]
async fn export_devices(
    State(app): State<Shared>,
    Queries(query, form): Queries<DeviceQuery, ListExportQuery>,
) -> Result<Response, Problem> {
    let begin = (app, query.filter()?, None);
    let portions = stream::try_unfold(begin, |(app, filter, after)| async move {
        let sort = (DeviceSort::Key, false);
        let after: Option<DevicePlace> = after;
        let rows = device::list(&app.store.main, &filter, sort, after.as_ref(), PORTION).await?;
        let place = rows.last().map(|(_, place)| place.clone());
        let items: Vec<_> = rows.into_iter().map(|(row, _)| summary(row)).collect();
        Ok::<_, anyhow::Error>(place.map(|place| (items, (app, filter, Some(place)))))
    });
    let format = form.format.unwrap_or_default();
    Ok(file(
        "devices",
        format,
        &DEVICE_HEADINGS,
        portions,
        device_cells,
    ))
}

/// The assets, all or those that are asked for, as a file that can be taken in again
#[utoipa::path(get, path = "/assets/export", tag = "assets",
    params(AssetQuery, ListExportQuery),
    responses((status = 200, description = "The assets",
        content((String = "text/csv"), (Vec<AssetSummary> = "application/json")))))]
async fn export_assets(
    State(app): State<Shared>,
    Queries(query, form): Queries<AssetQuery, ListExportQuery>,
) -> Result<Response, Problem> {
    let begin = (app, query.filter()?, None);
    let portions = stream::try_unfold(begin, |(app, filter, after)| async move {
        let sort = (Column::Tag, false);
        let after: Option<AssetPlace> = after;
        let rows = asset::list(&app.store.main, &filter, sort, after.as_ref(), PORTION).await?;
        let place = rows.last().map(|row| (row.facts.tag.clone(), row.id));
        let items: Vec<_> = rows.into_iter().map(AssetSummary::from).collect();
        Ok::<_, anyhow::Error>(place.map(|place| (items, (app, filter, Some(place)))))
    });
    let mut headings = Column::ALL.map(Column::name).to_vec();
    headings.push("devices");
    let format = form.format.unwrap_or_default();
    Ok(file("assets", format, &headings, portions, asset_cells))
}

/// The flow history, newest first, as a file
#[utoipa::path(get, path = "/flows/export", tag = "flows",
    params(FlowQuery, ListExportQuery),
    responses((status = 200, description = "The records",
        content((String = "text/csv"), (Vec<Flow> = "application/json")))))]
async fn export_flows(
    State(app): State<Shared>,
    Queries(query, form): Queries<FlowQuery, ListExportQuery>,
) -> Result<Response, Problem> {
    let format = form.format.unwrap_or_default();
    let begin = (app, query.filter()?, None);
    let portions = stream::try_unfold(begin, |(app, filter, after)| async move {
        let (history, patience) = (&app.store.history, flow::FILE_PATIENCE);
        let rows = flow::history(history, &filter, after.as_ref(), PORTION, patience).await?;
        let place = rows.last().map(FlowRow::place);
        let items: Vec<_> = rows.into_iter().map(record).collect();
        Ok::<_, anyhow::Error>(place.map(|place| (items, (app, filter, Some(place)))))
    });
    Ok(file("flows", format, &FLOW_HEADINGS, portions, flow_cells))
}

const FLOW_HEADINGS: [&str; 13] = [
    "begin",
    "device",
    "peer",
    "initiator",
    "protocol",
    "port",
    "action",
    "reason",
    "conversations",
    "frames_sent",
    "bytes_sent",
    "frames_got",
    "bytes_got",
];

fn flow_cells(flow: &Flow) -> Vec<String> {
    vec![
        flow.begin.to_string(),
        flow.device.clone(),
        flow.peer.clone(),
        word(&flow.initiator),
        flow.protocol.to_string(),
        flow.port.to_string(),
        word(&flow.action),
        flow.reason.clone(),
        flow.conversations.to_string(),
        flow.frames_sent.to_string(),
        flow.bytes_sent.to_string(),
        flow.frames_got.to_string(),
        flow.bytes_got.to_string(),
    ]
}

const DEVICE_HEADINGS: [&str; 20] = [
    "key",
    "mac",
    "vlan",
    "name",
    "policy_role",
    "role",
    "probability_percent",
    "confirmed",
    "mode",
    "care",
    "addresses",
    "vendor",
    "model",
    "criticality",
    "location",
    "ward",
    "bed",
    "owner",
    "first_seen",
    "last_seen",
];

fn device_cells(device: &DeviceSummary) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let vlan: Vec<_> = device.vlan.iter().map(ToString::to_string).collect();
    vec![
        device.key.clone(),
        device.mac.clone(),
        vlan.join(" "),
        device.name.clone(),
        text(&device.policy_role),
        text(&device.role),
        device.probability_percent.to_string(),
        device.confirmed.to_string(),
        device.mode.clone(),
        device.care.clone(),
        device.addresses.join(" "),
        text(&device.vendor),
        text(&device.model),
        device.criticality.as_ref().map(word).unwrap_or_default(),
        text(&device.location),
        text(&device.ward),
        text(&device.bed),
        text(&device.owner),
        device.first_seen.to_string(),
        device.last_seen.to_string(),
    ]
}

fn asset_cells(asset: &AssetSummary) -> Vec<String> {
    let mut cells: Vec<_> = Column::ALL.map(|column| asset.facts.get(column)).to_vec();
    cells.push(asset.devices.join(" "));
    cells
}

/// A list as a file, written while it is read.
fn file<T: Serialize + Send + 'static>(
    name: &'static str,
    format: ListFormat,
    headings: &[&str],
    portions: impl Stream<Item = anyhow::Result<Vec<T>>> + Send + 'static,
    cells: fn(&T) -> Vec<String>,
) -> Response {
    let (kind, ending, first, last) = match format {
        ListFormat::Csv => {
            let headings = headings.iter().map(|heading| (*heading).to_owned());
            (
                "text/csv; charset=utf-8",
                "csv",
                csv_lines([headings.collect()]),
                Vec::new(),
            )
        }
        ListFormat::Json => (
            "application/json",
            "json",
            Ok(b"[".to_vec()),
            b"]\n".to_vec(),
        ),
    };
    let mut begun = false;
    let written = portions.map(move |portion| {
        let portion = portion.and_then(|portion| match format {
            ListFormat::Csv => csv_lines(portion.iter().map(cells)),
            ListFormat::Json => json_items(&portion, &mut begun),
        });
        // The answer has begun: all that can be done for the reader is to cut it off.
        portion.inspect_err(|error| tracing::warn!(%error, list = name, "an export is cut off"))
    });
    let once = |bytes| stream::once(async { bytes });
    let body = once(first).chain(written).chain(once(Ok(last)));
    let disposition = format!("attachment; filename=\"{name}.{ending}\"");
    let headers = [
        (CONTENT_TYPE, kind.to_owned()),
        (CONTENT_DISPOSITION, disposition),
    ];
    (headers, Body::from_stream(body)).into_response()
}

fn csv_lines(lines: impl IntoIterator<Item = Vec<String>>) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in lines {
        writer.write_record(line.iter().map(|text| cell(text)))?;
    }
    Ok(writer.into_inner()?)
}

fn json_items<T: Serialize>(items: &[T], begun: &mut bool) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for item in items {
        bytes.extend_from_slice(if *begun { b",\n" } else { b"\n" });
        *begun = true;
        serde_json::to_writer(&mut bytes, item)?;
    }
    Ok(bytes)
}
