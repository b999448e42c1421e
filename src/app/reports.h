// Reports: what was used, over HTTP: /api/2.0/usage…, Azure Monitor's metrics, Databricks' metrics.
//
//   GET /api/2.0/usage                    sums of usage records, by what `group_by` lists
//   GET /api/2.0/usage/records            the records themselves, newest first
//   GET /api/2.0/usage/minutes            the minute series
//   GET /api/2.0/usage/check              whether series and ledger agree
//   GET /api/2.0/serving-endpoints/*/metrics            as Databricks exports them
//   GET /subscriptions/…/providers/Microsoft.Insights/metrics, …/metricDefinitions
//
// Reads files, so it runs on a thread of its own. A user's key sees its own records only.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "app/host_use.h"
#include "base/clock.h"
#include "base/result.h"
#include "gateway/control_port.h"
#include "meter/meter_service.h"
#include "meter/metrics.h"
#include "meter/prediction_times.h"
#include "meter/usage_query.h"

namespace penstock::app {

class Reports {
 public:
  // All outlive this.
  Reports(meter::MeterService& service, meter::Metrics& metrics, std::function<WallTime()> wall_now)
      : service_(service),
        metrics_(metrics),
        predictions_(service.ledger().folder()),
        wall_now_(std::move(wall_now)) {}

  // On the reports' thread.
  gateway::ControlAnswer Handle(const gateway::ControlRequest& request);

 private:
  using Answer = Result<gateway::ControlAnswer>;
  Answer Dispatch(const gateway::ControlRequest& request);
  Answer Usage(const gateway::ControlRequest& request);
  Answer Records(const gateway::ControlRequest& request);
  Answer Minutes(const gateway::ControlRequest& request);
  Answer Check(const gateway::ControlRequest& request);
  Answer Databricks(const std::string& endpoint);
  Answer Azure(const gateway::ControlRequest& request, bool definitions);
  Result<meter::UsageFilter> FilterOf(const gateway::ControlRequest& request) const;

  meter::MeterService& service_;
  meter::Metrics& metrics_;
  meter::PredictionTimes predictions_;
  HostReader host_;
  std::function<WallTime()> wall_now_;
};

}  // namespace penstock::app
