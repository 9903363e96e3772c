//! What could be done against an impact, and what it means in value added.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::extract::Params;
use super::run::{Unanswered, analysed, answered};
use crate::service::analyses::Framed;
use crate::service::economic::EconomicAnswer;
use crate::service::mitigations::{MitigationAnswer, Wish};

/// Which mitigations.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct MitigationQuery {
    /// `project`, `stockpile`, `second_source`, `substitute`, `policy` (several with commas) or
    /// `all` (default)
    #[param(example = "stockpile")]
    kind: Option<String>,
    /// Name of the target that measures should help (default: the sum over all)
    target: Option<String>,
    /// Months that stocks are sized for (default 6)
    #[param(example = 6)]
    months: Option<f64>,
    /// Measures in the answer (default 50)
    top: Option<usize>,
    /// Last year in which a project may start (default: any)
    #[param(example = 2028)]
    by: Option<i32>,
}

/// Ranks what could be done against an impact by the loss that each measure avoids.
///
/// Projects of the register, stocks of so many months, second sources, substitutes and eased
/// restrictions are each evaluated with the same engine, then the best together: `combined` counts
/// nothing twice. Stocks are judged over the first year.
#[utoipa::path(tag = "Answer",
    params(("id" = String, Path, description = "Id of the impact answer", example = "imp_…"), MitigationQuery),
    responses((status = 200, description = "Measures, best first", body = Framed<MitigationAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[get("/v1/impacts/{id}/mitigations")]
pub async fn get_mitigations(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<MitigationQuery>,
) -> Result<HttpResponse, Unanswered> {
    let MitigationQuery { kind, target, months, top, by } = query.0;
    let (shared, id) = (service.clone(), path.into_inner());
    let wish = Wish { kind, target, months, top, by };
    let (snapshot, question) =
        service.blocking(move || shared.mitigation_question(&id, wish)).await?;
    Ok(answered(analysed(&service, &request, snapshot, question).await?))
}

/// Whose value added.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct EconomicQuery {
    /// Country (default USA)
    #[param(example = "USA")]
    country: Option<String>,
}

/// Turns an impact into value added at risk, beside published estimates.
///
/// An upper end, not an estimate of GDP: `left_out` says what is not counted. Values per industry
/// carry their sources; most are recalled or estimates.
#[utoipa::path(tag = "Answer",
    params(("id" = String, Path, description = "Id of the impact answer", example = "imp_…"), EconomicQuery),
    responses((status = 200, description = "Industries, most at risk first", body = Framed<EconomicAnswer>),
              (status = 202, description = "A job (with `Prefer: respond-async`, or if it takes long)")))]
#[get("/v1/impacts/{id}/economic")]
pub async fn get_economic(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<EconomicQuery>,
) -> Result<HttpResponse, Unanswered> {
    let (shared, id) = (service.clone(), path.into_inner());
    let country = query.0.country.unwrap_or_else(|| "USA".to_owned());
    let (snapshot, question) =
        service.blocking(move || shared.economic_question(&id, &country)).await?;
    Ok(answered(analysed(&service, &request, snapshot, question).await?))
}
