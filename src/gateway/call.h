// Gateway::Call: what the steps of one generation request share. Private to the gateway.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/gateway.h"

namespace penstock::gateway {

// Notes the request's start and end in the metrics, whichever way it ends.
struct Gateway::Call {
  Call(http::Exchange& client, meter::EndpointMetrics& endpoint_metrics, io::Loop& clock)
      : exchange(client), metrics(endpoint_metrics), loop(clock) {
    metrics.RequestStarted();
  }
  ~Call() { metrics.RequestEnded(End(), loop.Now() - exchange.arrived_at()); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  meter::RequestEnd End() const {
    if (disconnected) return meter::RequestEnd::kDisconnected;
    const int status = exchange.status();
    if (upstream_failed || status == 0 || status >= 500) return meter::RequestEnd::kServerError;
    if (status == 429) return meter::RequestEnd::kRefused;
    return status >= 400 ? meter::RequestEnd::kClientError : meter::RequestEnd::kCompleted;
  }

  http::Exchange& exchange;
  meter::EndpointMetrics& metrics;
  io::Loop& loop;
  std::shared_ptr<const policy::EndpointRoute> endpoint;
  Operation operation = Operation::kChat;
  Dialect dialect = Dialect::kOpenAi;
  std::string request_id;
  std::string_view body;     // In the exchange or in `rewritten`; gone once a stream is relayed.
  std::string rewritten;     // The body, with usage requested.
  bool strip_usage = false;  // The client did not ask for the usage event that we asked for.
  std::optional<ReplicaPicker::InFlight> in_flight;  // At the replica that answers.
  std::unique_ptr<http::ClientResponse> response;
  bool disconnected = false;
  bool upstream_failed = false;  // After the answer began.
};

}  // namespace penstock::gateway
