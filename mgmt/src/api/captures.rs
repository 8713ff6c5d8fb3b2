//! Captures, and the last frames that were dropped. Whoever reads them reads patient data: every
//! start and every download is in the audit log.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardline_control::bounds::{CAPTURE_BYTES, CAPTURE_PACKETS, CAPTURE_SECONDS, CAPTURE_SNAPLEN};
use wardline_control::{CaptureOrder, CapturedFrame};
use wardline_policy::DeviceKey;

use super::jobs::{Job, accepted};
use super::problem::{Code, FieldError, Problem};
use super::request::{Body, Checked, Path, Query, said};
use crate::auth::Principal;
use crate::captures;
use crate::jobs::{self, Lane, NewJob};
use crate::store::device::parse_key;
use crate::store::{Record, policy as kept};
use crate::time::Time;
use crate::{App, Shared};

/// The registered name is for the older format only.
const PCAPNG: &str = "application/x-pcapng";
/// Bytes of the shortest frame there is.
const SNAPLEN_MIN: u32 = 14;
/// Dropped frames that are asked for unless the caller wants fewer.
const DROPPED: u32 = 256;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(start_capture))
        .routes(routes!(read_capture))
        .routes(routes!(read_dropped))
}

/// What to capture. It ends at the first limit that is reached.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartCapture {
    /// The device, as in its path: frames it sends, and those addressed to it.
    #[schema(max_length = 32)]
    pub device: String,
    /// Frames.
    #[serde(default = "packets_max")]
    #[schema(minimum = 1, maximum = 10_000, default = 1_000)]
    pub packets_max: u32,
    /// Bytes of all frames together.
    #[serde(default = "bytes_max")]
    #[schema(minimum = 1, maximum = 8_388_608, default = 1_048_576)]
    pub bytes_max: u32,
    /// Seconds.
    #[serde(default = "seconds")]
    #[schema(minimum = 1, maximum = 3_600, default = 60)]
    pub seconds: u32,
    /// Bytes of one frame; the rest is cut off.
    #[serde(default = "snaplen")]
    #[schema(minimum = 14, maximum = 1_522, default = 256)]
    pub snaplen: u32,
    /// Why, for the audit log.
    #[schema(min_length = 1, max_length = 1024)]
    pub reason: String,
}

const fn packets_max() -> u32 {
    1_000
}

const fn bytes_max() -> u32 {
    1024 * 1024
}

const fn seconds() -> u32 {
    60
}

const fn snaplen() -> u32 {
    256
}

impl Checked for StartCapture {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let ranges = [
            ("packets_max", self.packets_max, 1, CAPTURE_PACKETS),
            ("bytes_max", self.bytes_max, 1, CAPTURE_BYTES),
            ("seconds", self.seconds, 1, CAPTURE_SECONDS),
            ("snaplen", self.snaplen, SNAPLEN_MIN, CAPTURE_SNAPLEN),
        ];
        for (field, value, min, max) in ranges {
            if !(min..=max).contains(&value) {
                errors.push(FieldError::new(field, format!("{min} to {max}")));
            }
        }
        said("reason", &self.reason, 1_024, &mut errors);
        errors
    }
}

/// Capture the frames of a device
///
/// A job does it; its number is that of the capture. `POST /jobs/{id}/cancel` ends it early, with
/// what it has.
#[utoipa::path(post, path = "/captures", tag = "captures", request_body = StartCapture,
    responses((status = 202, description = "The job that does it", body = Job,
        headers(("Location" = String, description = "Where the job is found")))))]
async fn start_capture(
    State(app): State<Shared>,
    principal: Principal,
    Body(wish): Body<StartCapture>,
) -> Result<impl IntoResponse, Problem> {
    let device = known(&app, &wish.device).await?.ok_or_else(|| {
        Problem::new(Code::InvalidBody, "Some fields cannot be so; see `errors`.")
            .with(vec![FieldError::new("device", "there is no such device")])
    })?;
    app.fastpath.client()?;
    let order = CaptureOrder {
        device,
        packets_max: wish.packets_max,
        bytes_max: wish.bytes_max,
        snaplen: wish.snaplen,
        seconds: wish.seconds,
    };
    let subject = format!("device/{}", wish.device);
    let record = Record::new("start_capture", subject.clone())
        .because(Some(wish.reason))
        .after(
            &json!({ "packets_max": order.packets_max, "bytes_max": order.bytes_max,
            "snaplen": order.snaplen, "seconds": order.seconds }),
        );
    let new = NewJob {
        kind: "capture",
        subject,
        lane: Lane::Long,
        stoppable: true,
        record,
    };
    let run = move |handle| captures::run(handle, order);
    Ok(accepted(
        jobs::start(&app, principal.actor(), new, run).await?,
    ))
}

/// A device that was seen or is listed.
async fn known(app: &App, key: &str) -> Result<Option<DeviceKey>, Problem> {
    let Some(device) = parse_key(key) else {
        return Ok(None);
    };
    let step = kept::step_of(app.store.main.read(), key).await?;
    Ok(step.map(|_| device))
}

/// The frames of a capture, as a pcapng file
///
/// Each has its side as interface, and verdict and reason as comment. They are kept in memory
/// only, for an hour after the capture ended; while it goes on, what there is so far.
#[utoipa::path(get, path = "/captures/{id}/file", tag = "captures",
    params(("id" = i64, Path, description = "Number of the capture: that of its job")),
    responses((status = 200, description = "The frames", body = [u8],
        content_type = "application/x-pcapng")))]
async fn read_capture(
    State(app): State<Shared>,
    principal: Principal,
    Path(id): Path<i64>,
) -> Result<Response, Problem> {
    app.captures.forget();
    let file = app.captures.file(id).ok_or_else(|| {
        let detail = format!("There is no capture `{id}`, or it is older than an hour.");
        Problem::new(Code::NotFound, detail)
    })?;
    let record = Record::new("read_capture", format!("capture/{id}"));
    app.store
        .change(principal.actor())
        .await?
        .commit(record)
        .await?;
    attachment(file, &format!("capture-{id}.pcapng"))
}

fn attachment(file: std::io::Result<Vec<u8>>, name: &str) -> Result<Response, Problem> {
    let file = file.map_err(|error| {
        tracing::error!(%error, "a capture could not be written as a file");
        Problem::new(Code::Internal, "The log of the appliance says more.")
    })?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PCAPNG));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok((StatusCode::OK, headers, file).into_response())
}

/// How many, and in which form.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DroppedQuery {
    /// Frames at most
    #[param(minimum = 1, maximum = 256)]
    pub limit: Option<u32>,
    /// In which form
    #[param(inline)]
    pub format: Option<FrameFormat>,
}

/// In which form frames are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FrameFormat {
    /// JSON, the bytes in base64.
    #[default]
    Json,
    /// A pcapng file.
    Pcapng,
}

/// Frames of a device that were dropped.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DroppedFrames {
    /// The frames, oldest first.
    pub items: Vec<DroppedFrame>,
}

/// A frame that was dropped.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DroppedFrame {
    /// When it came.
    pub time: Time,
    /// From which side: `ward` or `core`.
    pub side: String,
    /// What became of it: `drop`.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// Its first 256 bytes, in base64.
    pub bytes: String,
    /// Length of the whole frame in bytes.
    pub original_len: u32,
}

impl From<CapturedFrame> for DroppedFrame {
    fn from(frame: CapturedFrame) -> Self {
        Self {
            time: Time::from_contract(frame.time_us),
            side: crate::store::device::word(&frame.side),
            verdict: captures::verdict(&frame).to_owned(),
            reason: frame.reason.name().to_owned(),
            bytes: BASE64.encode(&frame.bytes.0),
            original_len: frame.original_len,
        }
    }
}

/// The last frames of a device that were dropped
#[utoipa::path(get, path = "/devices/{key}/dropped", tag = "captures",
    params(("key" = String, Path, description = "MAC address and VLAN: `00-09-fb-12-34-56.10`"),
        DroppedQuery),
    responses((status = 200, description = "The frames",
        content((DroppedFrames = "application/json"), (Vec<u8> = "application/x-pcapng")))))]
async fn read_dropped(
    State(app): State<Shared>,
    principal: Principal,
    Path(key): Path<String>,
    Query(query): Query<DroppedQuery>,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(DROPPED);
    if !(1..=DROPPED).contains(&limit) {
        return Err(Problem::query("limit", format!("1 to {DROPPED}")));
    }
    let device = known(&app, &key).await?;
    let device = device.ok_or_else(|| Problem::not_found("device", &key))?;
    let frames = app.fastpath.client()?.last_dropped(device, limit).await?;
    let record = Record::new("read_dropped", format!("device/{key}"))
        .after(&json!({ "frames": frames.len() }));
    app.store
        .change(principal.actor())
        .await?
        .commit(record)
        .await?;
    match query.format.unwrap_or_default() {
        FrameFormat::Json => {
            let items = frames.into_iter().map(DroppedFrame::from).collect();
            Ok(Json(DroppedFrames { items }).into_response())
        }
        FrameFormat::Pcapng => {
            let name = format!("dropped-{key}.pcapng");
            attachment(captures::pcapng(&frames), &name)
        }
    }
}
